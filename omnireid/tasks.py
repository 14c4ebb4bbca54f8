"""The six tasks of Instruct-ReID as data (IRM, section 4.1): what is asked, and with which instruction."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One row of the task table; code asks this row and never searches a task's name for letters.

    ``instruction`` says what stands beside an image: a sentence of a ``bank`` (both sides), a ``caption`` (of
    the wanted picture for a query, its own in the gallery), a ``clothes`` picture (a template for
    a query, its own crop in the gallery), or nothing (``t2i``: the description is the query).
    """

    name: str
    title: str
    query: Literal["image", "text"]
    instruction: Literal["bank", "caption", "clothes", "none"]
    bank: str | None
    objective: Literal["identity", "image_text"]


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
