"""Feature files of other programs: read, checked against a split, and evaluated like our own features."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from instructions.errors import InputError
from omnireid.columns import labels_of
from omnireid.extraction import Features
from omnireid.interfaces import Side
from omnireid.metrics import Metric
from omnireid.records import Record, Split
from omnireid.tasks import TaskSpec

SIDES: tuple[Side, ...] = ("query", "gallery")
ARRAYS = "query and gallery (rows in the split's order, or named by query_images and gallery_images)"
TOGETHER = "features with images (one row per image of either side)"


@dataclass(frozen=True, eq=False)
class Rows:
    """Features as in the file, with the names of their images if it has them."""

    vectors: Float[Tensor, "N D"]
    images: tuple[str, ...] | None


@dataclass(frozen=True)
class FeatureFile:
    """The content of a file: rows of ``query`` and ``gallery``, or of ``features`` for both sides."""

    path: Path
    rows: Mapping[str, Rows]
    metric: Metric = "cosine"

    def side(self, split: Split, side: Side, task: TaskSpec, *, ignore_extra: bool = False) -> Features:
        """The features of one side of a split, in the order of its records.

        Args:
            split: The data set.
            side: Query or gallery.
            task: The task that is evaluated.
            ignore_extra: Ignore named rows that are not an image of the split.

        Raises:
            InputError: Rows are missing, too many, not finite, or ambiguously named.
        """
        records = split.query if side == "query" else split.gallery
        together = "features" in self.rows
        rows = self.rows["features" if together else side]
        what = f"{self.path}: {'features' if together else side}"
        if together and task.instruction in ("none", "caption", "clothes"):
            raise InputError(
                f"{what} has one row per image, but a query of {task.name} is an image with its "
                f"instruction; expected {ARRAYS}"
            )
        if rows.images is None:
            if len(rows.vectors) != len(records):
                raise InputError(
                    f"{what} has {len(rows.vectors)} rows, but {split.name} has {len(records)} {side} "
                    f"images; name the rows with {side}_images, or see the order with --order FILE"
                )
            places = list(range(len(records)))
        else:
            others = split.gallery if side == "query" else split.query
            strangers = others if together else ()
            names = _Names(what, split.name, records, strangers)
            places = names.places(rows.images, ignore_extra=ignore_extra)
        vectors = rows.vectors[torch.tensor(places, dtype=torch.long)]
        _check_finite(vectors, records, what)
        return Features(
            task, split.name, "", vectors, labels_of(records), states=None, seconds=0.0, metric=self.metric
        )


def read_features(path: Path) -> FeatureFile:
    """Read an ``.npz`` or ``.safetensors`` file.

    Names of a safetensors file are JSON lists in its metadata, under the same keys.

    Raises:
        InputError: The file is of another kind, damaged, or lacks the arrays.
    """
    if not path.is_file():
        raise InputError(f"there is no feature file {path}")
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    if path.suffix not in readers:
        raise InputError(
            f"{path} ends in {path.suffix!r}; features are read from {' and '.join(readers)} files"
        )
    arrays, names = readers[path.suffix](path)
    metric = str(names.pop("metric", "cosine"))
    if metric not in get_args(Metric):
        raise InputError(f"{path}: metric is {metric!r}; known: {', '.join(get_args(Metric))}")
    if "features" in arrays and "images" not in names:
        raise InputError(f"{path} has features but no images; {TOGETHER} are needed together")
    wanted = ("features",) if "features" in arrays else SIDES
    lacking = [name for name in wanted if name not in arrays]
    if lacking:
        held = ", ".join(sorted({*arrays, *names})) or "nothing"
        raise InputError(
            f"{path} lacks {' and '.join(lacking)}: it holds {held}; expected {ARRAYS}, or {TOGETHER}"
        )
    rows = {
        name: _rows(path, name, arrays[name], names.get("images" if name == "features" else f"{name}_images"))
        for name in wanted
    }
    widths = {name: part.vectors.shape[1] for name, part in rows.items()}
    if len(set(widths.values())) > 1:
        raise InputError(
            f"{path}: query features have {widths['query']} values, gallery ones {widths['gallery']}"
        )
    return FeatureFile(path, rows, cast(Metric, metric))


def features_npz(split: Split, query: Features, gallery: Features) -> bytes:
    """The bytes of an ``.npz`` file with both sides, their images' names and the metric."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        query=query.vectors.numpy(),
        gallery=gallery.vectors.numpy(),
        query_images=np.array([record.image for record in split.query]),
        gallery_images=np.array([record.image for record in split.gallery]),
        metric=np.array(query.metric),
    )
    return buffer.getvalue()


def order_table(split: Split) -> str:
    """The order in which a file without names lists its rows: one line per image, tab-separated."""
    lines = ["side\trow\timage\tpid\tcamid\tcaption"]
    for side, records in zip(SIDES, (split.query, split.gallery), strict=True):
        for row, record in enumerate(records):
            caption = " ".join(record.captions[:1]).replace("\t", " ")
            lines.append(f"{side}\t{row}\t{record.image}\t{record.pid}\t{record.camid}\t{caption}")
    return "\n".join(lines) + "\n"


