"""PRCC: cameras A and B show one outfit of a person, camera C another; the gallery is camera A."""

from __future__ import annotations

import re
from pathlib import Path

from omnireid.datasets.card import Counts, DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.scan import PERSON, image_names, matched, named_subfolders, note_missing
from omnireid.records import Record, Split

_KNOWN: Counts = {"train": Published(17_896, 150), "gallery": Published(3_384, 71)}

CARD = DatasetCard(
    name="prcc",
    title="PRCC",
    tasks=("cc",),
    homepage="https://www.isee-ai.cn/~yangqize/clothing.html",
    access="see the project page",
    licence="not stated in the sources we consulted; assume academic research only",
    consent="no statement of consent in the sources we consulted",
    citation="Yang et al., Person Re-identification by Contour Sketch under Moderate Clothing Change, 2020",
    folders=("prcc", "PRCC", "PRCC/prcc", "prcc/prcc"),
    num_cameras=3,
    counts={"clothes_change": _KNOWN, "same_clothes": _KNOWN},
    variants={
        "clothes_change": "query: camera C, in different clothes from the gallery",
        "same_clothes": "query: camera B, in the same clothes",
    },
    notes=(
        "3,384 + 3,543 + 3,873 = 10,800 test images of 71 people; sources disagree on which of the last two "
        "is B and which is C, so neither is checked",
        "gallery: all of camera A (multi-shot) or one image per person (single-shot), by the protocol",
        "val has the same people as train and is not read",
    ),
)

CAMERAS = {"A": 0, "B": 1, "C": 2}
QUERY_CAMERA = {"clothes_change": "C", "same_clothes": "B"}
GALLERY_CAMERA = "A"
OTHER_CLOTHES = "C"
TRAIN_NAME = re.compile(r"([ABC])_")  # A_cropped_rgb001.jpg; in test the folder names the camera


def _record(image: str, person: str, letter: str) -> Record:
    # Two outfits per person, so that the same clothes have the same number in every variant.
    pid = int(person)
    return Record(image, pid, CAMERAS[letter], 2 * pid + (letter == OTHER_CLOTHES))


def read_train(folder: Path, notes: list[str]) -> tuple[Record, ...]:
    """``train/001/A_cropped_rgb001.jpg``: the folder is the person, the letter the camera."""
    return tuple(
        _record(path, person, match[1])
        for person in named_subfolders(folder, PERSON, notes)
        for path, match in matched(folder / person, TRAIN_NAME, notes)
    )


def read_camera(folder: Path, letter: str, notes: list[str]) -> tuple[Record, ...]:
    """``test/A/001/cropped_rgb001.jpg``: one camera of the test people."""
    return tuple(
        _record(f"{folder / letter / person}/{name}", person, letter)
        for person in named_subfolders(folder / letter, PERSON, notes)
        for name in image_names(folder / letter / person)
    )


def read(root: Path, variant: str) -> Split:
    """PRCC from its own folder (the one that holds ``rgb``) or from ``rgb`` itself."""
    rgb = root / "rgb" if (root / "rgb").is_dir() else root
    notes = [f"read from {rgb}: {variant}"]
    test, letter = rgb / "test", QUERY_CAMERA[variant]
    note_missing({"train": rgb / "train", "query": test / letter, "gallery": test / GALLERY_CAMERA}, notes)
    train = read_train(rgb / "train", notes)
    query, gallery = (read_camera(test, camera, notes) for camera in (letter, GALLERY_CAMERA))
    return Split(CARD.name, train, query, gallery, tuple(notes))


PRCC = Dataset(CARD, read, markers=("rgb/train", "rgb/test", "test/A"), raw_tasks=("cc",))
