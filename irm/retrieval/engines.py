"""Stores beside the ledger, by address; each is built anew from the ledger by one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from instructions.errors import InputError
from irm.retrieval.ledger import Ledger
from irm.retrieval.question import Filter
from irm.retrieval.store import Rows, VectorStore

Progress = Callable[[str, int, int], None]
BATCH = 1000  # images sent together


def connect(address: str, name: str) -> VectorStore:
    """The store at an address.

    Args:
        address: "postgresql://...", "http(s)://..." of a Qdrant server, or "edge:FOLDER".
        name: Of the gallery, so that a server can hold several.

    Raises:
        InputError: The address is of no known kind, the server does not answer, or its library is missing.
    """
    try:
        if address.startswith(("postgresql://", "postgres://")):
            from irm.retrieval.postgres import PostgresStore

            return PostgresStore(address, name)
        if address.startswith(("http://", "https://")):
            from irm.retrieval.qdrant import server_store

            return server_store(address, name)
        if address.startswith("edge:"):
            from irm.retrieval.qdrant import edge_store

            return edge_store(Path(address.removeprefix("edge:")))
    except ImportError as error:
        extra = "postgres" if address.startswith("postgres") else "qdrant"
        raise InputError(f"{error.name} is not installed; pip install 'instruct-reid[{extra}]'") from error
    raise InputError(
        f"{address!r} is no engine; use local, postgresql://user@host/database, http://host:6333 (Qdrant) or "
        "edge:FOLDER (Qdrant in this process)"
    )


def open_engine(address: str, ledger: Ledger) -> VectorStore:
    """A store that holds what the ledger holds.

    Raises:
        InputError: As ``connect``; or it is behind the ledger.
    """
    store = connect(address, name_of(ledger))
    for space in ledger.spaces().values():
        known = ledger.count(space.table)
        held = store.count(space, where=Filter(), now=0.0) if space.id in store.spaces() else 0
        if held != known:
            store.close()
            raise InputError(
                f"{store.name} holds {held} vectors of the view {space.view!r}, the gallery {known}; bring "
                f"it up to date with python -m tools.index rebuild --store {ledger.folder} --engine ADDRESS"
            )
    return store


def rebuild(address: str, ledger: Ledger, progress: Progress | None = None) -> dict[str, int]:
    """Fill a store from the ledger, whatever was in it; gives the number of vectors by view.

    Raises:
        InputError: As ``connect``; or what arrived is not what was sent.
    """
    store = connect(address, name_of(ledger))
    try:
        store.clear()
        counts = {}
        for space in ledger.spaces().values():
            total, done = ledger.count(space.table), 0
            for ids, vectors in ledger.each_vector(space, BATCH):
                images = ledger.images(ids)
                store.upsert(space, Rows([images[one] for one in ids], vectors))
                done += len(ids)
                if progress is not None:
                    progress(f"{store.name} {space.view}", done, total)
            counts[space.view] = done
            verify(store, ledger, space.view)
        return counts
    finally:
        store.close()


def verify(store: VectorStore, ledger: Ledger, view: str) -> None:
    """Compare a store with the ledger, vector by vector.

    Raises:
        InputError: They differ.
    """
    from irm.retrieval.local import LocalStore

    space = ledger.spaces()[view]
    if ledger.count(space.table) and store.digest(space) != LocalStore(ledger).digest(space):
        raise InputError(
            f"{store.name} does not hold the vectors of the view {view!r} as the ledger does; rebuild it"
        )


def name_of(ledger: Ledger) -> str:
    """What a server calls this gallery: noted once, so that moving the folder changes nothing."""
    known = ledger.fact("name")
    if known is None:
        known = f"irm_{time.time_ns():x}"
        ledger.note(name=known)
    return known
