"""Extracts the images and the twenty classic splits from ``cuhk-03.mat`` of the CUHK03 release."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from instructions.errors import InputError
from omnireid.files import write_whole

if TYPE_CHECKING:
    import h5py

BOXES = ("detected", "labeled")
MAT = "cuhk03_release/cuhk-03.mat"
FIRST_OF_VIEW_2 = 5  # a person has ten cells: the first five are from one camera, the rest from the other

Progress = Callable[[int], None]


def extract(root: Path, progress: Progress = lambda _: None) -> int:
    """Write ``images_{detected,labeled}/1_001_1_01.png`` and ``splits_classic_*.json`` beside the release.

    Existing images are not written again, so an interrupted run continues where it stopped.

    Args:
        root: the folder that holds ``cuhk03_release``.
        progress: called after each person with the number of images so far.

    Returns:
        The number of extracted images.

    Raises:
        InputError: if the file is missing or not the release, or h5py is not installed.
    """
    path = root / MAT
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the folder that holds cuhk03_release")
    num_images = 0
    with _opened(path) as mat:
        try:
            for boxes in BOXES:
                folder = root / f"images_{boxes}"
                folder.mkdir(exist_ok=True)
                people: dict[tuple[int, int], list[str]] = {}
                for person, name, reference in _images(mat, boxes):
                    _write_image(folder / name, mat, reference)
                    people.setdefault(person, []).append(name)
                    num_images += 1
                    progress(num_images)
                splits = [_split(people, test) for test in _test_people(mat)]
                write_whole(root / f"splits_classic_{boxes}.json", json.dumps(splits).encode())
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise InputError(f"{path} does not have the structure of the CUHK03 release: {error!r}") from None
    return num_images


def _opened(path: Path) -> h5py.File:
    try:
        import h5py
    except ImportError:
        raise InputError("cuhk-03.mat is an HDF5 file: pip install h5py") from None
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} is not an HDF5 file ({error}); copy it again") from None


def _images(mat: h5py.File, boxes: str) -> Iterator[tuple[tuple[int, int], str, Any]]:
    """Camera pair and person (from 1), file name and reference of every image; many cells are empty."""
    for pair, cells in enumerate(mat[boxes][0], start=1):
        for person, row in enumerate(np.transpose(mat[cells][:]), start=1):
            for place, reference in enumerate(row):
                if mat[reference].ndim == 3 and mat[reference].size:
                    view = 1 if place < FIRST_OF_VIEW_2 else 2
                    yield (pair, person), f"{pair}_{person:03d}_{view}_{place + 1:02d}.png", reference


def _write_image(path: Path, mat: h5py.File, reference: Any) -> None:
    if path.exists() and path.stat().st_size:
        return
    pixels: UInt8[np.ndarray, "H W 3"] = np.ascontiguousarray(np.transpose(mat[reference][:]))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())


def _test_people(mat: h5py.File) -> Iterator[set[tuple[int, int]]]:
    """Camera pair and person of the hundred test people of each split."""
    for reference in mat["testsets"][0]:
        yield {(int(pair), int(person)) for pair, person in np.transpose(mat[reference][:])}


def _split(
    people: dict[tuple[int, int], list[str]], test: set[tuple[int, int]]
) -> dict[str, list[list[object]]]:
    """A split in torchreid's form, ``[name, person, camera]``; without folders, so that they can be moved."""
    rows: dict[str, list[list[object]]] = {"train": [], "query": []}
    for number, (person, names) in enumerate(sorted(people.items())):
        part = "query" if person in test else "train"
        rows[part] += [[name, number, int(name.split("_")[2]) - 1] for name in names]
    return {**rows, "gallery": rows["query"]}
