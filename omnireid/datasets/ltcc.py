"""LTCC: twelve cameras (two digits in the name), outfits numbered within a person."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from omnireid.datasets.card import Counts, DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.scan import OutfitImage, image_names, matched, note_missing, number_outfits
from omnireid.records import Split

_COUNTS: Counts = {
    "train": Published(9_576, 77),
    "query": Published(493, 75),
    "gallery": Published(7_050, 75),
}

CARD = DatasetCard(
    name="ltcc",
    title="LTCC",
    tasks=("cc", "ctcc"),
    homepage="https://naiq.github.io/LTCC_Perosn_ReID.html",
    access="see the project page",
    licence="not stated in the sources we consulted; assume academic research only",
    consent="no statement of consent in the sources we consulted",
    citation="Qian et al., Long-Term Cloth-Changing Person Re-identification, ACCV 2020",
    folders=("ltcc/LTCC_ReID", "LTCC_ReID", "ltcc", "LTCC"),
    num_cameras=12,
    counts={"general": _COUNTS, "cc": _COUNTS, "sc": _COUNTS},
    variants={
        "general": "all queries; the lists query_general.txt and gallery_general.txt",
        "cc": "the lists query_cc.txt and gallery_cc.txt; in the raw layout the protocol decides",
        "sc": "the lists query_sc.txt and gallery_sc.txt; in the raw layout the protocol decides",
    },
    notes=(
        "paper 1, table 9 has 9,423 training images, the public copy 9,576; the reason is not documented",
        "ctcc (the paper's LTCC with clothes templates) is training only; template and own crop alternate",
        "the name of the ctcc list in the released pack is not known; train_ctcc.txt is ours",
        "loaders that parse a single digit after _c assign cameras 10, 11 and 12 to camera 1",
    ),
)

TEMPLATES, CROPS = "templates", "croped_clothes/train"  # the second is spelt so in the released tree
# 094_1_c9_015923.png: person, outfit of that person, camera, frame
NAME = re.compile(r"(\d+)_(\d+)_c(\d+)_")


def read(root: Path, variant: str) -> Split:
    """LTCC from its own folder; all variants have the same records and differ only in their protocol."""
    notes = [f"read from {root}: {variant}"]
    folders = {
        part: root / folder for part, folder in (("train", "train"), ("query", "query"), ("gallery", "test"))
    }
    note_missing(folders, notes)
    parts = [
        [
            OutfitImage(path, int(match[1]), int(match[3]) - 1, f"{match[1]}_{match[2]}")
            for path, match in matched(folder, NAME, notes)
        ]
        for folder in folders.values()
    ]
    train, query, gallery = number_outfits(parts)
    return Split(CARD.name, train, query, gallery, tuple(notes))


def read_with_templates(root: Path, variant: str) -> Split:
    """The training images with clothes images (LTCC‡ of table 9), as far as these exist.

    Clothes images are beside the data set's folder, as in the OmniReID tree: ``templates/094_1.*`` is the
    shop image of an outfit, ``croped_clothes/train/NAME`` the clothes cropped from an image. Images that
    have both use them alternately, so that training sees the clothes images of queries and of the gallery.
    """
    split = read(root, variant)
    beside = root.parent if (root.parent / TEMPLATES).is_dir() or (root.parent / CROPS).is_dir() else root
    shop = {Path(name).stem: f"{beside / TEMPLATES}/{name}" for name in image_names(beside / TEMPLATES)}
    cut = {name: f"{beside / CROPS}/{name}" for name in image_names(beside / CROPS)}
    train = []
    for row, record in enumerate(split.train):
        name = record.image.rpartition("/")[2]
        choice = [path for path in (shop.get(name.partition("_c")[0]), cut.get(name)) if path is not None]
        train.append(replace(record, clothes=choice[row % len(choice)] if choice else None))
    notes = [*split.notes, f"read from {beside}: clothes images"]
    if num_bare := sum(record.clothes is None for record in train):
        notes.append(f"{num_bare} training images have no clothes image and are left out")
    return replace(
        split, train=tuple(r for r in train if r.clothes), query=(), gallery=(), notes=tuple(notes)
    )


LTCC = Dataset(
    CARD,
    read,
    markers=("train/*_c*_*.*", "query/*_c*_*.*", "test/*_c*_*.*"),
    raw_tasks=("cc", "ctcc"),
    readers_of={"ctcc": read_with_templates},
)
