"""Data protection: erase people so that no byte of them stays, and show what is stored about them."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from instructions.errors import HeldError, InputError
from irm.retrieval import audit, forgotten
from irm.retrieval.catalog import AMONG, Catalog
from irm.retrieval.database import explain_full_disk
from irm.retrieval.traces import search_files
from irm.retrieval.vector_store import VectorStore

SHORTEST = 8  # shorter names are not searched for
FRAGMENT = 32  # bytes searched for: long enough that pixels and vectors do not repeat them by accident
START_OF_SCAN = b"\xff\xda"  # stands once in a JPEG, before its pixels
UNFINISHED = "unfinished erasure"  # in the metadata: its files still hold what was deleted
PATIENCE = 60.0  # seconds to wait for other readers of SQLite's log
LEFT = (
    "the erased images can no longer be found, but their bytes are still in the files: rewriting these "
    "needs disk space for another copy, both there and in the temporary folder"
)


@dataclass(frozen=True)
class Receipt:
    """What was erased, and the proof: how many bytes of files were searched for traces of it."""

    images: int
    views: tuple[str, ...]
    bytes_searched: int
    found: int  # fragments that are still there: none
    time: float
    who: str
    stores_left: int = 0  # other stores filled from this gallery, in which nothing was erased

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def find(
    catalog: Catalog, *, pids: Sequence[int] = (), images: Sequence[int] = (), keys: Sequence[str] = ()
) -> list[int]:
    """Ids of images, by person, by number or by key."""
    found: set[int] = set()
    for column, values in (("pid", pids), ("id", images), ("key", keys)):
        sql = f"SELECT id FROM images WHERE {column} {AMONG}"
        found |= {row[0] for row in catalog.connection.execute(sql, (json.dumps(values),))}
    return sorted(found)


def unmatched(
    catalog: Catalog, *, pids: Sequence[int] = (), images: Sequence[int] = (), keys: Sequence[str] = ()
) -> list[str]:
    """The persons, numbers and keys that ``find`` finds no image of."""
    run, missing = catalog.connection.execute, []
    for name, column, values in (("pid", "pid", pids), ("image", "id", images), ("key", "key", keys)):
        sql = f"SELECT DISTINCT {column} FROM images WHERE {column} {AMONG}"
        found = {row[0] for row in run(sql, (json.dumps(values),))}
        missing += [f"{name} {value}" for value in values if value not in found]
    return missing


def expired(catalog: Catalog, now: float) -> list[int]:
    """Ids of the images whose time has run out."""
    rows = catalog.connection.execute("SELECT id FROM images WHERE expires <= ? ORDER BY id", (now,))
    return [row[0] for row in rows]


def erase(
    catalog: Catalog,
    stores: Iterable[VectorStore],
    ids: Sequence[int],
    *,
    who: str,
    now: float,
    reason: str = "erase",
    followed: Callable[[], None] = lambda: None,
) -> Receipt:
    """Remove images everywhere, rewrite the files, and search them for what was removed.

    Args:
        catalog: The record.
        stores: Where vectors are; the catalog's own store last.
        ids: Of the images.
        who: The caller, who is named in the audit; the erased people are not.
        now: Unix seconds.
        reason: "erase" or "expire".
        followed: Called when it is gone from all stores.

    Raises:
        HeldError: Something is still there because another process reads the files.
    """
    fragments = _fragments(catalog, ids)
    views = tuple(catalog.spaces())
    lines = audit.kept_questions(catalog, ids)
    # The audit's file is rewritten only if it holds something to erase, because searches wait meanwhile.
    is_kept = bool(lines) or catalog.metadata(UNFINISHED) == "1"
    # The rows that name the images go last, so that an interrupted erasure can be found and finished.
    with explain_full_disk("the images to be erased are still in the gallery"):
        with catalog.writing() as connection:
            forgotten.remember(catalog, connection, ids)
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, '1')", (UNFINISHED,))
        told = {"images": len(ids), "kept_questions": len(lines)}
        audit.write(catalog, [audit.Line(who, reason, told)], now)
        if lines:
            audit.forget(catalog, lines)
        for store in stores:
            store.delete(ids)
    followed()
    scrub(catalog, trail=is_kept)
    searched, found = search_files(catalog.folder, fragments)
    if found:
        raise HeldError(
            f"{len(ids)} images are erased, but {found} traces are still in the files of {catalog.folder}, "
            "because another process is reading them; stop it and run the same command again"
        )
    catalog.set_metadata(**{UNFINISHED: "0", audit.HEAD: audit.head(catalog)})
    return Receipt(len(ids), views, searched, found, now, who)


def finish(catalog: Catalog) -> bool:
    """Finish an interrupted erasure; returns whether there was one.

    Raises:
        InputError: As ``scrub``.
    """
    if catalog.metadata(UNFINISHED) != "1":
        return False
    scrub(catalog, trail=True)
    catalog.set_metadata(**{UNFINISHED: "0"})
    return True


def scrub(catalog: Catalog, *, trail: bool) -> None:
    """Rewrite the database without what was deleted, and empty its log; searches go on meanwhile.

    Args:
        catalog: Whose database.
        trail: Also rewrite the audit's file, which makes searches wait.

    Raises:
        HeldError: Another process keeps reading an older state.
        FullError: There is no room for what is rewritten.
    """
    with explain_full_disk(LEFT), catalog.errors():
        _rewrite(catalog.connection, catalog.folder)
        if trail:
            _rewrite(catalog.trail.connection, catalog.folder)


def _rewrite(connection: sqlite3.Connection, folder: Path) -> None:
    connection.execute("VACUUM")
    deadline = time.monotonic() + PATIENCE
    while True:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        if time.monotonic() > deadline:
            raise HeldError(
                f"another process is reading an older state of {folder}, so deleted bytes remain in its "
                "log; stop it and run the same command again"
            )
        time.sleep(0.1)


def held(catalog: Catalog, image: int, *, with_vectors: bool = False) -> dict[str, Any]:
    """Everything that is stored about an image.

    Raises:
        InputError: There is no such image.
    """
    row = catalog.images([image]).get(image)
    if row is None:
        raise InputError(f"there is no image {image} in {catalog.folder}")
    picture = catalog.thumbnail(image) or b""
    vectors: dict[str, Any] = {}
    for view, space in catalog.spaces().items():
        ids, values = catalog.vectors(space, [image])
        if len(ids):
            told = {
                "space": space.id,
                "dim": space.dim,
                "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
            }
            vectors[view] = {**told, "values": values[0].tolist()} if with_vectors else told
    return {
        "image": image,
        **{name: value for name, value in asdict(row).items() if name != "id"},
        "thumbnail": {"bytes": len(picture), "sha256": hashlib.sha256(picture).hexdigest()},
        "vectors": vectors,
        "kept_questions": audit.kept_questions(catalog, [image]),
    }


def _fragments(catalog: Catalog, ids: Sequence[int]) -> list[bytes]:
    """Byte strings that would be traces of some images: names, captions, parts of thumbnails and vectors."""
    images = catalog.images(list(ids))
    texts = {text.encode() for image in images.values() for text in (image.key, image.path, *image.captions)}
    texts = {text for text in texts if len(text) >= SHORTEST}
    sizes = {image.size for image in images.values()}
    others = [row[0] for row in catalog.connection.execute("SELECT id, size FROM images") if row[1] in sizes]
    copies = sorted(set(others) - set(ids))  # possibly the same image under another name, which stays
    pieces = _pieces(_blobs(catalog, ids)) - _pieces(_blobs(catalog, copies))
    return sorted(pieces | (texts - _still_meant(catalog, set(ids), texts)))


def _blobs(catalog: Catalog, ids: Sequence[int]) -> list[bytes]:
    """Thumbnails and vectors; of a JPEG only what follows its tables, which are the same in every file."""
    blobs = [(catalog.thumbnail(image) or b"").rpartition(START_OF_SCAN)[2] for image in ids]
    for space in catalog.spaces().values():
        blobs += [row.tobytes() for row in catalog.vectors(space, ids)[1]]
    return blobs


def _pieces(blobs: Iterable[bytes]) -> set[bytes]:
    """Three fragments of each, because a blob may be cut where a page of the file ends."""
    pieces = set()
    for blob in blobs:
        for place in (len(blob) // 4, len(blob) // 2, 3 * len(blob) // 4):
            piece = blob[place : place + FRAGMENT]
            if len(piece) == FRAGMENT and len(set(piece)) > FRAGMENT // 4:
                pieces.add(piece)
    return pieces


def _still_meant(catalog: Catalog, goes: set[int], texts: set[bytes]) -> set[bytes]:
    """Those of the texts that also occur in the names of images that stay."""
    if not texts:
        return set()
    any_of = re.compile(b"|".join(re.escape(text) for text in texts))
    shared: set[bytes] = set()
    for image, *names in catalog.connection.execute("SELECT id, key, path, captions FROM images"):
        line = "\n".join(names).encode()
        if image not in goes and any_of.search(line):
            shared |= {text for text in texts if text in line}
    return shared
