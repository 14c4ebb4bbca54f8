"""COCAS+ Real1 (training, from the OmniReID lists) and Real2 (test): queries with a clothes template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from instructions.errors import InputError
from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.datalists import read_datalists
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.list_table import LISTS, find_lists
from omnireid.datasets.scan import NUMBER, OutfitImage, number_outfits, text_lines
from omnireid.records import UNKNOWN, Record, Split

_CITATION = (
    "Li et al., COCAS+: Large-Scale Clothes-Changing Person Re-identification with Clothes Templates, "
    "TCSVT 2022"
)

REAL1_CARD = DatasetCard(
    name="cocas_real1",
    title="COCAS+ Real1",
    tasks=("ctcc", "li"),
    homepage="https://github.com/Chenhaobin/COCAS-plus",
    access="by request to the authors; not offered for download",
    licence="not stated in the sources we consulted; assume academic research only",
    consent="no statement of consent in the sources we consulted",
    citation=_CITATION,
    folders=("real1", "COCAS", "cocas_real1"),
    num_cameras=30,
    counts={"": {"train": Published(34_469, 2_800)}},
    notes=(
        "62,382 images of 5,266 people, of which the training part is used",
        "its own layout is not published, so it is read from the OmniReID lists",
        "instructions and captions come with OmniReID: non-commercial, no redistribution (paper 1, E.1)",
    ),
)

REAL2_CARD = DatasetCard(
    name="cocas_real2",
    title="COCAS+ Real2",
    tasks=("ctcc", "li"),
    homepage="https://github.com/Chenhaobin/COCAS-plus",
    access="download from the project page",
    licence="not stated in the sources we consulted; assume academic research only",
    consent="no statement of consent in the sources we consulted; a redistribution has the faces blurred",
    citation=_CITATION,
    folders=(
        "real2/real_reid_image_face_blur",
        "real_reid_image_face_blur",
        "real2",
        "COCAS_Real2",
        "cocas_real2",
    ),
    num_cameras=11,
    counts={},
    notes=(
        "21,319 images of 101 people in its README, 14,449 in paper 1; no counts per part are published",
        "its gallery has no clothes images; own crops and captions come with the OmniReID lists",
        "it is not known whether the released lists count the person in other clothes as a true match; "
        "evaluate both ways",
    ),
    trained_on="cocas_real1",
)

COLUMNS = re.compile(r"[,\s]+")
QUERY_COLUMNS = "image_path template_path pid clothes_id camera_id"
GALLERY_COLUMNS = "image_path pid clothes_id camera_id"


def read_real1(root: Path, variant: str) -> Split:  # noqa: ARG001  one signature for all readers
    """Real1 from its lists; an image in both lists gets its clothes image and its captions.

    Raises:
        InputError: if neither list is there.
    """
    notes: list[str] = []
    by_image: dict[str, Record] = {}
    for task in ("ctcc", "li"):
        if find_lists(root, LISTS["cocas_real1", task], "") is None:
            notes.append(f"no lists for {task}")
            continue
        split = read_datalists(root, "cocas_real1", task)
        notes += split.notes
        for record in _numbered_alike(split.train, by_image) if by_image else split.train:
            seen = by_image.get(record.image)
            by_image[record.image] = record if seen is None else replace(seen, captions=record.captions)
    return Split("cocas_real1", tuple(by_image.values()), notes=tuple(notes))


def _numbered_alike(records: Sequence[Record], known: Mapping[str, Record]) -> list[Record]:
    """Records of another list of the same images, each person and outfit under its number in the first.

    A list numbers both in the order in which they appear; images that both lists have tell who is who.
    """
    shared = [(record, known[record.image]) for record in records if record.image in known]
    pids = {record.pid: first.pid for record, first in shared}
    outfits = {record.clothes_id: first.clothes_id for record, first in shared} | {UNKNOWN: UNKNOWN}
    everybody = (*known.values(), *records)
    next_pid = 1 + max(record.pid for record in everybody)
    next_outfit = 1 + max(record.clothes_id for record in everybody)
    for record in records:
        if record.pid not in pids:
            pids[record.pid], next_pid = next_pid, next_pid + 1
        if record.clothes_id not in outfits:
            outfits[record.clothes_id], next_outfit = next_outfit, next_outfit + 1
    return [
        replace(record, pid=pids[record.pid], clothes_id=outfits[record.clothes_id]) for record in records
    ]


def read_table(path: Path, columns: str) -> list[dict[str, str]]:
    """Rows of a raw query.txt or gallery.txt; columns are separated by blanks or commas.

    Raises:
        InputError: for a row with too few columns.
    """
    names = columns.split()
    rows = []
    for number, line in text_lines(path):
        fields = COLUMNS.split(line.strip())
        numbers = fields[len(names) - 3 : len(names)]
        if len(fields) < len(names) or not all(NUMBER.fullmatch(number) for number in numbers):
            raise InputError(f"{path}:{number}: expected the columns {columns}, got {line.strip()!r}")
        rows.append(dict(zip(names, fields, strict=False)))
    return rows


def _prefix(root: Path, folder: str, example: str) -> str:
    # The released tables do not say what their paths are relative to; the first image decides.
    places = (root, root / folder, root.parent)
    return f"{next((place for place in places if (place / example).exists()), root)}/"


def read_real2(root: Path, variant: str) -> Split:  # noqa: ARG001  one signature for all readers
    """Real2 from its own folder: queries with their template, gallery images without instruction.

    Raises:
        InputError: if one of the two tables is missing or empty.
    """
    tables = {
        "query": read_part(root, "query", QUERY_COLUMNS),
        "gallery": read_part(root, "gallery", GALLERY_COLUMNS),
    }
    cameras = {int(row["camera_id"]) for rows in tables.values() for row in rows}
    first_camera = 0 if 0 in cameras else 1
    images = _prefix(root, "images", tables["query"][0]["image_path"])
    templates = _prefix(root, "templates", tables["query"][0]["template_path"])
    dressed = [
        [
            OutfitImage(
                images + row["image_path"],
                int(row["pid"]),
                int(row["camera_id"]) - first_camera,
                f"{row['pid']}_{row['clothes_id']}",
            )
            for row in rows
        ]
        for rows in tables.values()
    ]
    query, gallery = number_outfits(dressed)
    query = tuple(
        replace(record, clothes=templates + row["template_path"])
        for record, row in zip(query, tables["query"], strict=True)
    )
    return Split("cocas_real2", (), query, gallery, (f"read from {root}",))


def read_part(root: Path, part: str, columns: str) -> list[dict[str, str]]:
    """One of Real2's two tables."""
    path = root / f"{part}.txt"
    rows = read_table(path, columns) if path.exists() else []
    if not rows:
        raise InputError(f"{path} is missing or empty; expected the columns {columns}")
    return rows


COCAS_REAL1 = Dataset(
    REAL1_CARD,
    read_real1,
    markers=("datalist/train_ctcc.txt", "datalist/train_attr.txt", "train_ctcc.txt", "train_attr.txt"),
    raw_tasks=(),
)
COCAS_REAL2 = Dataset(REAL2_CARD, read_real2, markers=("gallery.txt",), raw_tasks=("ctcc",))
