"""Index images: `python -m tools.index RUN --images DIR --store DIR`; and maintain what is indexed."""

import argparse
import csv
import io
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from instructions.errors import InputError, near_miss
from tools._gallery import ACTIONS, FINISHED, Bar, print_info
from tools._outcome import LEFT_OUT
from tools._program import (
    print_line,
    program_parser,
    refuse_unwritable,
    run,
    waiting,
    whole_number,
    write_text,
)

if TYPE_CHECKING:
    from irm.retrieval import Added, Gallery, Item

SHOWN = 10  # images left out that are printed
BY_COSINE = (
    "this model is evaluated by the Euclidean distance of raw features (model.normalise: false), but a "
    "gallery compares by cosine, so its ranked lists differ from those of tools.evaluate"
)
EXAMPLE = """examples:
  python -m tools.index runs/demo/run --images photos --store galleries/photos
  python -m tools.index runs/demo/run --images day2 --prefix day2 --store galleries/photos
  python -m tools.index runs/demo/run --images crops.csv --store galleries/crops --keep-days 30
  python -m tools.index runs/demo/run --data runs/demo/data --split trad/market1501 --store galleries/market

and for an existing store:
  python -m tools.index info    --store galleries/photos --audit 20
  python -m tools.index list    --store galleries/photos --pid 7
  python -m tools.index erase   --store galleries/photos --pid 7
  python -m tools.index expire  --store galleries/photos
  python -m tools.index export  --store galleries/photos --image 12 --out held
  python -m tools.index copy    --store galleries/photos --out backup/photos
  python -m tools.index rebuild --store galleries/photos --engine postgresql://me@db/reid

Running the same command again resumes an interrupted run, adds new images and leaves the rest alone.
An image's key is its path within the folder; a key that another image already has is refused (--prefix).
A table (.csv, .tsv) has a column `path` and any of key, pid, camid, time, dataset, clothes_id, modality,
caption, clothes; see docs/search.md. (A run in a folder called "erase" is written ./erase.)
Hidden files and folders are skipped and counted. Exit code: 0 all is done, 2 bad input or an error, 3 done
except for what is named: images that could not be read, or what an erasure did not find."""


def parser() -> argparse.ArgumentParser:
    """The command line of indexing."""
    made = program_parser("index", "Make or extend a searchable gallery of images.", EXAMPLE)
    made.add_argument("run", type=Path, metavar="RUN", help="run of tools.train, or the folder of a model")
    made.add_argument(
        "--store", type=Path, required=True, metavar="DIR", help="the gallery; created if it does not exist"
    )
    made.add_argument(
        "--images", type=Path, metavar="DIR|TABLE", help="a folder of images, or a table of them"
    )
    made.add_argument(
        "--prefix", metavar="NAME", help="keys become NAME/key: for a second folder with the same file names"
    )
    made.add_argument("--data", type=Path, metavar="DIR", help="folder that contains the data sets")
    made.add_argument("--split", metavar="TASK/DATASET", help="a data set's gallery, e.g. trad/market1501")
    made.add_argument(
        "--views", metavar="a,b", help="only these views of each image; more can be added later"
    )
    made.add_argument("--keep-days", type=float, metavar="N", help="images expire N days from today")
    made.add_argument(
        "--again", action="store_true", help="include images that were erased or had expired before"
    )
    made.add_argument(
        "--left-out",
        type=Path,
        metavar="FILE",
        help="also write the unreadable images and why, as a CSV table",
    )
    made.add_argument("--batch-size", type=int, default=128, metavar="N", help="images per batch (128)")
    made.add_argument(
        "--engine", default="local", metavar="ADDRESS", help="another engine to keep up to date as well"
    )
    return made


