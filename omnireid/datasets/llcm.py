"""LLCM: nine cameras by day and by night, visible and near-infrared images of the same people."""

from __future__ import annotations

import re
from pathlib import Path

from instructions.errors import InputError
from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.scan import PERSON, image_names, named_subfolders, note_missing, text_lines
from omnireid.records import Modality, Record, Split

_TRAIN = Published(30_921, 713)  # 16,946 visible and 13,975 infrared
_VISIBLE, _INFRARED = Published(8_680, 351), Published(7_166, 351)

CARD = DatasetCard(
    name="llcm",
    title="LLCM",
    tasks=("vi",),
    homepage="https://github.com/ZYK100/LLCM",
    access="signed dataset release agreement to the authors (project page)",
    licence="the authors' dataset release agreement, which we have not read",
    consent="no statement of consent in the sources we consulted",
    citation="Zhang and Wang, Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark for "
    "Visible-Infrared Person Re-identification, CVPR 2023",
    folders=("llcm/LLCM", "LLCM", "llcm"),
    num_cameras=9,
    counts={
        "vis_to_ir": {"train": _TRAIN, "query": _VISIBLE, "gallery": _INFRARED},
        "ir_to_vis": {"train": _TRAIN, "query": _INFRARED, "gallery": _VISIBLE},
    },
    variants={"vis_to_ir": "visible query, infrared gallery", "ir_to_vis": "infrared query, visible gallery"},
    notes=(
        "published as 13,909 test images, but 8,680 + 7,166 = 15,846 = 46,767 - 30,921; the sum is used",
        "the official script evaluates visible-to-infrared in the opposite direction; see the protocol llcm",
        "the split's gallery has all images; the protocol draws one per person and camera, ten times",
    ),
)

CAMERA = re.compile(r"cam(\d{1,9})$")
MODALITY_OF: dict[str, Modality] = {"vis": "rgb", "nir": "ir"}
QUERY_SIDE = {"vis_to_ir": "vis", "ir_to_vis": "nir"}
OTHER = {"vis": "nir", "nir": "vis"}


def read_tree(root: Path, folder: str, notes: list[str]) -> list[Record]:
    """Every image of ``folder/camN/PID/``, by person, camera and name: the order of the official draws.

    The camera is the number of the ``camN`` folder, even if ``cam`` occurs in the path before it.
    """
    modality = MODALITY_OF[folder.removeprefix("test_")]
    records = []
    for camera in named_subfolders(root / folder, CAMERA, notes):
        camid = int(camera.removeprefix("cam")) - 1
        for person in named_subfolders(root / folder / camera, PERSON, notes):
            prefix = f"{root / folder / camera / person}/"
            records += [
                Record(prefix + name, int(person), camid, modality=modality) for name in image_names(prefix)
            ]
    return sorted(records, key=lambda record: (record.pid, record.camid, record.image))


def read_index(root: Path, index: Path, modality: Modality) -> list[Record]:
    """The images of ``idx/train_*.txt`` (lines ``vis/cam1/0001/0001_c01_s190019_f0001_vis.jpg 0``).

    The second column is a class number; the person is the folder, as in the test part.
    """
    records = []
    for number, line in text_lines(index):
        relative = line.split()[0].lstrip("/")
        parts = relative.split("/")
        camera = CAMERA.match(parts[-3]) if len(parts) >= 3 else None
        if camera is None or not PERSON.fullmatch(parts[-2]):
            raise InputError(
                f"{index}:{number}: expected '.../cam1/0001/NAME.jpg CLASS', got {line.strip()!r}"
            )
        records.append(Record(f"{root}/{relative}", int(parts[-2]), int(camera[1]) - 1, modality=modality))
    return sorted(records, key=lambda record: (record.pid, record.camid, record.image))


def test_pids(root: Path) -> frozenset[int] | None:
    """The people of ``idx/test_id.txt`` (one line, commas), None without the file."""
    path = root / "idx" / "test_id.txt"
    if not path.exists():
        return None
    words = [word for _, line in text_lines(path) for word in line.replace(",", " ").split()]
    wrong = [word for word in words if not PERSON.fullmatch(word)]
    if wrong or not words:
        got = repr(wrong[0]) if wrong else "none"
        raise InputError(f"{path}: expected comma-separated person numbers, got {got}")
    return frozenset(int(word) for word in words)


def read(root: Path, variant: str) -> Split:
    """LLCM from its own folder."""
    notes = [f"read from {root}: {variant}"]
    note_missing({name: root / name for name in ("vis", "nir", "test_vis", "test_nir")}, notes)
    train: list[Record] = []
    for name, modality in MODALITY_OF.items():
        index = root / "idx" / f"train_{name}.txt"
        train += read_index(root, index, modality) if index.exists() else read_tree(root, name, notes)
    pids = test_pids(root)
    sides = {
        name: tuple(r for r in read_tree(root, f"test_{name}", notes) if pids is None or r.pid in pids)
        for name in MODALITY_OF
    }
    query = QUERY_SIDE[variant]
    return Split(CARD.name, tuple(train), sides[query], sides[OTHER[query]], tuple(notes))


LLCM = Dataset(
    CARD, read, markers=("vis", "nir", "test_vis", "test_nir", "idx/train_vis.txt"), raw_tasks=("vi",)
)
