"""A figure of two models' ranked lists for the same queries, one below the other (MLLM, figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from instructions.errors import InputError
from instructions.instruction import Instruction
from omnireid.benchmark import RankedList, ranked_list
from omnireid.evaluation import Evaluation
from omnireid.records import Split
from omnireid.report import percent
from omnireid.sheet import CELL_WIDTH, GAP, MARGIN, Cell, Section, compose

RULE = "shown: where the two APs differ most, whichever wins; one query per person; ties in query order"
SCORE_WIDTH, TEXT_WIDTH = 118, 200  # pixels for a model's name and AP, and for a text query


@dataclass(frozen=True, eq=False)
class Model:
    """A model's name and what it scored."""

    name: str
    evaluation: Evaluation


def most_different(first: Evaluation, second: Evaluation, split: Split, count: int) -> list[int]:
    """Rows of the queries at which two models differ most, by ``RULE``."""
    gaps = np.abs(second.average_precision - first.average_precision)
    answered = np.flatnonzero(~np.isnan(gaps))
    chosen: dict[int, int] = {}  # by person
    for row in answered[np.argsort(-gaps[answered], kind="stable")]:
        chosen.setdefault(split.query[int(row)].pid, int(row))
    return list(chosen.values())[:count]


def check_queries(rows: Sequence[int], evaluation: Evaluation) -> None:
    """Refuse queries that do not exist or have no answer.

    Raises:
        InputError: naming the first.
    """
    total = len(evaluation.average_precision)
    for row in rows:
        if not 0 <= row < total:
            raise InputError(f"there is no query {row}; they are 0 to {total - 1}")
        if np.isnan(evaluation.average_precision[row]):
            raise InputError(f"query {row} has no true match in the gallery; choose another")


def summary(first: Model, second: Model) -> str:
    """How the two compare over all queries, so that the chosen ones are not mistaken for typical."""
    gaps = second.evaluation.average_precision - first.evaluation.average_precision
    better, worse = int((gaps > 0).sum()), int((gaps < 0).sum())
    answered = int((~np.isnan(gaps)).sum())
    scores = ", ".join(
        f"{one.name} mAP {percent(one.evaluation.mean_ap)} R1 {percent(one.evaluation.rank_1)}"
        for one in (first, second)
    )
    counts = f"better at {better}, worse at {worse}, equal at {answered - better - worse}"
    return f"{scores}; of {answered} queries {second.name} is {counts}"


def case_study(
    first: Model,
    second: Model,
    split: Split,
    instructions: Sequence[Instruction] | None,
    rows: Sequence[int],
    *,
    top: int = 10,
    note: str = RULE,
) -> Image.Image:
    """The figure: a section per query, in it a strip per model, right answers green and wrong ones red.

    Args:
        first: the upper strip, the baseline.
        second: the lower strip.
        split: the queries and gallery of both searches.
        instructions: those given with the queries, or None.
        rows: which queries.
        top: images of each list.
        note: how the queries were chosen.

    Raises:
        InputError: an image cannot be read.
    """
    scored = first.evaluation
    where = f"{scored.task} on {scored.dataset}, {_rules(first, second)}"
    sections = [
        Section(f"{first.name} above, {second.name} below", where, ()),
        Section("", summary(first, second), ()),
        Section("", note, ()),
        Section("", "", ()),
    ]
    for row in rows:
        lists = [ranked_list(split, instructions, one.evaluation, row) for one in (first, second)]
        gain = lists[1].average_precision - lists[0].average_precision
        record = split.query[row]
        remark = f"camera {record.camid + 1}; {second.name} {100 * gain:+.1f} AP"
        if lists[0].sentence is not None and lists[0].image is not None:
            remark += f"; “{lists[0].sentence[:90]}”"
        strips = tuple(
            _strip(model.name, shown, top, with_query=model is first)
            for model, shown in zip((first, second), lists, strict=True)
        )
        sections.append(Section(f"query {row}, person {record.pid}", remark, strips))
    asked = TEXT_WIDTH if rows and lists[0].image is None else CELL_WIDTH
    clothes = CELL_WIDTH + GAP if rows and lists[0].clothes is not None else 0
    width = 2 * MARGIN + asked + clothes + SCORE_WIDTH + top * (CELL_WIDTH + GAP) + 3 * GAP + 24
    return compose(sections, max(width, 1000))


def _rules(first: Model, second: Model) -> str:
    titles = dict.fromkeys((first.evaluation.title, second.evaluation.title))
    return " and ".join(titles)


def _strip(name: str, shown: RankedList, top: int, *, with_query: bool) -> tuple[Cell, ...]:
    """The query (in the upper strip only), the model's name and AP, and the ranked list."""
    cells = []
    if shown.image is None:
        cells.append(Cell("", text=shown.sentence if with_query and shown.sentence else "", width=TEXT_WIDTH))
    elif with_query:
        cells.append(Cell("query", Path(shown.image)))
    else:
        cells.append(Cell(""))
    if shown.clothes is not None:
        cells.append(Cell("instruction", Path(shown.clothes)) if with_query else Cell(""))
    cells.append(
        Cell("", text=f"{name}\nAP {percent(shown.average_precision)}", width=SCORE_WIDTH, gap_before=12)
    )
    for rank, (path, right) in enumerate(shown.results[:top], start=1):
        cells.append(Cell(f"{rank} {'right' if right else 'wrong'}", Path(path), verdict=right))
    return tuple(cells)
