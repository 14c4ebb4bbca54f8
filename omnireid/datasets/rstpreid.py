"""RSTPReid: five images per person, two captions per image; people and images of MSMT17."""

from __future__ import annotations

from pathlib import Path

from omnireid.datasets.card import Counts, DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.described import VARIANTS, read_described
from omnireid.records import Split

_COUNTS: Counts = {
    "train": Published(18_505, 3_701),
    "query": Published(1_000, 200, queries=2_000),
    "gallery": Published(1_000, 200),
}

CARD = DatasetCard(
    name="rstpreid",
    title="RSTPReid",
    tasks=("t2i",),
    homepage="https://github.com/NjtechCVLab/RSTPReid-Dataset",
    access="see the project page",
    licence="not stated in the sources we consulted; assume academic research only and the terms of MSMT17",
    consent="images of MSMT17; no statement of consent in the sources we consulted",
    citation="Zhu et al., DSSL: Deep Surroundings-person Separation Learning for Text-based Person "
    "Retrieval, ACM MM 2021",
    folders=("RSTPReid", "rstpreid", "RSTPReid-Dataset", "rstp", "RSTP"),
    num_cameras=None,
    counts={"test": _COUNTS, "val": _COUNTS},
    variants=VARIANTS,
    notes=(
        "its 4,101 people are all those of MSMT17, train and test; do not train on it and test on MSMT17",
        "its annotation file names the image img_path and numbers people from 0",
    ),
)

ANNOTATIONS = ("data_captions.json",)
FIRST_VAL, FIRST_TEST = 18_505, 19_505  # positions in the annotation file, for copies without a split column


def split_of(number: int, pid: int) -> str:  # noqa: ARG001  CUHK-PEDES goes by the person
    """The split of an entry, by its position."""
    if number < FIRST_VAL:
        return "train"
    return "val" if number < FIRST_TEST else "test"


def read(root: Path, variant: str) -> Split:
    """RSTPReid from its own folder, in the order of the annotation file."""
    return read_described(CARD.name, root, ANNOTATIONS, variant, split_of)


RSTPREID = Dataset(CARD, read, markers=ANNOTATIONS, raw_tasks=("t2i",))
