"""A program to be killed while it indexes: `crashing.py STORE RUN FOLDER`; a line for each durable batch."""

import sys
from pathlib import Path

from irm.retrieval import Gallery, items_of_folder


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    store, run, folder = map(Path, sys.argv[1:])
    with Gallery.create(store, run, views=["trad", "plain"]) as gallery:
        gallery.add(
            items_of_folder(folder),
            batch_size=2,
            progress=lambda _what, done, _total: say(f"acknowledged {done}"),
        )
    say("finished")
