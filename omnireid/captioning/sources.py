"""Data sets with captions whose images were taken from a ReID set (MLLM 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from instructions.errors import InputError, near_miss
from omnireid.datasets.captions import captions_of, entry_field, iter_entries


@dataclass(frozen=True)
class CaptionSource:
    """One captioned data set: its location, and the ReID sets from which its images were taken.

    Images that kept their names are matched by name, others by their pixels.
    """

    name: str
    folders: tuple[str, ...]
    annotations: tuple[str, ...]
    path_field: Literal["file_path", "img_path"]
    describes: Mapping[str, Literal["name", "pixels"]]  # ReID set to how its images are matched


SOURCES: dict[str, CaptionSource] = {
    source.name: source
    for source in (
        CaptionSource(
            "cuhk_pedes",
            ("CUHK-PEDES", "CUHK-Pedes", "cuhk_pedes", "cuhkpedes", "CUHK_PEDES"),
            ("reid_raw.json", "caption_all.json"),
            "file_path",
            # The usual copies of CUHK03's new protocol have names of their own (0001_c1_1.png).
            {"market1501": "name", "cuhk03": "pixels"},
        ),
        CaptionSource(
            "icfg_pedes",
            ("ICFG-PEDES", "ICFG_PEDES", "icfg_pedes"),
            ("ICFG-PEDES.json", "ICFG_PEDES.json", "ICFG-PDES.json"),
            "file_path",
            {"msmt17": "pixels"},
        ),
        CaptionSource(
            "rstpreid",
            ("RSTPReid", "RSTPReID", "rstpreid"),
            ("data_captions.json",),
            "img_path",
            {"msmt17": "pixels"},
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Described:
    """One captioned image of a source, from any of its splits."""

    image: str
    pid: int  # in the source's numbering
    captions: tuple[str, ...]


def read_source(root: Path, name: str) -> tuple[Described, ...]:
    """All captioned images of a source below a data root.

    Raises:
        InputError: for an unknown source, or one that is missing or cannot be read.
    """
    if name not in SOURCES:
        raise InputError(
            f"there is no caption source {name!r}{near_miss(name, SOURCES)}; known: {', '.join(SOURCES)}"
        )
    source = SOURCES[name]
    places = [root / folder for folder in source.folders]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise InputError(f"the captions of {name} were not found; tried {', '.join(map(str, places))}")
    path = next((folder / each for each in source.annotations if (folder / each).is_file()), None)
    if path is None:
        raise InputError(f"{folder} has no {' or '.join(source.annotations)}")
    found = []
    for number, entry in enumerate(iter_entries(path)):
        pid = entry_field(entry, "id", int, path, number)
        image = entry_field(entry, source.path_field, str, path, number)
        captions = captions_of(entry.get("captions"), path, number)
        if captions:
            found.append(Described(f"{folder / 'imgs'}/{image}", pid, captions))
    return tuple(found)


def by_pixels(dataset: str, names: Iterable[str]) -> list[str]:
    """Of these sources those whose images of a ReID set are matched by their pixels."""
    return [name for name in names if SOURCES[name].describes[dataset] == "pixels"]
