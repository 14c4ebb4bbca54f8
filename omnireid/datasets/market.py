"""Market-1501 and data sets with its layout: three folders, person and camera in the file name."""

from __future__ import annotations

import re
from pathlib import Path

from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.scan import matched, note_missing
from omnireid.records import Record, Split

CARD = DatasetCard(
    name="market1501",
    title="Market-1501",
    tasks=("trad",),
    homepage="https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",
    access="download from the project page",
    licence="not stated in the sources we consulted; assume academic research only",
    consent="filmed in front of a campus supermarket; no statement of consent in the sources we consulted",
    citation="Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015",
    folders=(
        "market/Market-1501",
        "market1501/Market-1501-v15.09.15",
        "Market-1501-v15.09.15",
        "market1501",
        "Market-1501",
        "Market1501",
        "market",
    ),
    num_cameras=6,
    counts={
        "": {
            "train": Published(12_936, 751),
            "query": Published(3_368, 750),
            # 13,115 images of 750 people and 2,798 distractors, which share pid 0
            "gallery": Published(15_913, 751),
        }
    },
    notes=(
        "bounding_box_test holds 19,732 images; 3,819 of them are junk (pid -1) and are dropped on reading",
        "pid 0 marks distractors, which stay in the gallery as false matches",
        "paper 1, table 9 counts the junk (23,100 test images = 3,368 + 19,732)",
    ),
)

# 0002_c1s1_000451_03.jpg: person, camera, sequence, frame, box; CUHK03-NP shares the first two fields
NAME = re.compile(r"(-1|\d+)_c(\d+)")
JUNK = -1
FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}


def read_folder(folder: Path, notes: list[str]) -> tuple[Record, ...]:
    """Records of one folder in name order, without junk."""
    records: list[Record] = []
    num_junk = 0
    for path, match in matched(folder, NAME, notes):
        pid = int(match[1])
        if pid == JUNK:
            num_junk += 1
        else:
            records.append(Record(path, pid, int(match[2]) - 1))
    if num_junk:
        notes.append(f"{num_junk} junk images (pid -1) of {folder.name} left out")
    return tuple(records)


def read_market_style(root: Path, name: str, notes: list[str]) -> Split:
    """A tree of bounding_box_train, query and bounding_box_test; pid 0 is left out of training."""
    folders = {part: root / folder for part, folder in FOLDERS.items()}
    note_missing(folders, notes)
    train, query, gallery = (read_folder(folders[part], notes) for part in ("train", "query", "gallery"))
    return Split(name, tuple(record for record in train if record.pid > 0), query, gallery, tuple(notes))


def read(root: Path, variant: str) -> Split:  # noqa: ARG001  one signature for all readers
    """Market-1501 from its own folder."""
    return read_market_style(root, CARD.name, [f"read from {root}"])


MARKET1501 = Dataset(CARD, read, markers=("bounding_box_train", "bounding_box_test"), raw_tasks=("trad",))
