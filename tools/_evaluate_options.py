"""The options of tools.evaluate: which rows to evaluate, under which protocol, and where to report."""

import argparse
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from tools._outcome import file_name

if TYPE_CHECKING:
    from irm.evaluation import Candidate
    from irm.schema import IRMRun
    from omnireid.benchmark import Row
    from omnireid.extraction import Settings
    from omnireid.metrics import ReRanking

RE_RANKING = "20,6,0.3"
# Options that change a score, with their defaults.
HOW = {
    "source": "auto",
    "every_sentence": False,
    "re_rank": None,
    "re_score": 128,
    "match": None,
    "precision": "fp32",
}
OWN_ROW = ("dataset", "task", "variant", "protocol")  # options that give a row in place of the sheet's


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for what to evaluate, and how."""
    add = parser.add_argument_group("what to evaluate").add_argument
    add("--data", type=Path, metavar="DIR", help="folder that holds the data sets (default: the sheet's)")
    add(
        "--sheet", type=Path, metavar="FILE", help="sheet whose evaluation rows are used (default: the run's)"
    )
    add("--tasks", metavar="t,...", help="only the sheet's rows for these tasks, e.g. trad,li")
    add("--dataset", metavar="NAME", help="evaluate this data set instead of a sheet's rows, e.g. market1501")
    add("--task", metavar="t", help="task to evaluate --dataset on: trad, cc, vi, ctcc, li or t2i")
    add("--variant", metavar="NAME", help="variant of the data set, e.g. ir_to_vis (default: its first)")
    add("--source", default="auto", metavar="S", help="lists or raw, if a data set has both (default: auto)")
    add("--protocol", metavar="p,...", help="protocols of docs/protocols.md (default: the data set's own)")
    add("--untrained", action="store_true", help="also evaluate the network before training")
    add = parser.add_argument_group("how to evaluate").add_argument
    add("--every-sentence", action="store_true", help="also evaluate each of a bank's twenty sentences")
    add(
        "--re-rank",
        nargs="?",
        const=RE_RANKING,
        metavar="k1,k2,l",
        help="also evaluate image search re-ranked (without a value: 20,6,0.3)",
    )
    add(
        "--re-score",
        type=int,
        default=128,
        metavar="K",
        help="images re-scored per t2i query; 0: none (default: 128)",
    )
    add("--match", type=int, metavar="K", help="images that a matcher scores per query image (default: all)")
    add(
        "--precision",
        choices=("fp32", "bf16", "auto"),
        default="fp32",
        help="auto: bf16 on a GPU (default: fp32)",
    )
    add("--batch-size", type=int, default=128, metavar="N", help="images per batch (default: 128)")
    add("--workers", type=int, default=0, metavar="N", help="image-loading processes (default: 0)")


def rows_and_data(asked: argparse.Namespace, candidate: "Candidate") -> "tuple[tuple[Row, ...], Path]":
    """The rows to evaluate, and the folder of their data sets.

    Raises:
        InputError: options contradict each other, or a name is unknown.
    """
    from instructions.errors import InputError
    from irm.config import read_run
    from irm.evaluation import rows_of

    sheet = None if asked.sheet is None else read_run(asked.sheet)
    if asked.dataset is not None:
        rows = _own_rows(asked, candidate, sheet)
    else:
        for name in (*OWN_ROW, "source"):
            if getattr(asked, name) not in (None, "auto"):
                raise InputError(
                    f"--{name} needs --dataset NAME, which replaces the sheet's rows; to select among the "
                    "sheet's rows use --tasks"
                )
        tasks = None if asked.tasks is None else [name.strip() for name in asked.tasks.split(",")]
        rows = rows_of(candidate, tasks, sheet=sheet)
    told = sheet or candidate.sheet
    if asked.data is None and told is None:
        raise InputError(f"{candidate.folder} does not record where its data sets are; give --data DIR")
    return rows, asked.data or Path(told.data if told is not None else "")


def _own_rows(asked: argparse.Namespace, candidate: "Candidate", sheet: "IRMRun | None") -> "tuple[Row, ...]":
    """The rows of --dataset and --task, one per protocol."""
    from instructions.errors import InputError, near_miss
    from irm.evaluation import instruction_settings_for
    from omnireid.benchmark import Row
    from omnireid.datasets import dataset_named
    from omnireid.tasks import TASKS

    if asked.tasks is not None:
        raise InputError("--tasks selects among a sheet's rows; with --dataset use --task t")
    if asked.task is None:
        raise InputError(f"--task is missing; give the task to evaluate {asked.dataset} on, e.g. --task trad")
    if asked.task not in TASKS:
        raise InputError(
            f"there is no task {asked.task!r}{near_miss(asked.task, TASKS)}; known: {', '.join(TASKS)}"
        )
    dataset = dataset_named(asked.dataset).card.name
    asking = instruction_settings_for(candidate, sheet)
    return tuple(
        Row(asked.task, dataset, protocol, asked.variant, asked.source, asking)
        for protocol in protocols_of(asked, dataset)
    )


def protocols_of(asked: argparse.Namespace, dataset: str) -> list[str]:
    """The protocols named by --protocol, else the data set's own.

    Raises:
        InputError: there is no such protocol.
    """
    from omnireid.protocols import protocol_named, suited_protocol

    named = asked.protocol or suited_protocol(asked.task, dataset, asked.variant)
    return [protocol_named(name.strip()).name for name in named.split(",")]


def settings_of(asked: argparse.Namespace) -> "Settings":
    """The settings of an evaluation.

    Raises:
        InputError: a number is out of range.
    """
    from instructions.errors import InputError
    from omnireid.extraction import Settings

    for name, least in (("re_score", 0), ("match", 0), ("batch_size", 1), ("workers", 0)):
        given = getattr(asked, name)
        if given is not None and given < least:
            raise InputError(f"--{name.replace('_', '-')} is {given}; it must be at least {least}")
    return Settings(
        batch_size=asked.batch_size,
        workers=asked.workers,
        re_score=asked.re_score,
        match=asked.match,
        re_rank=re_ranking_of(asked),
    )


def re_ranking_of(asked: argparse.Namespace) -> "ReRanking | None":
    """The parameters given to --re-rank.

    Raises:
        InputError: they are not three numbers in their ranges.
    """
    from instructions.errors import InputError
    from omnireid.metrics import ReRanking

    if asked.re_rank is None:
        return None
    try:
        k1, k2, share = asked.re_rank.split(",")
        found = ReRanking(int(k1), int(k2), float(share))
    except ValueError:
        found = ReRanking(0)
    if found.k1 < 1 or found.k2 < 1 or not 0 <= found.lambda_value <= 1:
        raise InputError(
            f"--re-rank is {asked.re_rank!r}; give k1,k2,lambda, two positive integers and a number from 0 "
            "to 1, e.g. 20,6,0.3; without a value --re-rank must come after RUN"
        )
    return found


def told(asked: argparse.Namespace) -> str:
    """The options that affect a report."""
    from irm.config import dump, read_run

    names = ("tasks", "data", "sheet", *OWN_ROW, *HOW)
    words = [f"{name}={getattr(asked, name)}" for name in names]
    if asked.sheet is not None:  # the file may change later
        words.append(f"sheet_sha256={hashlib.sha256(dump(read_run(asked.sheet)).encode()).hexdigest()}")
    return " ".join(words)


def report_path(asked: argparse.Namespace, candidate: "Candidate", *, is_partial: bool) -> Path:
    """The default path of a report, without --json; different questions have different names.

    It is ``evaluation.json`` in a run's folder; for a checkpoint or model it is beside the folder, not
    inside.
    """
    from irm.evaluation import Run

    if asked.json is not None:
        return Path(asked.json)
    folder = candidate.folder.absolute()
    first = "evaluation" if isinstance(candidate, Run) else f"{folder.name}-evaluation"
    place = folder if isinstance(candidate, Run) else folder.parent
    words = [first]
    words += [] if asked.sheet is None or asked.dataset else [asked.sheet.stem]
    words += [] if asked.tasks is None else [name.strip() for name in asked.tasks.split(",")]
    words += [word for name in OWN_ROW if (word := getattr(asked, name)) is not None]
    for name, usual in HOW.items():
        value, word = getattr(asked, name), name.replace("_", "-")
        if value != usual:
            words.append(word if value in (True, RE_RANKING) else f"{word}-{value}")
    words += ["partial"] if is_partial else []
    return place / f"{file_name(words)}.json"
