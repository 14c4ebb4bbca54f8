"""The summary tables: six tasks at a glance, whether instructions are obeyed, effect of the wording."""

from __future__ import annotations

import math
from collections.abc import Sequence

from omnireid.evaluation import Evaluation
from omnireid.report import percent, sentence_spreads
from omnireid.tasks import TASKS

QUERY_MODES = ("right", "wrong", "none")  # instruction labels of ctcc and li rows, see omnireid.benchmark
HEADLINE_COLUMNS = (
    "task",
    "data set",
    "protocol",
    "mAP",
    "R1",
    "R5",
    "R10",
    "mINP",
    "mAP untrained",
    "mAP chance",
    "queries",
    "gallery",
)
STEERING_COLUMNS = (
    "task",
    "gallery instruction",
    "protocol",
    "right",
    "wrong",
    "none",
    "right − wrong",
    "right − none",
)
SENTENCE_COLUMNS = ("task", "data set", "protocol", "sentences", "mAP", "lowest", "highest", "R1", "mINP")
NUM_TEXT_COLUMNS = 3  # of all tables; the others are numbers


def headlines(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The first evaluation per task, data set and stage, and per protocol unless QUERY_MODES apply."""
    first: dict[tuple[str, str, str, str], Evaluation] = {}
    for scored in evaluations:
        rule = "" if scored.query_asked in QUERY_MODES else scored.protocol
        first.setdefault((scored.task, scored.dataset, rule, scored.stage), scored)
    return list(first.values())


def headline_rows(
    evaluations: Sequence[Evaluation], untrained: Sequence[Evaluation] = ()
) -> list[tuple[str, ...]]:
    """Cells under HEADLINE_COLUMNS, one row per task and data set; scores in percent."""
    before = {(one.task, one.dataset, one.protocol, one.stage): one.mean_ap for one in headlines(untrained)}
    return [
        (
            f"{TASKS[scored.task].title} ({scored.task})",
            scored.dataset,
            scored.title,
            percent(scored.mean_ap),
            percent(scored.rank_1),
            percent(scored.rank_5),
            percent(scored.rank_10),
            percent(scored.mean_inp),
            percent(before.get((scored.task, scored.dataset, scored.protocol, scored.stage), math.nan)),
            percent(scored.chance_ap),
            str(scored.num_valid_queries),
            str(scored.num_gallery),
        )
        for scored in headlines(evaluations)
    ]


def steering_rows(evaluations: Sequence[Evaluation]) -> list[tuple[str, ...]]:
    """Cells under STEERING_COLUMNS: mAP under three kinds of instruction, by gallery and by protocol.

    The data set is named after the task if the task has several.
    """
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    steered = [one for one in evaluations if one.query_asked in QUERY_MODES and one.stage != "re-ranked"]
    datasets = {task: {one.dataset for one in steered if one.task == task} for task in TASKS}
    for scored in steered:
        asked = scored.task if len(datasets[scored.task]) == 1 else f"{scored.task} {scored.dataset}"
        place = (asked, scored.gallery_asked, scored.title)
        found.setdefault(place, {})[scored.query_asked] = scored.mean_ap
    rows: list[tuple[str, ...]] = []
    for place, modes in found.items():
        right, wrong, none = (modes[mode] for mode in QUERY_MODES)
        differences = (f"{100 * (right - wrong):+.1f}", f"{100 * (right - none):+.1f}")
        rows.append((*place, percent(right), percent(wrong), percent(none), *differences))
    return rows


def sentence_rows(evaluations: Sequence[Evaluation]) -> list[tuple[str, ...]]:
    """Cells under SENTENCE_COLUMNS: mean ± deviation over a bank's sentences, where each was asked."""
    return [
        (
            spread.task,
            spread.dataset,
            spread.title,
            str(spread.num_sentences),
            percent(spread.mean_ap, spread.mean_ap_std),
            percent(spread.lowest_ap),
            percent(spread.highest_ap),
            percent(spread.rank_1, spread.rank_1_std),
            percent(spread.mean_inp, spread.mean_inp_std),
        )
        for spread in sentence_spreads(evaluations)
    ]
