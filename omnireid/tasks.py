"""The six tasks of Instruct-ReID as data (IRM, section 4.1): what is asked, and with which instruction."""

from dataclasses import dataclass, replace
from typing import Literal

from instructions.banks import CANONICAL, RELEASED


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One row of the task table; code reads these fields and never parses a task's name.

    ``instruction`` is the kind of an image's instruction: a sentence of a ``bank`` (both sides), a
    ``caption`` (of the wanted image for a query, its own in the gallery), a ``clothes`` image (a template
    for a query, its own crop in the gallery), or none (``t2i``: the description is the query). A
    ``listed_image`` is the one that the lists name for every image of a set (see ``InstructionSettings``).
    """

    name: str
    title: str
    query: Literal["image", "text"]
    instruction: Literal["bank", "caption", "clothes", "listed_image", "none"]
    bank: str | None
    objective: Literal["identity", "image_text"]
    sentence: str | None = None  # replaces the bank's sentences

    @property
    def canonical(self) -> str | None:
        """The sentence that represents the bank; None for a task without a bank."""
        return None if self.bank is None else self.sentence or CANONICAL[self.bank]

    @property
    def shows_clothes(self) -> bool:
        """Whether its instructions are images."""
        return self.instruction in ("clothes", "listed_image")


TASKS: dict[str, TaskSpec] = {
    spec.name: spec
    for spec in (
        TaskSpec("trad", "traditional", "image", "bank", "trad", "identity"),
        TaskSpec("cc", "clothes-changing", "image", "bank", "cc", "identity"),
        TaskSpec("vi", "visible-infrared", "image", "bank", "vi", "identity"),
        TaskSpec("ctcc", "clothes template", "image", "clothes", None, "identity"),
        TaskSpec("li", "language-instructed", "image", "caption", None, "identity"),
        TaskSpec("t2i", "text-to-image", "text", "none", None, "image_text"),
    )
}


@dataclass(frozen=True, slots=True)
class InstructionSettings:
    """How tasks without annotations get their instructions; the defaults are the paper's (section 4.1, D.1).

    ``sentences``: one of the bank's twenty, or one ``constant`` sentence in training and test, as in the
    released code. ``cc_instruction``: a sentence, or, as in the released code, the ``image`` in column two of
    the lists, which in the distributed lists is the same white shirt for everybody.
    """

    sentences: Literal["bank", "constant"] = "bank"
    cc_instruction: Literal["sentence", "image"] = "sentence"

    def task(self, name: str) -> TaskSpec:
        """The task with these instructions."""
        spec = TASKS[name]
        if spec.bank == "cc" and self.cc_instruction == "image":
            return replace(spec, instruction="listed_image", bank=None)
        if spec.bank is not None and self.sentences == "constant":
            return replace(spec, sentence=RELEASED[spec.bank])
        return spec

    def keeps_clothes_image(self, name: str) -> bool:
        """Whether a task's instruction is the image of the lists, which its records must then keep."""
        return self.task(name).instruction == "listed_image"


PAPER_INSTRUCTIONS = InstructionSettings()
