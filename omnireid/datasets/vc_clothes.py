"""VC-Clothes: people from a computer game, in several outfits, seen by four cameras."""

from __future__ import annotations

import re
from pathlib import Path

from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.scan import OutfitImage, matched, note_missing, number_outfits
from omnireid.records import Split

CARD = DatasetCard(
    name="vc_clothes",
    title="VC-Clothes",
    tasks=("cc",),
    homepage="https://wanfb.github.io/dataset.html",
    access="see the project page",
    licence="not stated in the sources we consulted; assume academic research only",
    consent="no real people: rendered with the engine of the game GTA5",
    citation="Wan et al., When Person Re-identification Meets Changing Clothes, CVPR Workshops 2020",
    folders=("vc_clothes", "VC-Clothes", "VC_Clothes", "VCClothes", "vc-clothes"),
    num_cameras=4,
    counts={
        "all": {
            "train": Published(9_449, 256),
            "query": Published(1_020, 256),
            "gallery": Published(8_591, 256),
        },
        "same_clothes": {"train": Published(9_449, 256)},
        "clothes_change": {"train": Published(9_449, 256)},
    },
    variants={
        "all": "all four cameras in the test",
        "same_clothes": "test on cameras 2 and 3, which show the same outfit",
        "clothes_change": "test on cameras 3 and 4, between which people change clothes",
    },
    notes=("the two-camera variants are evaluated by the plain Market-1501 rule",),
)

NAME = re.compile(r"(\d+)-(\d+)-(\d+)-(\d+)")  # person, camera, outfit of that person, image
TEST_CAMERAS = {"all": (1, 2, 3, 4), "same_clothes": (2, 3), "clothes_change": (3, 4)}


def read(root: Path, variant: str) -> Split:
    """VC-Clothes from its own folder; the variant selects only the test cameras."""
    notes = [f"read from {root}: {variant}"]
    folders = {part: root / part for part in ("train", "query", "gallery")}
    note_missing(folders, notes)
    parts = [
        [
            OutfitImage(path, int(m[1]), int(m[2]) - 1, f"{m[1]}-{m[3]}")
            for path, m in matched(folder, NAME, notes)
        ]
        for folder in folders.values()
    ]
    train, query, gallery = number_outfits(parts)  # first, so that numbers are the same in every variant
    query, gallery = (
        tuple(r for r in side if r.camid + 1 in TEST_CAMERAS[variant]) for side in (query, gallery)
    )
    return Split(CARD.name, train, query, gallery, tuple(notes))


VC_CLOTHES = Dataset(CARD, read, markers=("train/*-*-*-*.*", "query/*-*-*-*.*"), raw_tasks=("cc",))
