"""CUHK-PEDES: images from other ReID data sets, captioned by hand; each caption is a query."""

from __future__ import annotations

from pathlib import Path

from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.described import VARIANTS, read_described
from omnireid.records import Split

_TRAIN = Published(34_054, 11_003)

CARD = DatasetCard(
    name="cuhk_pedes",
    title="CUHK-PEDES",
    tasks=("t2i",),
    homepage="https://github.com/ShuangLI59/Person-Search-with-Natural-Language-Description",
    access="by request to the authors from a university address",
    licence="academic use only (project page)",
    consent="images of CUHK01, CUHK03, Market-1501, VIPeR and CUHK-SYSU; no statement of consent",
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
    variants=VARIANTS,
    notes=(
        "paper 1, table 9 has 28,566 training images; it says that images of the Market-1501 and CUHK03 "
        "test sets were removed; omnireid.leakage does so here",
        "68,126 training captions; 68,108 is also quoted",
    ),
)

ANNOTATIONS = ("reid_raw.json", "caption_all.json")
# People are numbered consecutively: 11,003 for train, 1,000 and 1,000. For files without a split column.
LAST_TRAIN_PID, LAST_VAL_PID = 11_003, 12_003


def split_of(number: int, pid: int) -> str:  # noqa: ARG001  RSTPReid goes by the number of the entry
    """The split of a person, by number."""
    if pid <= LAST_TRAIN_PID:
        return "train"
    return "val" if pid <= LAST_VAL_PID else "test"


def read(root: Path, variant: str) -> Split:
    """CUHK-PEDES from its own folder, in the order of the annotation file."""
    return read_described(CARD.name, root, ANNOTATIONS, variant, split_of)


CUHK_PEDES = Dataset(CARD, read, markers=ANNOTATIONS, raw_tasks=("t2i",))
