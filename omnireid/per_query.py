"""The scores of every query as a table in a file, for significance tests and closer inspection."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from instructions.errors import InputError
from omnireid.evaluation import Evaluation
from omnireid.records import Record

COLUMNS = (
    "task",
    "data set",
    "protocol",
    "query asks",
    "gallery has",
    "query",
    "image",
    "pid",
    "camid",
    "AP",
    "R1",
)


class Search(NamedTuple):
    """The evaluation that a line belongs to."""

    task: str
    dataset: str
    protocol: str  # followed by a space and the stage, if that is not "features"
    query_asked: str
    gallery_asked: str


class Scored(NamedTuple):
    """One query of an evaluation, its scores averaged over the draws; nan where it has no answer."""

    search: Search
    query: int  # row of the split
    image: str
    pid: int
    camid: int
    average_precision: float
    hit: float


def per_query(evaluation: Evaluation, queries: Sequence[Record]) -> list[Scored]:
    """The lines of one evaluation."""
    search = Search(
        evaluation.task,
        evaluation.dataset,
        evaluation.protocol
        if evaluation.stage == "features"
        else f"{evaluation.protocol} {evaluation.stage}",
        evaluation.query_asked,
        evaluation.gallery_asked,
    )
    scores = zip(queries, evaluation.average_precision.tolist(), evaluation.hits.tolist(), strict=True)
    return [
        Scored(search, row, record.image, record.pid, record.camid, precision, hit)
        for row, (record, precision, hit) in enumerate(scores)
    ]


def to_csv(lines: Iterable[Scored]) -> str:
    """The table under COLUMNS; scores in full precision, empty where a query has no answer."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        scores = ("" if math.isnan(value) else repr(value) for value in (line.average_precision, line.hit))
        writer.writerow((*line.search, line.query, line.image, line.pid, line.camid, *scores))
    return buffer.getvalue()


def read_csv(path: Path) -> list[Scored]:
    """A table that ``to_csv`` wrote.

    Raises:
        InputError: The file is not there or is not such a table.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a per-query table: {error}") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise InputError(f"{path} is not a per-query table; write one with tools.evaluate --per-query FILE")
    return [_scored(path, number, row) for number, row in enumerate(rows[1:], start=2)]


def _scored(path: Path, number: int, row: Sequence[str]) -> Scored:
    try:
        *search, query, image, pid, camid, precision, hit = row
        scores = [float(value) if value else np.nan for value in (precision, hit)]
        scored = Scored(Search(*search), int(query), image, int(pid), int(camid), *scores)
    except (TypeError, ValueError):
        raise InputError(f"{path}:{number}: expected the columns {', '.join(COLUMNS)}, got {row}") from None
    if any(value and not 0 <= share <= 1 for value, share in zip((precision, hit), scores, strict=True)):
        raise InputError(f"{path}:{number}: AP and R1 must be from 0 to 1, got {precision} and {hit}")
    return scored
