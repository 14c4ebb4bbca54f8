"""CUHK-PEDES: pictures gathered from other ReID sets, described by hand; a caption finds its person."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from instructions.errors import InputError
from omnireid.datasets.captions import captions_of, entry_field, iter_entries, query_per_caption
from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.records import Record, Split

_TRAIN = Published(34_054, 11_003)

CARD = DatasetCard(
    name="cuhk_pedes",
    title="CUHK-PEDES",
    tasks=("t2i",),
    homepage="https://github.com/ShuangLI59/Person-Search-with-Natural-Language-Description",
    access="by request to the authors from a university address",
    licence="academic use only (project page)",
    consent="pictures of CUHK01, CUHK03, Market-1501, VIPeR and CUHK-SYSU; no statement of consent",
    citation="Li et al., Person Search with Natural Language Description, CVPR 2017",
    folders=("CUHK-PEDES", "CUHK-Pedes", "cuhk_pedes", "cuhkpedes", "CUHK_PEDES"),
    num_cameras=None,
    counts={
        "test": {
            "train": _TRAIN,
            "query": Published(3_074, 1_000, queries=6_156),
            "gallery": Published(3_074, 1_000),
        },
        "val": {
            "train": _TRAIN,
            "query": Published(3_078, 1_000, queries=6_158),
            "gallery": Published(3_078, 1_000),
        },
    },
    variants={"test": "search the test people", "val": "search the validation people, to choose a model"},
    notes=(
        "paper 1, table 9 has 28,566 training pictures; it says that pictures of the Market-1501 and CUHK03 "
        "tests were taken out; omnireid.leakage does so here",
        "68,126 training captions; 68,108 is also quoted",
    ),
)

ANNOTATIONS = ("reid_raw.json", "caption_all.json")
# People are numbered through: 11,003 for training, then 1,000 and 1,000. For files without a split column.
LAST_TRAIN_PID, LAST_VAL_PID = 11_003, 12_003
# No cameras: query and gallery differ, so that nothing is ever junk (as in the OmniReID lists).
CAMID = {"train": 0, "query": -1, "gallery": -2}


def split_of(entry: dict[str, object], pid: int) -> str:
    """The entry's split, or the one its person number implies."""
    split = entry.get("split")
    if isinstance(split, str):
        return split
    if pid <= LAST_TRAIN_PID:
        return "train"
    return "val" if pid <= LAST_VAL_PID else "test"


def read(root: Path, variant: str) -> Split:
    """CUHK-PEDES from its own folder, in the order of the annotation file."""
    path = next((root / name for name in ANNOTATIONS if (root / name).exists()), None)
    if path is None:
        raise InputError(f"{root} has pictures but no {' or '.join(ANNOTATIONS)}")
    images = f"{root / 'imgs'}/"
    splits: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
    num_silent = 0
    for number, entry in enumerate(iter_entries(path)):
        pid = entry_field(entry, "id", int, path, number)
        split = split_of(entry, pid)
        if split not in splits:
            raise InputError(f"{path}: entry {number}: split {split!r} is none of train, val, test")
        captions = captions_of(entry.get("captions"), path, number)
        num_silent += not captions
        image = images + entry_field(entry, "file_path", str, path, number)
        splits[split].append(Record(image, pid, CAMID["train"], captions=captions))
    notes = [f"read from {path}: {variant}"]
    if num_silent:
        notes.append(f"{num_silent} pictures have no caption")
    found = splits[variant]
    query = query_per_caption(replace(record, camid=CAMID["query"]) for record in found)
    gallery = tuple(replace(record, camid=CAMID["gallery"], captions=()) for record in found)
    return Split(CARD.name, tuple(splits["train"]), query, gallery, tuple(notes))


CUHK_PEDES = Dataset(CARD, read, markers=("reid_raw.json", "caption_all.json"), raw_tasks=("t2i",))
