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
    add = parser.add_argument_group("what is judged").add_argument
    add("--data", type=Path, metavar="DIR", help="the folder that holds the data sets; else the sheet's")
    add("--sheet", type=Path, metavar="FILE", help="whose evaluation rows to judge by; else the run's")
    add("--tasks", metavar="t,...", help="only the sheet's rows of these tasks, e.g. trad,li")
    add("--dataset", metavar="NAME", help="in place of a sheet's rows: whose test it is, e.g. market1501")
    add("--task", metavar="t", help="as what: trad, cc, vi, ctcc, li or t2i")
    add("--variant", metavar="NAME", help="the data set's variant, e.g. ir_to_vis; else its first")
    add("--source", default="auto", metavar="S", help="lists or raw, where a data set has both (auto)")
    add("--protocol", metavar="p,...", help="one or more of docs/protocols.md; else the data set's own")
    add("--untrained", action="store_true", help="also evaluate the network before training")
    add = parser.add_argument_group("how").add_argument
    add("--every-sentence", action="store_true", help="also each of a bank's twenty, mean ± deviation")
    add(
        "--re-rank",
        nargs="?",
        const=RE_RANKING,
        metavar="k1,k2,l",
        help="also a row of each picture search, re-ranked (20,6,0.3)",
    )
    add("--re-score", type=int, default=128, metavar="K", help="images that t2i scores again; 0: none (128)")
    add("--match", type=int, metavar="K", help="pictures that a matcher scores for each picture; else all")
    add("--precision", choices=("fp32", "bf16", "auto"), default="fp32", help="auto: bf16 on a GPU (fp32)")
    add("--batch-size", type=int, default=128, metavar="N", help="pictures at a time (128)")
    add("--workers", type=int, default=0, metavar="N", help="processes that read pictures (0)")


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
                    f"--{name} goes with --dataset NAME, in place of the sheet's rows; choose among those "
                    "with --tasks"
                )
        tasks = None if asked.tasks is None else [name.strip() for name in asked.tasks.split(",")]
        rows = rows_of(candidate, tasks, sheet=sheet)
    told = sheet or candidate.sheet
    if asked.data is None and told is None:
        raise InputError(f"--data is missing; {candidate.folder} does not say where data sets are")
    return rows, asked.data or Path(told.data if told is not None else "")


def _own_rows(asked: argparse.Namespace, candidate: "Candidate", sheet: "IRMRun | None") -> "tuple[Row, ...]":
    """The rows of --dataset and --task, one per protocol."""
    from instructions.errors import InputError, near_miss
    from irm.evaluation import asking_for
    from omnireid.benchmark import Row
    from omnireid.datasets import dataset_named
    from omnireid.tasks import TASKS

    if asked.tasks is not None:
        raise InputError("--tasks chooses among a sheet's rows; beside --dataset say --task t")
    if asked.task is None:
        raise InputError(f"--task is missing; say as what {asked.dataset} is judged, e.g. --task trad")
    if asked.task not in TASKS:
        raise InputError(
            f"there is no task {asked.task!r}{near_miss(asked.task, TASKS)}; known: {', '.join(TASKS)}"
        )
    dataset = dataset_named(asked.dataset).card.name
    asking = asking_for(candidate, sheet)
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
            raise InputError(f"--{name.replace('_', '-')} is {given}; give a number from {least}")
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
            f"--re-rank is {asked.re_rank!r}; give k1,k2,lambda, two counts from 1 and a share, as 20,6,0.3, "
            "or nothing behind it (then it stands behind RUN)"
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
