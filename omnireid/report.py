"""A report: evaluations with their provenance, as one JSON file and as the rows of a table."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from instructions.banks import BANKS
from instructions.errors import InputError
from omnireid.evaluation import Evaluation, mean_and_std
from omnireid.files import write_whole
from omnireid.tasks import TASKS

FORMAT = "instruct-reid report"
VERSION = 3
INSTRUCTION_COLUMNS = ("query instruction", "gallery instruction")
COLUMNS = (
    "task",
    "data set",
    "protocol",
    *INSTRUCTION_COLUMNS,
    "mAP",
    "R1",
    "R5",
    "R10",
    "mINP",
    "chance mAP",
    "queries",
    "gallery",
)
Fact = str | int | float | bool | None
_ARRAYS = {
    "cmc": np.float64,
    "average_precision": np.float64,
    "hits": np.float64,
    "shown": np.int64,
    "shown_right": np.bool_,
}


def machine() -> dict[str, Fact]:
    """The machine and library versions, for a report's provenance."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


@dataclass(frozen=True)
class SentenceSpread:
    """How much the wording of a bank's instruction matters: scores over all its sentences."""

    task: str
    dataset: str
    protocol: str
    title: str
    num_sentences: int
    mean_ap: float
    mean_ap_std: float  # of the population of sentences
    lowest_ap: float
    highest_ap: float
    rank_1: float
    rank_1_std: float
    mean_inp: float
    mean_inp_std: float


def sentence_spreads(evaluations: Sequence[Evaluation]) -> tuple[SentenceSpread, ...]:
    """One spread per task, data set and title for which every sentence of the task's bank was evaluated."""
    asked: dict[tuple[str, str, str, str], dict[str, Evaluation]] = {}
    for scored in evaluations:
        place = (scored.task, scored.dataset, scored.protocol, scored.title)
        asked.setdefault(place, {})[scored.query_asked] = scored
    spreads = []
    for place, scored_by in asked.items():
        bank = BANKS.get(TASKS[place[0]].bank or "", ())
        if not bank or not set(bank) <= set(scored_by):
            continue
        scored_of = [scored_by[sentence] for sentence in bank]
        mean_aps = [scored.mean_ap for scored in scored_of]
        spreads.append(
            SentenceSpread(
                *place,
                len(bank),
                *mean_and_std(mean_aps),
                min(mean_aps),
                max(mean_aps),
                *mean_and_std([scored.rank_1 for scored in scored_of]),
                *mean_and_std([scored.mean_inp for scored in scored_of]),
            )
        )
    return tuple(spreads)


@dataclass(frozen=True)
class Report:
    """Evaluations in the order of their table rows, and their provenance.

    ``provenance`` says how the numbers were made: the callers' config hash, seed, commit and time, and
    ``machine()``.
    """

    evaluations: tuple[Evaluation, ...]
    provenance: Mapping[str, Fact] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, ...]]:
        """Cells under COLUMNS, one row per evaluation; scores in percent."""
        return [_cells(evaluation) for evaluation in self.evaluations]

    def to_json(self) -> str:
        """The whole report; nan is written as null."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "provenance": dict(self.provenance),
            "evaluations": [_to_dict(evaluation) for evaluation in self.evaluations],
            "sentences": [asdict(spread) for spread in sentence_spreads(self.evaluations)],
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the JSON file, whole or not at all."""
        write_whole(path, self.to_json().encode(), durable=True)

    @staticmethod
    def read(path: Path) -> Report:
        """Read a report that ``write`` wrote.

        Raises:
            InputError: The file is not a report, is damaged, or has another version.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, FileNotFoundError) as error:
            raise InputError(f"{path} is not a report: {error}") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"{path} is not a report: its format is not {FORMAT!r}")
        if content.get("version") != VERSION:
            raise InputError(
                f"{path} is a report of version {content.get('version')!r}, but this program reads version "
                f"{VERSION}; evaluate again"
            )
        try:
            evaluations = tuple(_from_dict(part) for part in content["evaluations"])
            return Report(evaluations, dict(content["provenance"]))
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(f"{path} is a damaged report ({error}); evaluate again") from None


def percent(share: float, deviation: float | None = None) -> str:
    """A share in percent with one decimal, and its deviation if given; a dash for nan.

    >>> percent(0.6666), percent(0.5, 0.0123), percent(float("nan"))
    ('66.7', '50.0 ± 1.2', '–')
    """
    if math.isnan(share):
        return "–"
    return f"{100 * share:.1f}" + (f" ± {100 * deviation:.1f}" if deviation is not None else "")


def _cells(evaluation: Evaluation) -> tuple[str, ...]:
    drawn = evaluation.num_trials > 1
    return (
        evaluation.task,
        evaluation.dataset,
        evaluation.title,
        evaluation.query_asked or "–",
        evaluation.gallery_asked or "–",
        percent(evaluation.mean_ap, evaluation.mean_ap_std if drawn else None),
        percent(evaluation.rank_1, evaluation.rank_1_std if drawn else None),
        percent(evaluation.rank_5),
        percent(evaluation.rank_10),
        percent(evaluation.mean_inp),
        percent(evaluation.chance_ap),
        f"{evaluation.num_valid_queries} of {evaluation.num_query}",
        str(evaluation.num_gallery),
    )


def _to_dict(evaluation: Evaluation) -> dict[str, Any]:
    return {part.name: _plain(getattr(evaluation, part.name)) for part in fields(evaluation)}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(part) for part in value.tolist()]
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _from_dict(content: Mapping[str, Any]) -> Evaluation:
    known = {part.name for part in fields(Evaluation)}
    if set(content) != known:
        raise InputError(
            f"an evaluation has missing or unknown fields: {', '.join(sorted(known ^ set(content)))}"
        )
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in content.items()}
    for name, dtype in _ARRAYS.items():
        values[name] = np.array([math.nan if part is None else part for part in content[name]], dtype=dtype)
    return Evaluation(**values)
