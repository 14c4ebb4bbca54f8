"""ICFG-PEDES: one long caption per image, people and images of MSMT17."""

from __future__ import annotations

from pathlib import Path

from instructions.errors import InputError
from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.described import read_described
from omnireid.records import Split

CARD = DatasetCard(
    name="icfg_pedes",
    title="ICFG-PEDES",
    tasks=("t2i",),
    homepage="https://github.com/zifyloo/SSAN",
    access="by request to the authors (project page)",
    licence="not stated in the sources we consulted; assume academic research only and the terms of MSMT17",
    consent="images of MSMT17; no statement of consent in the sources we consulted",
    citation="Ding et al., Semantically Self-Aligned Network for Text-to-Image Part-aware Person "
    "Re-identification, 2021",
    folders=("ICFG-PEDES", "ICFG_PEDES", "icfg_pedes", "ICFG-PDES", "icfg", "ICFG"),
    num_cameras=None,
    counts={
        "": {
            "train": Published(34_674, 3_102),
            "query": Published(19_848, 1_000, queries=19_848),
            "gallery": Published(19_848, 1_000),
        }
    },
    notes=(
        "imgs/train and imgs/test are MSMT17's folders; its own split is in the annotation file",
        "do not train on it and test on MSMT17",
        "each test caption searches all test images; the 4,855 + 14,993 of a public loader is not evaluated",
    ),
)

ANNOTATIONS = ("ICFG-PEDES.json", "ICFG_PEDES.json", "ICFG-PDES.json")  # the last one is misprinted


def read(root: Path, variant: str) -> Split:  # noqa: ARG001  one signature for all readers
    """ICFG-PEDES from its own folder, in the order of the annotation file.

    Raises:
        InputError: if an entry does not name its split, which cannot be inferred.
    """

    def unknown(number: int, pid: int) -> str:
        raise InputError(f"{root}: entry {number} (person {pid}) of the annotation file has no split")

    return read_described(CARD.name, root, ANNOTATIONS, "test", unknown)


ICFG_PEDES = Dataset(CARD, read, markers=ANNOTATIONS, raw_tasks=("t2i",))
