"""Exact top-10 search of 768-d vectors: our store, faiss flat and plain torch, alternating in one process.

python -m benchmarks.search --sizes 250000 --json search.json

Times are CPU time over all threads. Vectors are unit length, clustered like people (twenty images each), and
generated from a seed. Ours reads 8-bit codes and computes the final scores from the catalog's file, so its
time includes SQLite. faiss (faiss-cpu, optional) and torch keep float32 in memory. Every list is compared
with float64 brute force.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks._galleries import (
    DIM,
    DOMAIN,
    FULL,
    NUM_IMAGES,
    SMALL,
    TOP,
    brute_force,
    gathered,
    questions,
    random_model,
    write,
)
from instructions import banks
from irm.retrieval import Filter, Gallery, Picture, Question, SearchModel
from irm.retrieval.local import LocalStore
from irm.retrieval.views import VIEWS
from tools import _program

T = TypeVar("T")
MIB = 2**20


def resident() -> float:
    """MiB private to this process: pages read from files belong to the system."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return float("nan")


class Peak:
    """The maximum of ``resident`` while the context is active, sampled every few milliseconds."""

    def __init__(self) -> None:
        self.highest, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.highest = max(self.highest, resident())


def measure(
    name: str,
    search: Callable[[torch.Tensor], np.ndarray],
    queries: torch.Tensor,
    truth: np.ndarray,
    repeats: int,
) -> dict[str, float]:
    """One query at a time, then all at once; lists are compared with the exact results."""
    singles: list[float] = []
    wrong = 0
    search(queries[:1])
    for row, query in enumerate(queries[:repeats]):
        start = time.process_time()
        found = search(query[None])
        singles.append(time.process_time() - start)
        wrong += int((found[0] != truth[row]).any())
    start = time.process_time()
    together = search(queries)
    seconds = time.process_time() - start
    wrong_together = int((together != truth).any(axis=1).sum())
    row = {
        "one p50 ms": 1000 * float(np.median(singles)),
        "one p99 ms": 1000 * float(np.quantile(singles, 0.99)),
        f"{len(queries)} s": seconds, "wrong lists": wrong + wrong_together,
    }  # fmt: skip
    print(f"  {name:16}" + "  ".join(f"{key} {value:9.2f}" for key, value in row.items()), flush=True)
    return row


def ours(gallery: Gallery) -> Callable[[torch.Tensor], np.ndarray]:
    store, space = LocalStore(gallery.catalog), gallery.catalog.spaces()["trad"]

    def search(queries: torch.Tensor) -> np.ndarray:
        found = store.search(space, queries.numpy(), TOP, where=Filter(), now=0.0)
        return np.stack([one.ids for one in found])

    return search


def noises(repeats: int) -> list[Picture]:
    """Noise images, all different."""
    rng = np.random.default_rng(0)
    return [Picture(rng.integers(0, 256, (256, 128, 3), dtype=np.uint8), "noise") for _ in range(repeats)]


def end_to_end(gallery: Gallery, small: SearchModel, repeats: int) -> dict[str, float]:
    """CPU milliseconds, medians, from an image to the answer that a client reads.

    One image, task trad, twenty hits: the encoders of both sizes alone, then the whole of ``Gallery.search``
    with the audit line, and its share without the encoder. Then JSON, and the thumbnails.
    """
    taken: dict[str, list[float]] = {}

    def timed(name: str, run: Callable[[], T]) -> T:
        start = time.process_time()
        made = run()
        taken.setdefault(name, []).append(1000 * (time.process_time() - start))
        return made

    def embed(model: SearchModel, image: Picture) -> object:
        beside = [banks.canonical("trad")]
        return model.embed(model.resized([image.pixels]), VIEWS["trad"], DOMAIN, beside)

    gallery.warm()
    for model in (gallery.model, small):
        embed(model, noises(1)[0])
    for image in noises(repeats):
        question = Question(images=(image,))
        timed("encoder ViT-B/16 256x128", partial(embed, gallery.model, image))
        timed("encoder demo", partial(embed, small, image))
        answer = timed("whole search", partial(gallery.search, question))
        # Measured on the same search: the encoder's time varies more than the rest takes.
        rest = answer.seconds - answer.load_seconds - answer.embed_seconds
        taken.setdefault("search without encoder (wall)", []).append(1000 * rest)
        timed("answer as JSON", lambda found=answer: json.dumps(found.as_dict()))
        timed("20 thumbnails", lambda found=answer: [thumbnail_of(gallery, hit.image) for hit in found.hits])
    medians = {name: float(np.median(values)) for name, values in taken.items()}
    print("  one image to the answer, CPU ms: " + ", ".join(f"{k} {v:.1f}" for k, v in medians.items()))
    return medians