def _read_npz(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except Exception as error:  # zip, header and pickle errors are of many kinds
        raise InputError(f"{path} cannot be read as .npz ({error}); write it with numpy.savez") from None
    names = {name: array for name, array in content.items() if name == "metric" or name.endswith("images")}
    return {name: array for name, array in content.items() if name not in names}, names


def _read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
            metadata = file.metadata() or {}
        names = {name: json.loads(text) for name, text in metadata.items() if name.endswith("images")}
        names |= {name: text for name, text in metadata.items() if name == "metric"}
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{path} cannot be read as .safetensors ({error})") from None
    return arrays, names


def _rows(path: Path, name: str, array: Any, images: Any) -> Rows:
    try:
        native = array.astype(array.dtype.newbyteorder("=")) if isinstance(array, np.ndarray) else array
        vectors = torch.as_tensor(native)
    except (TypeError, ValueError):
        raise InputError(f"{path}: {name} holds {array.dtype}; expected floating-point numbers") from None
    if vectors.ndim != 2 or 0 in vectors.shape or not vectors.is_floating_point():
        shape = "x".join(map(str, vectors.shape)) or "a single number"
        raise InputError(
            f"{path}: {name} is {shape} of {vectors.dtype}; "
            "expected one row of floating-point numbers per image"
        )
    if images is None:
        return Rows(vectors, None)
    named = tuple(str(image).replace("\\", "/") for image in np.asarray(images).ravel().tolist())
    if len(named) != len(vectors):
        raise InputError(f"{path}: {len(named)} names came with {len(vectors)} rows of {name}")
    return Rows(vectors, named)


def _check_finite(vectors: Float[Tensor, "N D"], records: Sequence[Record], what: str) -> None:
    finite = torch.isfinite(vectors).all(dim=1)
    if not finite.all():
        row = int((~finite).nonzero()[0])
        raise InputError(
            f"{what} of {records[row].image} hold NaN or infinity ({int((~finite).sum())} such rows); "
            "a ranking needs finite numbers"
        )


class _Names:
    """Finds each record's row by the name that the other program gave its image."""

    def __init__(
        self, what: str, dataset: str, records: Sequence[Record], strangers: Sequence[Record]
    ) -> None:
        self.what, self.dataset, self.records = what, dataset, records
        images = dict.fromkeys(record.image for record in (*records, *strangers))
        self.wanted = {record.image for record in records}
        self.by_file_name: dict[str, list[str]] = defaultdict(list)
        for image in images:
            self.by_file_name[image.rpartition("/")[2]].append(image)

    def places(self, names: Sequence[str], *, ignore_extra: bool) -> list[int]:
        """The file's row of every record; several rows of one image go to its records in order."""
        rows_of: dict[str, list[int]] = defaultdict(list)
        extra = []
        for row, name in enumerate(names):
            image = self._image(name)
            if image is None:
                extra.append(name)
            else:
                rows_of[image].append(row)
        if extra and not ignore_extra:
            raise InputError(
                f"{self.what} names {len(extra)} images that {self.dataset} does not have, "
                f"e.g. {extra[0]}; remove them, or add --ignore-extra"
            )
        taken: dict[str, int] = defaultdict(int)
        places, missing = [], []
        for record in self.records:
            rows = rows_of[record.image]
            place = taken[record.image]
            taken[record.image] += 1
            if place < len(rows):
                places.append(rows[place])
            else:
                missing.append(record.image)
        if missing:
            raise InputError(
                f"{self.what} has no row for {len(missing)} of {len(self.records)} images of "
                f"{self.dataset}, e.g. {missing[0]}"
            )
        self._check_repeated(rows_of, taken)
        return places

    def _check_repeated(self, rows_of: Mapping[str, list[int]], taken: Mapping[str, int]) -> None:
        for image in self.wanted:
            if len(rows_of[image]) > taken[image]:
                raise InputError(
                    f"{self.what} names {image} {len(rows_of[image])} times, "
                    f"but {self.dataset} has it {taken[image]} times"
                )

    def _image(self, name: str) -> str | None:
        """The image whose path agrees furthest with a name, from the end; folders above may differ."""
        candidates = self.by_file_name.get(name.rpartition("/")[2], [])
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        ends = [_shared_end(name, image) for image in candidates]
        best = [image for image, end in zip(candidates, ends, strict=True) if end == max(ends)]
        if len(best) > 1:
            raise InputError(
                f"{self.what}: the name {name!r} may mean {best[0]} or {best[1]}; give more of the path"
            )
        return best[0]


def _shared_end(one: str, other: str) -> int:
    """How many parts two paths share, counted from their ends."""
    parts = list(zip(reversed(one.split("/")), reversed(other.split("/")), strict=False))
    return next((place for place, (a, b) in enumerate(parts) if a != b), len(parts))
