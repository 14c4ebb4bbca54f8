"""External vector stores, by address; each can be rebuilt from the catalog by one call."""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from instructions.errors import InputError
from irm.retrieval.catalog import Catalog, sole_indexer
from irm.retrieval.question import Filter
from irm.retrieval.vector_store import VectorStore
from omnireid.extraction import Progress

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
            from irm.retrieval import qdrant_server
            from irm.retrieval.qdrant import QdrantStore

            return QdrantStore(qdrant_server.connect(address, name), "qdrant")
        if address.startswith("edge:"):
            from irm.retrieval.qdrant import QdrantStore
            from irm.retrieval.qdrant_edge import EdgeTransport

            return QdrantStore(EdgeTransport(Path(address.removeprefix("edge:"))), "qdrant-edge")
    except ImportError as error:
        extra = "postgres" if address.startswith("postgres") else "qdrant"
        raise InputError(f"{error.name} is not installed; run pip install -e '.[{extra}]'") from error
    raise InputError(
        f"{address!r} is not an engine; use local, postgresql://user@host/database, http://host:6333 "
        "(Qdrant) or edge:FOLDER (Qdrant in this process)"
    )


def open_engine(address: str, catalog: Catalog) -> VectorStore:
    """A store that holds what the catalog holds.

    Raises:
        InputError: As ``connect``; or it is behind the catalog.
    """
    store = connect(address, name_of(catalog))
    known, held = {}, {}
    for space in catalog.spaces().values():
        known[space.view] = catalog.count(space.table)
        held[space.view] = store.count(space, where=Filter(), now=0.0) if space.id in store.spaces() else 0
    differing = [view for view in known if known[view] != held[view]]
    if not differing and catalog.metadata(_metadata_name(address)) == str(catalog.revision()):
        return store
    store.close()
    why = "is at an older state of the gallery"
    if differing:
        view = differing[0]
        why = f"has {held[view]} vectors for the view {view!r}, but the gallery has {known[view]}"
    raise InputError(
        f"{store.name} {why}; bring it up to date with python -m tools.index rebuild --store "
        f"{catalog.folder} --engine ADDRESS"
    )


def num_others(catalog: Catalog, address: str) -> int:
    """How many stores other than this address were filled from the catalog."""
    rows = catalog.connection.execute("SELECT name FROM facts WHERE name LIKE 'engine %'")
    return sum(row[0] != _metadata_name(address) for row in rows)


def mark_current(address: str, catalog: Catalog) -> None:
    """Note that a store holds everything written to the catalog so far.

    A write that the store does not follow, or whose process is killed before this note, raises the catalog's
    revision; the store is then refused until it is rebuilt.
    """
    catalog.set_metadata(**{_metadata_name(address): str(catalog.revision())})


def _metadata_name(address: str) -> str:
    """The name of a store's entry in the metadata: the same for every user name and working folder."""
    parts = urlsplit(address)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.scheme == "edge":
        place = str(Path(address.removeprefix("edge:")).resolve())
    return f"engine {hashlib.sha256(place.encode()).hexdigest()[:16]}"


def rebuild(address: str, catalog: Catalog, progress: Progress | None = None) -> dict[str, int]:
    """Fill a store anew from the catalog; returns the number of vectors by view.

    Indexing and erasing are locked out meanwhile. An interrupted rebuild leaves a store with fewer vectors
    than the catalog, which ``open_engine`` refuses until it is rebuilt.

    Raises:
        InputError: As ``connect``; another process writes; or what arrived is not what was sent.
    """
    counts = {}
    with sole_indexer(catalog.folder), closing(connect(address, name_of(catalog))) as store:
        store.clear()
        for space in catalog.spaces().values():
            total, done = catalog.count(space.table), 0
            for ids, vectors in catalog.each_vector(space, BATCH):
                images = catalog.images(ids)
                store.upsert(space, [images[one] for one in ids], vectors)
                done += len(ids)
                if progress is not None:
                    progress(f"{store.name} {space.view}", done, total)
            counts[space.view] = done
            verify(store, catalog, space.view)
        mark_current(address, catalog)
    return counts


def check_lengths(catalog: Catalog, view: str) -> None:
    """Check that the catalog's vectors are unit vectors, as they were when written.

    Raises:
        InputError: One is not, so the file was changed or is damaged.
    """
    for ids, vectors in catalog.each_vector(catalog.spaces()[view]):
        off = np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1) > 1e-3
        if not np.isfinite(vectors).all() or off.any():
            worst = ids[int(np.argmax(off | ~np.isfinite(vectors).all(axis=1)))]
            raise InputError(
                f"the vector of image {worst} in the view {view!r} of {catalog.folder} is damaged; erase the "
                "image and index it again with --again"
            )


def verify(store: VectorStore, catalog: Catalog, view: str) -> None:
    """Compare a store with the catalog, vector by vector.

    Raises:
        InputError: They differ.
    """
    from irm.retrieval.local import LocalStore

    space = catalog.spaces()[view]
    if catalog.count(space.table) and store.digest(space) != LocalStore(catalog).digest(space):
        raise InputError(f"{store.name} has other vectors for the view {view!r} than the catalog; rebuild it")


def name_of(catalog: Catalog) -> str:
    """This gallery's name on a server; noted once, so that the folder can be moved."""
    known = catalog.metadata("name")
    if known is None:
        known = f"irm_{time.time_ns():x}"
        catalog.set_metadata(name=known)
    return known