def thumbnail_of(gallery: Gallery, image: int) -> bytes:
    """The image of a hit; only the first have one, so another may replace it."""
    return gallery.picture((image - 1) % NUM_IMAGES + 1)


def plain_torch(vectors: torch.Tensor) -> Callable[[torch.Tensor], np.ndarray]:
    def search(queries: torch.Tensor) -> np.ndarray:
        found = [(part @ vectors.T).topk(TOP, dim=1).indices for part in queries.split(64)]
        return torch.cat(found).numpy() + 1

    return search


def faiss_flat(vectors: torch.Tensor) -> Callable[[torch.Tensor], np.ndarray] | None:
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors.numpy())
    return lambda queries: index.search(queries.numpy(), TOP)[1] + 1


def run(count: int, num_queries: int, repeats: int, spread: float) -> dict[str, object]:
    """Run one gallery size."""
    queries = questions(count, num_queries, spread)
    truth = brute_force(queries, count, spread)
    size = count * DIM * 4 / MIB
    folder = Path(tempfile.mkdtemp(prefix="search"))
    try:
        gallery = write(folder, random_model(FULL, folder), count, spread)
        disk = sum(path.stat().st_size for path in folder.iterdir()) / MIB
        print(f"{count} x {DIM}: {size:.0f} MiB of float32; the catalog has {disk:.0f} MiB on disk")
        before, peak, start = resident(), Peak(), time.process_time()
        with peak:
            search = ours(gallery)
            search(queries[:1])
            opened, used = time.process_time() - start, resident() - before
            told: dict[str, object] = {
                "memory MiB": used,
                "disk MiB": disk,
                "vectors MiB": size,
                "open s": opened,
            }
            told["ours"] = measure("ours", search, queries, truth, repeats)
        told["peak MiB"] = peak.highest - before
        highest = (peak.highest - before) / size
        print(
            f"  ours: {opened:.1f} CPU s until the first answer; {used:.0f} MiB of memory, {used / size:.2f} "
            f"x the vectors, {highest:.2f} x at its highest with {num_queries} queries together"
        )
        del search
        told["end to end"] = end_to_end(gallery, random_model(SMALL, folder), min(repeats, 20))
        gallery.local.clear()
        vectors = gathered(count, spread)
        told["torch"] = measure("torch float32", plain_torch(vectors), queries, truth, repeats)
        if (faiss := faiss_flat(vectors)) is not None:
            told["faiss"] = measure("faiss flat", faiss, queries, truth, repeats)
        # Measured again, to show variation caused by other load.
        told["ours again"] = measure("ours again", ours(gallery), queries, truth, repeats)
        gallery.close()
    finally:
        shutil.rmtree(folder)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[250_000], help="images of the gallery")
    parser.add_argument("--queries", type=int, default=1000, help="asked together")
    parser.add_argument("--repeats", type=int, default=50, help="asked one by one")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--spread", type=float, default=1.0, help="of a person's images, against that of people"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    told = {
        count: run(count, arguments.queries, arguments.repeats, arguments.spread) for count in arguments.sizes
    }
    print(f"peak memory of the whole run {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    _program.run(main)
