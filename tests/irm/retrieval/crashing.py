"""A program to be killed: `crashing.py WHAT STORE ...` indexes, builds or erases; says what is durable."""

import os
import signal
import sys
from pathlib import Path

from irm.retrieval import Gallery, erasure, items_of_folder
from irm.retrieval.catalog import Catalog
from irm.retrieval.engines import rebuild
from irm.retrieval.local import LocalStore


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(catalog: Catalog, beginning: str, count: int) -> None:
    """Die when the statement that begins so is carried out for the count-th time."""
    left = [count]

    def watch(statement: str) -> None:
        left[0] -= statement.startswith(beginning)
        if not left[0]:
            die()

    catalog.connection.set_trace_callback(watch)


def index(store: str, run: str, folder: str, beginning: str = "", count: str = "0") -> None:
    with Gallery.create(store, run, views=["trad", "plain"]) as gallery:
        if beginning:
            die_at(gallery.catalog, beginning, int(count))
        gallery.add(
            items_of_folder(Path(folder)),
            batch_size=2,
            progress=lambda _what, done, _total: say(f"acknowledged {done}"),
        )
    say("finished")


def build(store: str, address: str) -> None:
    """Die when the first of the views has arrived in the other store."""
    rebuild(address, Catalog(Path(store)), lambda *_: die())


def erase(store: str, image: str) -> None:
    """Die when the rows are gone and the files are not yet rewritten."""
    catalog = Catalog(Path(store))
    die_at(catalog, "VACUUM", 1)
    erasure.erase(catalog, [LocalStore(catalog)], [int(image)], who="test", now=0.0)


if __name__ == "__main__":
    {"index": index, "build": build, "erase": erase}[sys.argv[1]](*sys.argv[2:])
