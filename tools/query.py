"""Ask a gallery: `python -m tools.query --store DIR [--image F] [--text T] [--clothes F] [--task t]`."""

import argparse
import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from instructions import numbers
from instructions.errors import InputError
from tools._outcome import LEFT_OUT, warn
from tools._program import (
    print_line,
    print_tables,
    program_parser,
    refuse_unwritable,
    run,
    waiting,
    whole_number,
)
from tools._queries import answer_many, read_queries

if TYPE_CHECKING:
    from irm.retrieval import Answer, Gallery, Question

EXAMPLE = """examples:
  python -m tools.query --store galleries/photos --image me.jpg                      the same person
  python -m tools.query --store galleries/photos --image me.jpg --task cc            ignoring clothes
  python -m tools.query --store galleries/photos --image me.jpg --text "in a red coat"
  python -m tools.query --store galleries/photos --image me.jpg --clothes coat.jpg
  python -m tools.query --store galleries/photos --text "a man with a yellow backpack"
  python -m tools.query --store galleries/photos --image a.jpg b.jpg --not c.jpg --camera 2,3 \\
    --since 2026-01-01 --first 20 --json
  python -m tools.query --store galleries/photos --each --image queries/*.jpg > answers.jsonl
  python -m tools.query --store galleries/photos --queries queries.jsonl > answers.jsonl

A line of --queries is {"image": "me.jpg", "text": "in a red coat"}, with any of image, not, like, unlike,
text, clothes, task, view; the other options apply to all. Each answer is one line, in the same order.
A text given with an image is routed by its nearest known instruction; the answer names it, and --task or
--view overrides it. Similarity is not identification."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser("query", "Search a gallery by images, text and clothes images.", EXAMPLE)
    made.add_argument("--store", type=Path, required=True, metavar="DIR", help="folder made by tools.index")
    made.add_argument("--run", type=Path, metavar="RUN", help="run of the model, if it was moved")
    made.add_argument("--engine", default="local", metavar="ADDRESS", help="another engine of this gallery")
    several = partial(made.add_argument, action="extend", nargs="+", default=[])
    several("--image", metavar="F", help="image of the person; several are averaged")
    several("--like", type=whole_number, metavar="N", help="gallery image of the person")
    several("--not", dest="negatives", metavar="F", help="image of a different person")
    several("--unlike", type=whole_number, metavar="N", help="gallery image of a different person")
    made.add_argument("--text", metavar="T", help="instruction for an image; without one, a description")
    made.add_argument("--clothes", type=Path, metavar="F", help="image of the clothes to look for")
    made.add_argument("--task", metavar="t", help="trad, cc, vi, ctcc, li or t2i")
    made.add_argument(
        "--view", metavar="v", help="view of the gallery to search (tools.index info lists them)"
    )
    made.add_argument("--camera", metavar="1,2", help="only these cameras")
    made.add_argument("--dataset", metavar="a,b", help="only these data sets")
    made.add_argument("--modality", metavar="rgb|ir", help="only visible or only infrared images")
    made.add_argument("--since", metavar="TIME", help="taken then or later, e.g. 2026-01-31T18:30")
    made.add_argument("--until", metavar="TIME", help="taken then or earlier")
    made.add_argument("--top", type=int, default=20, metavar="N", help="hits per page (20)")
    made.add_argument(
        "--first", type=int, default=0, metavar="N", help="hits to skip: 20 is the second page (0)"
    )
    made.add_argument("--re-rank", action="store_true", help="re-rank the top 100 by common neighbours")
    made.add_argument(
        "--re-score", type=int, default=128, metavar="K", help="images that the match head re-scores (128)"
    )
    made.add_argument("--who", default="local", metavar="NAME", help="name recorded in the audit log")
    made.add_argument("--purpose", default="", metavar="TEXT", help="reason recorded in the audit log")
    made.add_argument("--each", action="store_true", help="each --image is a query of its own: JSON lines")
    made.add_argument(
        "--queries", type=Path, metavar="FILE", help="run every line of a file; prints JSON lines"
    )
    made.add_argument("--json", action="store_true", help="print the answer as JSON")
    made.add_argument("--csv", type=Path, metavar="FILE", help="write the ranked list")
    made.add_argument("--picture", type=Path, metavar="FILE", help="write a contact sheet (JPEG, PNG, WebP)")
    return made


def main() -> None:
    """Parse, search, print, write."""
    args = parser().parse_args()
    if args.each or args.queries is not None:
        _ask_many(args)
        return
    refuse_unwritable(args.csv, args.picture)
    with waiting("loading the model"):
        from irm.retrieval.contact_sheet import contact_sheet, kind_of
        from omnireid.files import write_whole

        question = _question(args)
        kind = "" if args.picture is None else kind_of(args.picture)
        opened = _open(args)
    with opened as gallery:
        answer = gallery.search(question, who=args.who, purpose=args.purpose)
        sheet = contact_sheet(question, answer, gallery.picture, kind) if kind else b""
    if args.json:
        print(json.dumps(answer.as_dict(), indent=1, ensure_ascii=False))
    else:
        _print(Console(markup=False), answer)
    for path, content in ((args.csv, answer.as_csv().encode()), (args.picture, sheet)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)


def _ask_many(args: argparse.Namespace) -> None:
    if args.each == (args.queries is not None):
        raise InputError("--each and --queries both run many queries; pass only one of them")
    if args.each and not args.image:
        raise InputError("--each runs one query per image; pass the images with --image")
    if args.csv is not None or args.picture is not None:
        raise InputError(
            "--csv and --picture write a single answer; omit either them, or --each and --queries"
        )
    queries = read_queries(args)
    with waiting("loading the model"):
        opened = _open(args)
    failed = 0
    with opened as gallery:
        for told in answer_many(gallery, queries, _question):
            failed += "error" in told
            print(json.dumps(told), flush=True)
    if failed:
        sentence = f"{failed} of {len(queries)} queries were not answered; their output lines give the reason"
        if failed == len(queries):
            raise InputError(sentence)
        warn([sentence])
        sys.exit(LEFT_OUT)


def _open(args: argparse.Namespace) -> "Gallery":
    from irm.retrieval import Gallery

    return Gallery.open(args.store, run=args.run, engine=args.engine)


def _question(args: argparse.Namespace) -> "Question":
    from irm.retrieval import Filter, Picture, Question
    from irm.retrieval.items import time_of

    def words(text: str | None) -> tuple[str, ...]:
        return () if text is None else tuple(part.strip() for part in text.split(",") if part.strip())

    where = Filter(
        camids=tuple(numbers.whole_number(word, "--camera") for word in words(args.camera)),
        datasets=words(args.dataset),
        modalities=words(args.modality),
        since=None if args.since is None else time_of(args.since, "--since"),
        until=None if args.until is None else time_of(args.until, "--until"),
    )
    return Question(
        images=tuple(Picture.read(path) for path in args.image),
        like=tuple(args.like),
        negatives=tuple(Picture.read(path) for path in args.negatives),
        unlike=tuple(args.unlike),
        text=args.text,
        clothes=None if args.clothes is None else Picture.read(args.clothes),
        task=args.task,
        view=args.view,
        where=where,
        top=args.top,
        first=args.first,
        re_rank=args.re_rank,
        re_score=args.re_score,
    )


def _print(console: Console, answer: "Answer") -> None:
    """The ranked list without columns that say nothing, and what its figures mean."""
    all_cosines = all(hit.stage == "cosine" for hit in answer.hits)
    columns: dict[str, list[str]] = {
        "rank": [str(hit.rank) for hit in answer.hits],
        "image": [str(hit.image) for hit in answer.hits],
        "score": [f"{hit.score:.3f}" for hit in answer.hits],
        "stage": ["" if all_cosines else hit.stage for hit in answer.hits],
        "same\nperson": ["" if hit.percent is None else f"{hit.percent} %" for hit in answer.hits],
        "by\naccident": [hit.rarity() for hit in answer.hits],
        "person": ["" if hit.pid is None else str(hit.pid) for hit in answer.hits],
        "camera": ["" if hit.camid is None else str(hit.camid) for hit in answer.hits],
        "taken": ["" if hit.taken is None else _time(hit.taken) for hit in answer.hits],
        "key": [hit.key for hit in answer.hits],
    }
    title = f"task {answer.task}, gallery view {answer.view}, {answer.total} images searched"
    shown = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    filled = {heading: cells for heading, cells in columns.items() if any(cells)}
    for heading in filled:
        is_text = heading in ("stage", "taken", "key")
        # On a narrow terminal the key alone is folded.
        shown.add_column(
            heading, justify="left" if is_text else "right", overflow="fold", no_wrap=heading != "key"
        )
    for row in zip(*filled.values(), strict=True):
        shown.add_row(*row)
    print_tables(console, shown)
    if answer.hits:
        print_line(console, answer.legend())
    if answer.route is not None:
        print_line(console, f"the text was {answer.route.reason}; --task or --view overrides it")
    if answer.warning is not None:
        print_line(console, f"note: {answer.warning}", style="yellow")
    searched = answer.seconds - answer.load_seconds - answer.embed_seconds
    told = (answer.load_seconds, answer.embed_seconds, searched)
    print_line(
        console,
        "{:.0f} ms reading the index, {:.0f} ms the encoder, {:.0f} ms the search; similarity is not "
        "identification".format(*(1000 * seconds for seconds in told)),
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


if __name__ == "__main__":
    run(main)
