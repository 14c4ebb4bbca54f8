"""How long searches wait during erasure: one client searches continuously while ten people are erased.

python -m benchmarks.erasing --size 200000

Vectors are generated from a seed as in benchmarks.search. The client is a thread of the same process, as in
tools.serve, and performs whole searches, including the audit line but not the encoder, whose time is not
affected.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from benchmarks._galleries import EACH, SMALL, blocks, random_model, write
from irm.retrieval import Gallery, Question
from tools import _program

ERASED = range(1001, 1011)  # people without thumbnails, since all thumbnails are the same image


class Client:
    """Runs one search after another while the context is active."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery, self.seconds = gallery, list[float]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            begun = time.perf_counter()
            self.gallery.search(Question(like=(1,), top=20))
            self.seconds.append(time.perf_counter() - begun)

    def says(self) -> str:
        """Number of searches and their durations."""
        ordered = sorted(self.seconds)
        median, longest = ordered[len(ordered) // 2], ordered[-1]
        return f"{len(ordered)} searches, median {1000 * median:.0f} ms, longest {1000 * longest:.0f} ms"


def main() -> None:
    """Write a gallery, search it for some seconds, then search it while it erases."""
    made = _program.Parser(prog="python -m benchmarks.erasing", description=__doc__)
    made.add_argument("--size", type=int, default=200_000, help="images (200000)")
    made.add_argument("--folder", type=Path, help="where the gallery is written; deleted afterwards")
    asked = made.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        model = random_model(SMALL, Path(folder))
        vector = next(blocks(EACH, 1.0))[:1]
        model.embed = lambda *_: vector  # type: ignore[method-assign]
        with write(Path(folder) / "store", model, asked.size, 1.0) as gallery:
            with gallery.catalog.writing() as connection:  # as if files differed: equal ones are compared
                connection.execute("UPDATE images SET size = id")
            gallery.warm()
            print(f"{asked.size} images, {gallery.info().size_bytes / 1e6:.0f} MB")
            quiet = Client(gallery)
            with quiet:
                time.sleep(5)
            print(f"alone:              {quiet.says()}")
            beside = Client(gallery)
            with beside:
                begun = time.perf_counter()
                receipt = gallery.erase(pids=list(ERASED))
                seconds = time.perf_counter() - begun
            assert receipt.images == len(ERASED) * EACH
            print(f"beside the erasing: {beside.says()}; erasing took {seconds:.1f} s")


if __name__ == "__main__":
    _program.run(main)
