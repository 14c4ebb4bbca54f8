"""A search question: images of a person, an instruction in words or clothes, and a filter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import UInt8

from instructions.errors import InputError, near_miss
from omnireid.loading.image import MAX_PIXELS, decode_image, read_image
from omnireid.records import MODALITIES
from omnireid.tasks import TASKS

MAX_TOP = 10_000  # hits from the first to the last of a page; more is an export, not a search
MAX_WORDS = 2_000  # characters of a sentence


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded image of a question."""

    pixels: UInt8[np.ndarray, "H W 3"]
    name: str

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """An image file.

        Raises:
            InputError: it is missing, damaged, too large or no image.
        """
        return cls(read_image(path), str(path))

    @classmethod
    def decode(cls, data: bytes, name: str = "upload", max_pixels: int = MAX_PIXELS) -> Self:
        """The bytes of an image file; ``name`` is what an error calls it.

        Raises:
            InputError: as ``read``.
        """
        return cls(decode_image(data, name=name, max_pixels=max_pixels), name)

    def digest(self) -> str:
        """Hash of the pixels: shows in a log whether two searches asked the same, and nothing else."""
        shape = f"{self.pixels.shape}".encode()
        return hashlib.sha256(shape + np.ascontiguousarray(self.pixels).tobytes()).hexdigest()


@dataclass(frozen=True)
class Filter:
    """Which gallery images to search; an empty tuple or None does not filter. Times are unix seconds."""

    camids: tuple[int, ...] = ()
    datasets: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    modalities: tuple[str, ...] = ()
    since: float | None = None  # inclusive; an image without a time never passes
    until: float | None = None

    def __post_init__(self) -> None:
        for modality in self.modalities:
            if modality not in MODALITIES:
                raise InputError(
                    f"there is no modality {modality!r}{near_miss(modality, MODALITIES)}; use rgb or ir"
                )
        if self.since is not None and self.until is not None and self.since > self.until:
            raise InputError(f"the time range ends ({self.until}) before it begins ({self.since})")

    @property
    def is_empty(self) -> bool:
        """Whether every image passes."""
        return self == Filter()

    def as_dict(self) -> dict[str, object]:
        """Only the conditions that are set."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in given.items() if value not in ((), None)}


@dataclass(frozen=True, eq=False)
class Question:
    """One search. Several images are averaged; negatives are subtracted at half weight."""

    images: tuple[Picture, ...] = ()
    like: tuple[int, ...] = ()  # gallery images of the wanted person
    negatives: tuple[Picture, ...] = ()  # of somebody else
    unlike: tuple[int, ...] = ()  # gallery images of somebody else
    text: str | None = None  # the instruction if there is an image, else the query
    clothes: Picture | None = None
    task: str | None = None  # None: text and clothes decide
    view: str | None = None  # None: the task decides
    where: Filter = Filter()
    top: int = 20
    first: int = 0
    re_rank: bool = False
    re_score: int = 128

    def __post_init__(self) -> None:
        if self.text is not None:
            object.__setattr__(self, "text", " ".join(self.text.split()) or None)
        if self.task is not None and self.task not in TASKS:
            raise InputError(
                f"there is no task {self.task!r}{near_miss(self.task, TASKS)}; known: {', '.join(TASKS)}"
            )
        if self.top < 1:
            raise InputError(f"top is {self.top}; it must be at least 1")
        if self.first < 0 or self.depth > MAX_TOP:
            raise InputError(
                f"first is {self.first} and top {self.top}; first must not be negative, and together they "
                f"may not exceed {MAX_TOP}"
            )
        if not 0 <= self.re_score <= MAX_TOP:
            raise InputError(f"re_score is {self.re_score}; it must lie within 0 to {MAX_TOP}")
        if self.text is not None and len(self.text) > MAX_WORDS:
            raise InputError(f"the text has {len(self.text)} characters; at most {MAX_WORDS} are allowed")
        if not self.has_image and self.text is None:
            raise InputError("the query is empty: give an image of a person, or a description")
        if not self.has_image and (self.clothes is not None or self.negatives or self.unlike):
            raise InputError(
                "a clothes image or an image of somebody else only refines a search; give an image of "
                "the person as well"
            )
        if self.clothes is not None and self.text is not None and self.task != "ctcc":
            raise InputError("an image is combined with either a text or a clothes image, not both; omit one")

    @property
    def has_image(self) -> bool:
        """Whether an image of the wanted person is given."""
        return bool(self.images or self.like)

    @property
    def depth(self) -> int:
        """How far down the ranked list the page reaches."""
        return self.first + self.top

    def digest(self) -> str:
        """Hash of all images and words of the question."""
        whole = hashlib.sha256()
        for part in (*self.images, *self.negatives, *([self.clothes] if self.clothes else [])):
            whole.update(part.digest().encode())
        whole.update(repr((self.like, self.unlike, self.text)).encode())
        return whole.hexdigest()