def action_parser(action: str) -> argparse.ArgumentParser:
    """The command line of the other actions."""
    made = program_parser(f"index {action}", ACTIONS[action].__doc__, EXAMPLE)
    made.add_argument("--store", type=Path, required=True, metavar="DIR", help="the gallery")
    made.add_argument("--engine", default="local", metavar="ADDRESS", help="another engine of this gallery")
    made.add_argument("--who", default="local", metavar="NAME", help="name recorded in the audit log")
    several = partial(made.add_argument, action="extend", nargs="+", default=[])
    if action in ("erase", "export"):
        several("--image", type=whole_number, metavar="N", help="image by its number")
    if action in ("erase", "list"):
        several("--pid", type=whole_number, metavar="N", help="person")
    if action == "erase":
        several("--key", metavar="NAME", help="image by its key")
    if action == "list":
        made.add_argument(
            "--key", default="", metavar="BEGINNING", help="only images whose key begins with this"
        )
    if action in ("copy", "export"):
        made.add_argument("--out", type=Path, required=True, metavar="DIR", help="output folder")
    if action == "info":
        made.add_argument(
            "--audit", type=int, default=0, metavar="N", help="also print the last N lines of the audit log"
        )
        made.add_argument(
            "--check", action="store_true", help="also verify the audit chain and the other engine"
        )
        several("--head", metavar="N:DIGEST", help="an audit head that --check printed earlier")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def main() -> None:
    """Parse, then index, or do the action named by the first word."""
    words = sys.argv[1:]
    if words and words[0] in ACTIONS:
        args = action_parser(words[0]).parse_args(words[1:])
        ACTIONS[words[0]](args)
        return
    args = parser().parse_args(words)
    if not args.run.exists() and (hint := near_miss(str(args.run), ACTIONS)):
        raise InputError(f"there is no run {args.run}{hint}")
    if args.batch_size < 1:
        raise InputError(f"--batch-size is {args.batch_size}; it must be greater than zero")
    if args.keep_days is not None and args.keep_days <= 0:
        raise InputError(f"--keep-days is {args.keep_days}; it must be greater than zero")
    refuse_unwritable(args.left_out)
    views = None if args.views is None else [name.strip() for name in args.views.split(",")]
    with waiting("reading the list of images and loading the model"):
        from irm.retrieval import Gallery

        items, dataset, hidden = _items(args)
        if args.prefix:
            items = [replace(item, key=f"{args.prefix.rstrip('/')}/{item.key}") for item in items]
        opened = Gallery.create(args.store, args.run, views=views, dataset=dataset, engine=args.engine)
    console = Console(markup=False)
    with opened as gallery:
        if gallery.model.is_raw:
            print_line(console, BY_COSINE)
        gone = gallery.expire()
        if gone is not None:
            print_line(console, f"{gone.images} expired images were erased" if gone.images else FINISHED)
        added = _add(gallery, items, args, console)
        _report(console, added, hidden, args.left_out)
        print_info(console, gallery)
    if added.failures:
        sys.exit(LEFT_OUT)


def _add(gallery: "Gallery", items: "list[Item]", args: argparse.Namespace, console: Console) -> "Added":
    try:
        with Bar(console) as show:
            show("indexing", 0, len(items))  # the first batch may take minutes
            return gallery.add(
                items,
                progress=show,
                keep_days=args.keep_days,
                batch_size=args.batch_size,
                again=args.again,
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; run the same command again to continue") from None


def _items(args: argparse.Namespace) -> "tuple[list[Item], str | None, int]":
    """What to index, the data set that it comes from, and how many hidden images a folder has besides."""
    from irm.retrieval import items_of_records, items_of_table
    from irm.retrieval.items import scan_folder

    if (args.images is None) == (args.split is None):
        raise InputError(
            "specify what to index: either --images DIR (or a table), or --data DIR --split TASK/DATASET"
        )
    if args.images is not None:
        if args.images.suffix.lower() in (".csv", ".tsv"):
            return items_of_table(args.images), None, 0
        items, hidden = scan_folder(args.images)
        return items, None, hidden
    if args.data is None:
        raise InputError("--split needs --data, the folder that holds the data sets")
    from omnireid.datasets import load_split

    task, _, dataset = args.split.partition("/")
    if not dataset:
        raise InputError(f"--split is {args.split!r}; write TASK/DATASET, e.g. trad/market1501")
    split = load_split(args.data, dataset, task)
    return items_of_records(split.gallery, split.name, args.data), split.name, 0


def _report(console: Console, added: "Added", hidden: int, table: Path | None) -> None:
    """Say what became of the images, and write all that were left out to a table, if asked."""
    if hidden:
        print_line(console, f"images skipped in hidden files and folders (.*, @eaDir, __MACOSX): {hidden}")
    if added.forgotten:
        print_line(
            console,
            f"{added.forgotten} were skipped because they had been erased or had expired; pass --again "
            "to index them anyway",
        )
    for key, reason in added.failures[:SHOWN]:
        print_line(console, f"left out: {key} ({reason})", style="yellow")
    if len(added.failures) > SHOWN:
        print_line(console, f"left out: {len(added.failures) - SHOWN} more; --left-out FILE lists all")
    if table is not None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([("key", "reason"), *added.failures])
        write_text(table, text.getvalue())
    print_line(
        console,
        f"{added.added} added, {added.updated} updated, {added.unchanged} unchanged, "
        f"{len(added.failures)} could not be read",
    )


if __name__ == "__main__":
    run(main)
