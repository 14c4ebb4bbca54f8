"""The actions on a gallery, from info to erase, and their progress display."""

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from instructions.errors import InputError
from tools._outcome import LEFT_OUT
from tools._program import print_line, print_tables, progress_bar, table

if TYPE_CHECKING:
    from irm.retrieval import Receipt
    from irm.retrieval.gallery_store import GalleryStore


FINISHED = "an interrupted erasure has been completed: the bytes it had deleted are now gone from the files"


class Bar:
    """A progress bar on a terminal, a line for every tenth elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console, self.tenth = console, -1
        self.bar = progress_bar(console, 20)
        self.line = self.bar.add_task("indexing", total=None)

    def __enter__(self) -> Callable[[str, int, int], None]:
        self.bar.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, what: str, done: int, total: int) -> None:
        self.bar.update(self.line, description=what, completed=done, total=total)
        if not self.console.is_terminal and 10 * done // total > self.tenth:
            self.tenth = 10 * done // total
            self.console.print(f"{what}: {done}/{total}", highlight=False)


def print_info(console: Console, gallery: "GalleryStore") -> None:
    from omnireid.tasks import TASKS

    info = gallery.info()
    rows = [
        (
            view.name,
            view.title,
            view.space,
            f"{view.num_vectors}{'' if view.complete else ' (not all)'}",
            str(view.dim),
        )
        for view in info.views
    ]
    title = f"{info.folder}: {info.images} images, {info.people} people with a person id"
    print_tables(console, table(title, ("view", "for", "space", "vectors", "width"), rows))
    tasks = ", ".join(f"{task} ({TASKS[task].title})" for task in info.tasks)
    print_line(console, f"supported tasks: {tasks}")
    print_line(console, f"{info.size_bytes / 1e6:.1f} MB on disk; model {info.model} of {info.run}")


def _open(args: argparse.Namespace) -> "GalleryStore":
    from irm.retrieval.gallery_store import GalleryStore

    return GalleryStore.open(args.store, engine=args.engine)


def _info(args: argparse.Namespace) -> None:
    """Say what a gallery holds, and what was asked of it."""
    from dataclasses import asdict

    from irm.retrieval import audit, engines

    with _open(args) as gallery:
        lines = gallery.audit(args.audit) if args.audit else []
        count, head = 0, ""
        args.check = args.check or bool(args.head)
        if args.check:
            head = audit.head(gallery.catalog)
            count = audit.check(gallery.catalog, args.head)
            for view in gallery.catalog.spaces():
                engines.check_lengths(gallery.catalog, view)
                engines.verify(gallery.store, gallery.catalog, view)
        if args.json:
            told = {**asdict(gallery.info()), "audit": [asdict(line) for line in lines]}
            told |= {"checked_audit_lines": count, "audit_head": head} if args.check else {}
            print(json.dumps(told, indent=1))
            return
        console = Console(markup=False)
        print_info(console, gallery)
        for line in reversed(lines):
            detail = json.dumps(line.detail, ensure_ascii=False)
            print_line(console, f"{line.number} {line.time:.0f} {line.who} {line.action} {detail}")
        if args.check:
            console.print(
                f"checked: {count} lines of the audit trail, every vector of {gallery.store.name}",
                highlight=False,
            )
            print_line(console, f"audit head: {head}")


def _list(args: argparse.Namespace) -> None:
    """List the images of a gallery: number, key, person, camera, time, data set."""
    from irm.retrieval.info import list_images

    names = ("image", "key", "pid", "camid", "taken", "dataset")
    lines = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    with _open(args) as gallery:
        if not args.json:
            lines.writerow(names)
        for image in list_images(gallery.catalog, time.time(), pids=args.pid, beginning=args.key):
            told = {"image": image.id, **{name: getattr(image, name) for name in names[1:]}}
            if args.json:
                print(json.dumps(told))
            else:
                lines.writerow(told.values())


def _copy(args: argparse.Namespace) -> None:
    """Copy a gallery as it is at this moment, while others search it and index."""
    from omnireid.files import check_new_folder, replace_folder

    def write(folder: Path) -> None:
        folder.mkdir(mode=0o700)
        gallery.catalog.copy_store(folder)

    check_new_folder(args.out)
    with _open(args) as gallery:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        replace_folder(args.out, write)
    print(f"copied to {args.out}; images erased from {args.store} later remain in the copy")


def _erase(args: argparse.Namespace) -> None:
    """Erase people or images from every view, thumbnail and log, and prove it."""
    if not (args.pid or args.image or args.key):
        raise InputError("specify what to erase: --pid N, --image N or --key NAME")
    from irm.retrieval import erasure

    wanted: dict[str, Any] = {"pids": args.pid, "images": args.image, "keys": args.key}
    with _open(args) as gallery:
        unmatched = erasure.unmatched(gallery.catalog, **wanted)
        receipt = gallery.erase(**wanted, who=args.who)
    _print_receipt(args, receipt)
    if unmatched and receipt.images:
        print(f"warning: not found: {', '.join(unmatched)}", file=sys.stderr)
        sys.exit(LEFT_OUT)


def _expire(args: argparse.Namespace) -> None:
    """Erase the images whose time has run out."""
    with _open(args) as gallery:
        _print_receipt(args, gallery.expire(who=args.who))


def _print_receipt(args: argparse.Namespace, receipt: "Receipt | None") -> None:
    if args.json:
        print(json.dumps({"images": 0} if receipt is None else receipt.as_dict(), indent=1))
    elif receipt is None:
        print("nothing has expired")
    elif not receipt.images:
        print(FINISHED)
    else:
        print(
            f"{receipt.images} images erased from {len(receipt.views)} views; "
            f"{receipt.bytes_searched} bytes of files were searched for traces of them, and none were "
            "found. Copies outside the store and the images that were indexed must be deleted separately."
        )
        if receipt.stores_left:
            print(
                f"{receipt.stores_left} other stores were filled from this gallery and still contain the "
                "erased images: rebuild them"
            )


def _export(args: argparse.Namespace) -> None:
    """Write all that is held about an image: facts, vectors, thumbnail."""
    from irm.retrieval import erasure
    from omnireid.files import write_whole

    if not args.image:
        raise InputError("specify which image: --image N")
    with _open(args) as gallery:
        args.out.mkdir(mode=0o700, parents=True, exist_ok=True)
        for image in args.image:
            told = erasure.held(gallery.catalog, image, with_vectors=True)
            write_whole(args.out / f"image_{image}.json", (json.dumps(told, indent=1) + "\n").encode())
            write_whole(args.out / f"image_{image}.jpg", gallery.picture(image))
    print(f"{len(args.image)} images written to {args.out}")


def _rebuild(args: argparse.Namespace) -> None:
    """Fill another store from the gallery's own record, whatever was in it."""
    from irm.retrieval.catalog import Catalog
    from irm.retrieval.engines import rebuild

    if args.engine == "local":
        raise InputError(
            "specify the engine to fill: --engine postgresql://..., http://host:6333 or edge:FOLDER"
        )
    console = Console(markup=False)
    catalog = Catalog(args.store)
    with Bar(console) as show:
        counts = rebuild(args.engine, catalog, show)
    catalog.close()
    told = ", ".join(f"{view} {count}" for view, count in counts.items())
    print(f"rebuilt and compared, vector by vector: {told}")


ACTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "info": _info,
    "list": _list,
    "copy": _copy,
    "erase": _erase,
    "expire": _expire,
    "export": _export,
    "rebuild": _rebuild,
}
