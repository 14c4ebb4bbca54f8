"""The audit's line of a search: who asked and how, but nothing that shows or names a person."""

from __future__ import annotations

from typing import Any

from irm.retrieval.answer import Answer
from irm.retrieval.audit import Keep, Line
from irm.retrieval.indexing import thumbnail
from irm.retrieval.question import Question


def line_of(who: str, purpose: str, question: Question, answer: Answer) -> Line:
    """The line of one search."""
    filters = question.where.as_dict()
    if "pids" in filters:
        filters["pids"] = len(question.where.pids)
    detail: dict[str, Any] = {
        "task": answer.task,
        "view": answer.view,
        "space": answer.space,
        "engine": answer.engine,
        "filters": filters,
        "first": question.first,
        "top": question.top,
        "pictures": len(question.images) + len(question.like),
        "has_text": question.text is not None,
        "question": question.digest(),
        "purpose": purpose,
    }
    return Line(who, "search", detail)


def keep_of(question: Question, answer: Answer) -> Keep:
    """The question itself, kept on request."""
    pictures = [*question.images, *question.negatives, *([question.clothes] if question.clothes else [])]
    images = {*question.like, *question.unlike, *(hit.image for hit in answer.hits)}
    return Keep(question.text, tuple(thumbnail(one.pixels) for one in pictures), tuple(sorted(images)))
