"""CPU time and peak memory of reading long lists with captions and of indexing the mixture of table 9.

python -m benchmarks.lists                 everything: 4.97 million records, about 3 GB of files while it runs
python -m benchmarks.lists --share 0.01    a hundredth of it, in seconds
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omnireid.datasets import load_split
from omnireid.leakage import People, drop_test_people
from omnireid.loading.mixture import Mixture
from omnireid.loading.source_loader import Source
from omnireid.loading.transforms import Preprocessing
from omnireid.tasks import TASKS
from tools import _program

MILLION = 1_000_000
# Training and test records and training people of table 9; SYNTH-PEDES with its published counts.
SETS: tuple[tuple[str, str, str, int, int, int], ...] = (
    ("msmt17", "trad", "msmt/datalist", 30_248, 93_820, 1_041),
    ("cuhk03", "trad", "cuhk/datalist", 7_365, 6_732, 767),
    ("market1501", "trad", "market/datalist", 12_936, 23_100, 751),
    ("prcc", "cc", "prcc/datalist", 17_896, 10_800, 150),
    ("vc_clothes", "cc", "vc_clothes/datalist", 9_449, 9_611, 256),
    ("ltcc", "cc", "ltcc/datalist", 9_423, 7_543, 77),
    ("llcm", "vi", "llcm", 30_921, 15_846, 713),
    ("cocas_real1", "ctcc", "real1/datalist", 34_469, 0, 2_800),
)
SYNTH_PEDES, SYNTH_PEOPLE = 4_791_711, 312_321
CAPTIONS = (
    "The man with black hair is wearing a black shirt, pink shorts and black shoes, and he carries nothing.",
    "A man who has black hair wears pink shorts with a black shirt and a pair of black shoes.",
)


def write_list(path: Path, count: int, people: int, *, infrared: bool = False, start: int = 0) -> None:
    """A list of generated names of the usual length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "test_nir" if infrared else "bounding_box_train"
    with path.open("w") as file:
        for row in range(count):
            pid = start + row * people // count
            name = f"Market-1501/{kind}/{pid:06d}_c{row % 6 + 1}s{row % 3 + 1}_{start + row:06d}_00.jpg"
            file.write(f"{name} do_not_change_clothes {pid} {pid} {row % 6}\n")


def write_csv(path: Path, count: int) -> None:
    """A user's own table."""
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        file.write("split,image,pid,camera\n")
        for row in range(count):
            file.write(
                f"train,day_{row % 365:03d}/person_{row // 20:06d}_{row:07d}.jpg,{row // 20},{row % 6}\n"
            )


def write_captioned(root: Path, share: float) -> None:
    """SYNTH-PEDES as OmniReID distributes it: a list, and a caption file in another order."""
    count, people = int(share * SYNTH_PEDES), max(2, int(share * SYNTH_PEOPLE))
    folder = root / "PLIP/datalist"
    folder.mkdir(parents=True)
    said = json.dumps(CAPTIONS)
    with (folder / "train_t2i.txt").open("w") as file:
        for row in range(count):
            pid = row * people // count
            file.write(
                f"SYNTH-PEDES/Part{row * 11 // count + 1}/{pid}/{row}.jpg {pid:06d}_{row} {pid} {pid}\n"
            )
    with (folder / "caption_t2i.json").open("w") as file:
        for order in range(count):
            row = order * 7919 % count
            file.write(f'{", " if order else "{"}"{row * people // count:06d}_{row}": {said}')
        file.write("}")


def write_mixture(root: Path, share: float) -> None:
    """Every data set of the mixture: lists of the small ones, SYNTH-PEDES as distributed."""
    for _, _, folder, train, test, people in SETS:
        write_list(
            root / folder / f"train{'_ctcc' * (folder == 'real1/datalist')}.txt", int(share * train), people
        )
        for part, infrared in (("query", False), ("gallery", folder == "llcm")):
            if test:
                path = root / folder / f"{part}.txt"
                write_list(path, int(share * test / 2), people, infrared=infrared, start=MILLION)
    count, people = int(share * SYNTH_PEDES), max(2, int(share * SYNTH_PEOPLE))
    for part in range(1, 12):
        (root / f"PLIP/Part{part}").mkdir(parents=True)
    said = json.dumps(CAPTIONS)
    with (root / "PLIP/synthpedes_dataset.json").open("w") as file:
        file.write("[")
        for row in range(count):
            pid = row * people // count
            file.write(", " * (row > 0))
            file.write(
                f'{{"id": {pid}, "file_path": "Part{row * 11 // count + 1}/{pid}/{row}.jpg", '
                '"attributes": ["man,black hair,black shirt,pink shorts,black shoes,unknown"], '
                f'"captions": {said}, "prompt_caption": ["A photo of a man with black hair."]}}'
            )
        file.write("]")


@contextmanager
def timed(what: str) -> Iterator[None]:
    start = time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what:<52}{time.process_time() - start:8.1f} s CPU   peak so far {peak:5.2f} GB", flush=True)


def read_list(root: Path) -> None:
    with timed("a list of a million lines, read"):
        split = load_split(root, "market1501", "trad")
    assert len(split.train)


def read_csv(root: Path) -> None:
    with timed("a table of one's own of a million rows, read"):
        split = load_split(root, "own/million", "trad")
    assert len(split.train)


def read_captioned(root: Path) -> None:
    with timed("SYNTH-PEDES by its list and caption book, read"):
        split = load_split(root, "synth_pedes", "t2i")
    with timed("indexed for training"):
        mixture = Mixture([Source(TASKS["t2i"], "synth_pedes", split.train)], Preprocessing())
    assert split.train[0].captions == CAPTIONS
    print(f"{len(split.train):,} records of {mixture.num_classes('t2i/synth_pedes'):,} people")


def read_mixture(root: Path) -> None:
    names = [(name, task) for name, task, *_ in SETS] + [("synth_pedes", "t2i")]
    with timed("the mixture of table 9, read"):
        splits = {name: load_split(root, name, task) for name, task in names}
    with timed("test people taken out"):
        train = [People(name, split.train) for name, split in splits.items()]
        tests = [People(name, (*split.query, *split.gallery)) for name, split in splits.items()]
        kept, _ = drop_test_people(train, tests, by_appearance=False)
    with timed("indexed for training"):
        sources = [
            Source(TASKS[task], name, people.records)
            for (name, task), people in zip(names, kept, strict=True)
        ]
        mixture = Mixture(sources, Preprocessing())
    num_records = sum(len(source.records) for source in mixture.sources)
    print(f"{num_records:,} records of {sum(map(mixture.num_classes, mixture.domains)):,} people")


CASES: dict[str, tuple[Callable[[Path, float], None], Callable[[Path], None]]] = {
    "list": (
        lambda root, share: write_list(root / "market/datalist/train.txt", int(share * MILLION), 50_000),
        read_list,
    ),
    "csv": (lambda root, share: write_csv(root / "own/million.csv", int(share * MILLION)), read_csv),
    "captions": (write_captioned, read_captioned),
    "mixture": (write_mixture, read_mixture),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the full size (1)")
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--folder", type=Path, help="where the files are written (a temporary folder)")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)  # a child process: its memory is its own
    asked = parser.parse_args()
    if asked.read is not None:
        with timed("Python with its libraries"):
            pass
        CASES[asked.cases[0]][1](asked.read)
        return
    for case in asked.cases:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            CASES[case][0](Path(folder), asked.share)
            command = [sys.executable, "-m", "benchmarks.lists", "--cases", case, "--read", folder]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    _program.run(main)
