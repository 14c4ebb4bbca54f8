"""Views: which instruction gallery images are embedded with, and the space of the resulting vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from instructions.errors import InputError, near_miss
from instructions.instruction import NEUTRAL, Instruction
from omnireid.loading.instruct import own_instruction
from omnireid.loading.transforms import Preprocessing
from omnireid.records import Record
from omnireid.tasks import TASKS, InstructionSettings

Beside = Literal["bank", "neutral", "own", "nothing"]


@dataclass(frozen=True, slots=True)
class View:
    """One way of embedding a gallery: the instruction given with its images, and the task."""

    name: str
    title: str
    task: str
    beside: Beside

    def instructions(
        self, records: Sequence[Record], asking: InstructionSettings
    ) -> list[Instruction] | None:
        """The instruction of each image; None if the view has none.

        Args:
            records: the images.
            asking: how the model's sheet asks.

        Raises:
            InputError: an image has no caption or clothes image of its own.
        """
        task = TASKS[self.task]
        if self.beside == "nothing":
            return None
        if self.beside == "own":
            return [own_instruction(record, task) for record in records]
        if self.beside == "neutral":
            return [NEUTRAL] * len(records)
        return [Instruction(sentence=self.says(asking), source="bank")] * len(records)

    def suits(self, record: Record) -> bool:
        """Whether an image has what the view needs."""
        if self.beside != "own":
            return True
        return (
            bool(record.captions) if TASKS[self.task].instruction == "caption" else record.clothes is not None
        )

    @property
    def shows_clothes(self) -> bool:
        """Whether the instructions are the images' own clothes images."""
        return self.beside == "own" and TASKS[self.task].instruction == "clothes"

    def says(self, asking: InstructionSettings) -> str:
        """The instruction of the images, in words."""
        if self.beside == "bank":
            return sentence_of(self.task, asking) or ""
        own = {
            "caption": "own caption",
            "clothes": "own clothes picture",
        }  # stores hold a hash of these words
        return {"neutral": NEUTRAL.sentence or "", "nothing": ""}.get(self.beside) or own.get(
            TASKS[self.task].instruction, ""
        )


def sentence_of(task: str, asking: InstructionSettings) -> str | None:
    """A task's default sentence; the paper's sentence if the run sheet uses an image instead."""
    return asking.task(task).canonical or TASKS[task].canonical


VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View("trad", "the same person, same clothes", "trad", "bank"),
        View("cc", "the same person, whatever the clothes", "cc", "bank"),
        View("vi", "across visible and infrared", "vi", "bank"),
        View("neutral", "no annotation needed; for free text and clothes images", "li", "neutral"),
        View("neutral_clothes", "no annotation needed; for clothes images alone", "ctcc", "neutral"),
        View("caption", "each image with its own caption", "li", "own"),
        View("clothes", "each image with its own clothes image", "ctcc", "own"),
        View("plain", "for descriptions without an image", "t2i", "nothing"),
    )
}
# Views in which a task may be searched, best first; the first that covers all images is taken.
PREFERRED: dict[str, tuple[str, ...]] = {
    "trad": ("trad", "neutral"),
    "cc": ("cc", "neutral"),
    "vi": ("vi", "neutral"),
    "li": ("caption", "neutral"),
    "ctcc": ("clothes", "neutral_clothes", "neutral"),
    "t2i": ("plain",),
}
OPTIONAL = ("neutral_clothes",)  # built only where it is asked for


def default_views(tasks: Iterable[str]) -> tuple[str, ...]:
    """The views that a model of these tasks can serve."""
    trained = set(tasks)
    served = {"neutral": {"li", "ctcc"}}
    return tuple(
        view.name
        for view in VIEWS.values()
        if view.name not in OPTIONAL and trained & served.get(view.name, {view.task})
    )


def known_view(name: str, known: Iterable[str] = VIEWS) -> View:
    """The view of that name.

    Raises:
        InputError: there is none.
    """
    known = tuple(known)
    if name not in known:
        raise InputError(f"there is no view {name!r}{near_miss(name, known)}; there are: {', '.join(known)}")
    return VIEWS[name]


@dataclass(frozen=True)
class Space:
    """What two vectors must have in common to be comparable: model, preprocessing, view."""

    model: str  # sha256 of the weights
    view: str
    domain: str  # whose batch-norm statistics
    beside: str  # the instruction of the gallery images
    preprocessing: Preprocessing

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def id(self) -> str:
        """Hash of all of it."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Space:
        """The inverse of ``as_dict``."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values["preprocessing"].items()
        }
        return cls(**{**values, "preprocessing": Preprocessing(**given)})
