"""The audit trail: who did what and when, each line chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from instructions.errors import InputError
from irm.retrieval.answer import Answer
from irm.retrieval.catalog import Catalog
from irm.retrieval.images import thumbnail
from irm.retrieval.question import Question

HEAD = "audit's head"  # in the metadata: number and digest of a line, kept in the gallery's own file


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail."""

    number: int
    time: float  # unix seconds
    who: str
    action: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A line to be written."""

    who: str
    action: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class KeptQuestion:
    """A question kept with its line on request: its text, small JPEGs, and who was found."""

    text: str | None
    jpegs: tuple[bytes, ...]
    images: tuple[int, ...]  # gallery images of question and answer: erasing one deletes the kept question


def line_of(who: str, purpose: str, question: Question, answer: Answer) -> Line:
    """The line of one search: who asked and how, but nothing that shows or names a person."""
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


def kept_question_of(question: Question, answer: Answer) -> KeptQuestion:
    """The question itself, kept on request."""
    pictures = [*question.images, *question.negatives, *([question.clothes] if question.clothes else [])]
    images = {*question.like, *question.unlike, *(hit.image for hit in answer.hits)}
    return KeptQuestion(
        question.text, tuple(thumbnail(one.pixels) for one in pictures), tuple(sorted(images))
    )


def write(
    catalog: Catalog, lines: Sequence[Line], now: float, keep: Sequence[KeptQuestion | None] = ()
) -> None:
    """Add lines, all or none."""
    with catalog.trail.writing() as connection:
        row = connection.execute("SELECT hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        last = "" if row is None else str(row[0])
        for place, line in enumerate(lines):
            detail = json.dumps(line.detail, sort_keys=True, ensure_ascii=False)
            last = _chained(last, now, line.who, line.action, detail)
            cursor = connection.execute(
                "INSERT INTO audit (time, who, action, detail, hash) VALUES (?, ?, ?, ?, ?)",
                (now, line.who, line.action, detail, last),
            )
            kept = keep[place] if place < len(keep) else None
            if kept is not None:
                connection.execute(
                    "INSERT INTO kept VALUES (?, ?, ?, ?)",
                    (cursor.lastrowid, kept.text, _packed(kept.jpegs), json.dumps(kept.images)),
                )


def forget(catalog: Catalog, numbers: Sequence[int]) -> None:
    """Delete kept questions; their lines stay."""
    with catalog.trail.writing() as connection:
        connection.executemany("DELETE FROM kept WHERE audit = ?", [(number,) for number in numbers])


def entries(catalog: Catalog, last: int) -> list[AuditEntry]:
    """The newest lines, newest first."""
    with catalog.trail.errors():
        rows = catalog.trail.connection.execute(
            "SELECT number, time, who, action, detail FROM audit ORDER BY number DESC LIMIT ?", (last,)
        ).fetchall()
    return [
        AuditEntry(number, time, who, action, json.loads(detail))
        for number, time, who, action, detail in rows
    ]


def head(catalog: Catalog) -> str:
    """Number and digest of the newest line, "0:" where there is none.

    Noted elsewhere, it later proves whether all lines up to it are unchanged.
    """
    with catalog.trail.errors():
        sql = "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1"
        row = catalog.trail.connection.execute(sql).fetchone()
    return "0:" if row is None else f"{row[0]}:{row[1]}"


def check(catalog: Catalog, noted: Sequence[str] = ()) -> int:
    """Verify the chain of the trail; returns how many lines it has.

    Args:
        catalog: Whose trail.
        noted: Earlier results of ``head``, which must still match.

    Raises:
        InputError: A line was changed or removed, even if it was the last.
    """
    told = f"the audit trail of {catalog.folder} has been altered"
    last, count = "", 0
    heads = [_parsed(one) for one in (*noted, catalog.metadata(HEAD) or "0:")]
    with catalog.trail.errors():
        run = catalog.trail.connection.execute
        given = run("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
        rows = run("SELECT number, time, who, action, detail, hash FROM audit ORDER BY number")
        for number, time, who, action, detail, known in rows:
            last = _chained(last, time, who, action, detail)
            count += 1
            is_as_noted = all(known.startswith(digest) for line, digest in heads if line == number)
            if last != known or number != count or not is_as_noted:
                raise InputError(f"{told} at or before line {number}; compare it with a backup")
    ended = max(0 if given is None else int(given[0]), *(line for line, _ in heads))
    if ended > count:
        raise InputError(
            f"{told}: it ends at line {count} but once had {ended} lines; compare it with a backup"
        )
    return count


def _parsed(head: str) -> tuple[int, str]:
    number, _, digest = head.partition(":")
    if not number.isdecimal():
        raise InputError(f"{head!r} is not an audit head; give the NUMBER:DIGEST that info --check printed")
    return int(number), digest


def kept_questions(catalog: Catalog, ids: Sequence[int]) -> list[int]:
    """Lines whose kept question shows or found one of these images."""
    wanted = set(ids)
    with catalog.trail.errors():
        rows = catalog.trail.connection.execute("SELECT audit, images FROM kept").fetchall()
    return [number for number, images in rows if wanted & set(json.loads(images))]


def _chained(last: str, time: float, who: str, action: str, detail: str) -> str:
    return hashlib.sha256(json.dumps([last, time, who, action, detail]).encode()).hexdigest()


def _packed(jpegs: Sequence[bytes]) -> bytes:
    return b"".join(len(jpeg).to_bytes(4, "little") + jpeg for jpeg in jpegs)
