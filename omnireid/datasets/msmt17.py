"""MSMT17, versions 1 and 2 (faces masked): four list files beside a train and a test folder."""

from __future__ import annotations

import re
from pathlib import Path

from instructions.errors import InputError
from omnireid.datasets.card import Counts, DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.scan import NUMBER, note_missing, text_lines
from omnireid.records import Record, Split

_TEST: Counts = {"query": Published(11_659, 3_060), "gallery": Published(82_161, 3_060)}

CARD = DatasetCard(
    name="msmt17",
    title="MSMT17",
    tasks=("trad",),
    homepage="http://www.pkuvmc.com/publications/msmt17.html (gone; ask the authors)",
    access="ask the authors",
    licence="not stated in the sources we consulted; assume academic research only",
    consent="campus cameras; no statement of consent in the sources we consulted; version 2 masks the faces",
    citation="Wei et al., Person Transfer GAN to Bridge Domain Gap for Person Re-Identification, CVPR 2018",
    folders=(
        "msmt/MSMT17_V1",
        "MSMT17_V1",
        "msmt17/MSMT17_V1",
        "msmt17",
        "MSMT17",
        "msmt",
        "msmt/MSMT17_V2",
        "MSMT17_V2",
        "msmt17/MSMT17_V2",
    ),
    num_cameras=15,
    counts={
        "train": {"train": Published(30_248, 1_041), **_TEST},
        "train_val": {"train": Published(32_621, 1_041), **_TEST},
        "v2_train": {"train": Published(30_248, 1_041), **_TEST},
        "v2_train_val": {"train": Published(32_621, 1_041), **_TEST},
    },
    variants={
        "train": "version 1, list_train only, as in paper 1",
        "train_val": "version 1, list_train and list_val, as TransReID, CLIP-ReID and SOLIDER report",
        "v2_train": "version 2 (faces masked), list_train only",
        "v2_train_val": "version 2 (faces masked), list_train and list_val",
    },
    notes=(
        "version 2 (mask_train_v2, mask_test_v2) scores 1.5 to 4 mAP lower than version 1; do not mix them",
        "a version 2 copy whose folders are named train and test cannot be distinguished from version 1",
        "the files number test identities from 0 again; here they follow the training identities",
    ),
)

# 0000_000_01_0303morning_0008_0.jpg: person, image, camera, date and daytime, frame, box
NAME = re.compile(r"\d+_\d+_(\d{1,9})_")
# The two versions have the same lists; only the image folders distinguish them.
IMAGE_FOLDERS = {"version 1": ("train", "test"), "version 2": ("mask_train_v2", "mask_test_v2")}
V2 = "v2_"


def read_list(path: Path, image_folder: Path) -> list[Record]:
    """Records of one list file, whose lines are ``0000/0000_000_01_0303morning_0008_0.jpg 0``."""
    prefix = f"{image_folder}/"
    records = []
    for number, line in text_lines(path):
        fields = line.split()
        match = NAME.match(fields[0].rpartition("/")[2])
        if len(fields) < 2 or match is None or not NUMBER.fullmatch(fields[1]):
            raise InputError(
                f"{path}:{number}: expected '0000/0000_000_01_0303morning_0008_0.jpg 0' (path, person), "
                f"got {line.strip()!r}"
            )
        records.append(Record(prefix + fields[0], int(fields[1]), int(match[1]) - 1))
    return records


def read(root: Path, variant: str) -> Split:
    """MSMT17 from its own folder; test pids are offset by the number of training people.

    Raises:
        InputError: if ``train_val`` is requested but list_val.txt is missing.
    """
    version = "version 2" if variant.startswith(V2) else "version 1"
    train_folder, test_folder = (root / name for name in IMAGE_FOLDERS[version])
    lists = {name: root / f"list_{name}.txt" for name in ("train", "val", "query", "gallery")}
    notes = [f"read from {root}: {version}, {variant}"]
    note_missing({name: path for name, path in lists.items() if name != "val"}, notes)
    with_val = variant.endswith("train_val")
    if with_val and not lists["val"].exists():
        raise InputError(
            f"{lists['val']} does not exist; use variant {variant.removesuffix('_val')!r}, or add the list"
        )

    def records(name: str) -> list[Record]:
        folder = train_folder if name in ("train", "val") else test_folder
        return read_list(lists[name], folder) if lists[name].exists() else []

    train, val = records("train"), records("val")
    num_train_pids = 1 + max((record.pid for record in (*train, *val)), default=-1)

    def shifted(name: str) -> tuple[Record, ...]:
        return tuple(Record(r.image, r.pid + num_train_pids, r.camid) for r in records(name))

    trained = (*train, *val) if with_val else tuple(train)
    return Split(CARD.name, trained, shifted("query"), shifted("gallery"), tuple(notes))


MSMT17 = Dataset(
    CARD,
    read,
    markers=("list_train.txt", "list_query.txt", "!mask_train_v2", "!mask_test_v2"),
    raw_tasks=("trad",),
    markers_of={name: ("mask_train_v2", "mask_test_v2") for name in CARD.variants if name.startswith(V2)},
)
