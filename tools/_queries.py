"""Many queries for `tools.query`, from images or from a file; the answers are JSON lines."""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from instructions.errors import BrokenError, HeldError, InputError, near_miss

if TYPE_CHECKING:
    from irm.retrieval import Answer, Gallery, Question

# Fields of a line, the command-line option that each stands for, and whether it may have several values.
FIELDS = {
    "image": ("image", True), "like": ("like", True), "not": ("negatives", True), "unlike": ("unlike", True),
    "text": ("text", False), "clothes": ("clothes", False), "task": ("task", False), "view": ("view", False),
}  # fmt: skip
FILES = ("image", "not", "clothes")  # relative to the file's folder
TOGETHER = 64  # queries per forward pass


@dataclass(frozen=True)
class Query:
    """One of the queries: as it was given, and as options of the command line."""

    given: dict[str, Any]
    options: argparse.Namespace


def read_queries(args: argparse.Namespace) -> list[Query]:
    """The queries of a command line that asks several.

    Raises:
        InputError: The file cannot be read, or a line is not a query; the sentence says which.
    """
    if args.queries is None:
        return [Query({"image": path}, _with(args, {"image": [path]})) for path in args.image]
    try:
        lines = args.queries.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{args.queries} cannot be read: {error}") from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise InputError(f"{args.queries} has no queries")
    return [_query(line, f"{args.queries}, line {number}", args) for number, line in numbered]


def answer_many(
    gallery: "Gallery", queries: list[Query], question_of: Callable[[argparse.Namespace], "Question"]
) -> Iterator[dict[str, Any]]:
    """The queries in order, each with its answer, or with the reason why there is none.

    Raises:
        BrokenError: No further query can be answered.
        HeldError: No further query can be answered for now.
    """
    for first in range(0, len(queries), TOGETHER):
        part = queries[first : first + TOGETHER]
        questions: list[Question | str] = [_or_sentence(partial(question_of, one.options)) for one in part]
        valid = [one for one in questions if not isinstance(one, str)]
        answers = iter(_answers(valid, gallery, part[0].options))
        for one, question in zip(part, questions, strict=True):
            found = question if isinstance(question, str) else next(answers)
            yield {"query": one.given, **({"error": found} if isinstance(found, str) else found.as_dict())}


def _answers(
    questions: "list[Question]", gallery: "Gallery", options: argparse.Namespace
) -> "list[Answer | str]":
    """Ask all queries together; if one fails, each alone, so that the others are not affected."""
    if not questions:
        return []
    try:
        return [*gallery.search_many(questions, who=options.who, purpose=options.purpose)]
    except (BrokenError, HeldError):
        raise
    except InputError:
        return [
            _or_sentence(partial(gallery.search, one, who=options.who, purpose=options.purpose))
            for one in questions
        ]


def _or_sentence(make: Callable[[], Any]) -> Any:
    """The result of a call, or the sentence of its error."""
    try:
        return make()
    except (BrokenError, HeldError):
        raise
    except InputError as error:
        return str(error)


def _query(line: str, where: str, args: argparse.Namespace) -> Query:
    try:
        said = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error})") from None
    if not isinstance(said, dict):
        raise InputError(f'{where} is not an object; write {{"image": "me.jpg", "text": "in a red coat"}}')
    given: dict[str, Any] = {}
    for name, value in said.items():
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise InputError(f"{where}: there is no field {name!r}{near_miss(name, FIELDS)}; known: {known}")
        option, may_be_several = FIELDS[name]
        values = value if may_be_several and isinstance(value, list) else [value]
        kind = int if name in ("like", "unlike") else str
        if any(type(one) is not kind for one in values):
            raise InputError(f"{where}: {name} is {value!r}; give {'a number' if kind is int else 'a text'}")
        values = [args.queries.parent / one for one in values] if name in FILES else values
        given[option] = values if may_be_several else values[0]
    return Query(said, _with(args, given))


def _with(args: argparse.Namespace, given: dict[str, Any]) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(args), **given})
