"""The audit trail: who did what and when, each line chained to the one before; no picture unless asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from instructions.errors import InputError
from irm.retrieval.ledger import Ledger


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
class Keep:
    """A question that somebody asked to keep with its line: the text, small JPEGs, and who was found."""

    text: str | None
    jpegs: tuple[bytes, ...]
    images: tuple[int, ...]  # gallery images of the question and of the answer: erasing one forgets it all


def write(ledger: Ledger, lines: Sequence[Line], now: float, keep: Sequence[Keep | None] = ()) -> None:
    """Add lines, all or none."""
    with ledger.writing(is_gallery=False) as connection:
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


def entries(ledger: Ledger, last: int) -> list[AuditEntry]:
    """The newest lines, newest first."""
    with ledger.errors():
        rows = ledger.connection.execute(
            "SELECT number, time, who, action, detail FROM audit ORDER BY number DESC LIMIT ?", (last,)
        ).fetchall()
    return [
        AuditEntry(number, time, who, action, json.loads(detail))
        for number, time, who, action, detail in rows
    ]


def check(ledger: Ledger) -> int:
    """How many lines the trail has.

    Raises:
        InputError: a line was changed or taken out.
    """
    last = ""
    count = 0
    rows = ledger.connection.execute(
        "SELECT number, time, who, action, detail, hash FROM audit ORDER BY number"
    )
    for number, time, who, action, detail, known in rows:
        last = _chained(last, time, who, action, detail)
        if last != known:
            raise InputError(
                f"the audit trail of {ledger.folder} was changed at or before line {number}; "
                "compare it with a copy"
            )
        count += 1
    return count


def kept_questions(ledger: Ledger, ids: Sequence[int]) -> list[int]:
    """Lines whose kept question shows or found one of these images."""
    wanted = set(ids)
    rows = ledger.connection.execute("SELECT audit, images FROM kept").fetchall()
    return [number for number, images in rows if wanted & set(json.loads(images))]


def _chained(last: str, time: float, who: str, action: str, detail: str) -> str:
    return hashlib.sha256(json.dumps([last, time, who, action, detail]).encode()).hexdigest()


def _packed(jpegs: Sequence[bytes]) -> bytes:
    return b"".join(len(jpeg).to_bytes(4, "little") + jpeg for jpeg in jpegs)
