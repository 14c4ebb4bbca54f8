"""Images with captions in one JSON array, as CUHK-PEDES, ICFG-PEDES and RSTPReid have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from instructions.errors import InputError
from omnireid.datasets.captions import captions_of, entry_field, iter_entries, query_per_caption
from omnireid.datasets.card import NO_CAMERA
from omnireid.records import Record, Split

VARIANTS = {
    "test": "query and gallery of the test people",
    "val": "query and gallery of the validation people, for model selection",
}
IMAGE_FIELDS = ("file_path", "img_path")  # RSTPReid has the second


def read_described(
    name: str, root: Path, annotations: Sequence[str], variant: str, split_of: Callable[[int, int], str]
) -> Split:
    """Training and gallery records per image (the latter without captions), query records per caption.

    Args:
        name: of the data set.
        root: its own folder, with ``imgs`` and one of the annotation files.
        annotations: names that the file may have.
        variant: ``test`` or ``val``: the split of queries and gallery.
        split_of: maps number and person of an entry without a split to ``train``, ``val`` or ``test``.

    Raises:
        InputError: if there is no annotation file, or an entry cannot be understood.
    """
    path = next((root / file for file in annotations if (root / file).exists()), None)
    if path is None:
        raise InputError(f"{root} has images but no {' or '.join(annotations)}")
    images = f"{root / 'imgs'}/"
    splits: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
    num_silent = 0
    for number, entry in enumerate(iter_entries(path)):
        pid = entry_field(entry, "id", int, path, number)
        split = entry["split"] if "split" in entry else split_of(number, pid)
        if split not in splits:
            raise InputError(f"{path}: entry {number}: split {split!r} is not one of train, val, test")
        captions = captions_of(entry.get("captions"), path, number)
        num_silent += not captions
        field = next((known for known in IMAGE_FIELDS if known in entry), IMAGE_FIELDS[0])
        image = images + entry_field(entry, field, str, path, number)
        splits[split].append(Record(image, pid, NO_CAMERA["train"], captions=captions))
    notes = [f"read from {path}: {variant}"]
    if num_silent:
        notes.append(f"{num_silent} images have no caption")
    found = splits[variant]
    query = query_per_caption(replace(record, camid=NO_CAMERA["query"]) for record in found)
    gallery = tuple(replace(record, camid=NO_CAMERA["gallery"], captions=()) for record in found)
    return Split(name, tuple(splits["train"]), query, gallery, tuple(notes))
