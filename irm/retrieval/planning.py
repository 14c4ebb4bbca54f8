"""How a question is understood: as which task, in which view, with which instruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from instructions.errors import InputError
from instructions.instruction import NEUTRAL, Instruction
from irm.retrieval.answer import Route
from irm.retrieval.catalog import SpaceRow
from irm.retrieval.info import IndexedView
from irm.retrieval.question import Question
from irm.retrieval.routing import Router
from irm.retrieval.views import PREFERRED, VIEWS, known_view, sentence_of
from omnireid.tasks import TASKS, InstructionSettings


@dataclass(frozen=True)
class Plan:
    """One question, understood."""

    task: str
    space: SpaceRow
    instruction: Instruction | None  # given with each image; None where a text is the query
    instruction_text: str
    route: Route | None

    @property
    def is_text(self) -> bool:
        """Whether a text is the query."""
        return self.instruction is None


def plan_query(question: Question, held: Mapping[str, IndexedView], router: Router) -> Plan:
    """Decide on task, view and instruction.

    Raises:
        InputError: the question contradicts itself, or the gallery has no view for it.
    """
    if not held:
        raise InputError("the gallery is empty; index some images first")
    if not question.has_image:
        return _text_alone(question, held)
    if question.task == "t2i":
        raise InputError("task t2i searches by text alone; omit the image, or choose another task")
    if question.view is not None and known_view(question.view, held).beside == "nothing":
        raise InputError(f"the view {question.view!r} is for text queries; choose another view for an image")
    route = None
    if question.view is not None:
        view = question.view
        task = question.task or VIEWS[view].task
    elif question.task is None and question.text is not None:
        route = router.route(question.text, _choices(held))
        view, task = route.view, VIEWS[route.view].task
    else:
        task = question.task or ("ctcc" if question.clothes is not None else _default_task(held))
        view = _preferred(task, held)
    instruction = _instruction(question, task, view, router.model.asking)
    return Plan(task, held[view].row, instruction, instruction.sentence or "clothes image", route)


def _text_alone(question: Question, held: Mapping[str, IndexedView]) -> Plan:
    assert question.text is not None
    if question.task not in (None, "t2i"):
        raise InputError(f"task {question.task} needs an image of a person; with a text alone, use task t2i")
    if question.view is not None and known_view(question.view, held).beside != "nothing":
        raise InputError(f"a text alone is searched in the view 'plain', not {question.view!r}")
    if "plain" not in held:
        raise InputError(
            "this gallery cannot be searched by text alone: its model was not trained for t2i, or it was "
            "indexed without the view 'plain'"
        )
    return Plan("t2i", held["plain"].row, None, "", None)


def _choices(held: Mapping[str, IndexedView]) -> list[str]:
    """Views for image queries; those for descriptions first, in order of preference."""
    best = [view for view in PREFERRED["li"] if view in held and held[view].is_complete]
    rest = [view for view in held if VIEWS[view].beside != "nothing" and view not in best]
    return [*best, *(view for view in rest if VIEWS[view].beside != "own")] or rest


def _default_task(held: Mapping[str, IndexedView]) -> str:
    return next((task for task in ("trad", "cc", "vi") if task in held), "li")


def _preferred(task: str, held: Mapping[str, IndexedView]) -> str:
    """The best view that covers every image; else the best there is."""
    known = [view for view in PREFERRED[task] if view in held]
    complete = [view for view in known if held[view].is_complete]
    if known:
        return (complete or known)[0]
    raise InputError(
        f"the gallery has no view for task {task} (it has: {', '.join(held)}); choose another task, or index "
        f"again with --views {PREFERRED[task][0]}"
    )


def _instruction(question: Question, task: str, view: str, asking: InstructionSettings) -> Instruction:
    if question.clothes is not None:
        return Instruction(clothes=question.clothes.name, source="user")
    if question.text is not None:
        return Instruction(sentence=question.text, source="user")
    said = sentence_of(task, asking)
    if said is not None:
        return Instruction(sentence=said, source="bank")
    if question.task is None:
        return NEUTRAL
    missing = {"caption": "a text that describes the wanted image", "clothes": "a clothes image"}
    raise InputError(f"task {task} needs {missing[TASKS[task].instruction]} (view {view})")
