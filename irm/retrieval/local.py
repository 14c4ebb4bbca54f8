"""The store of one machine: the ledger's vectors, searched in memory; follows what other processes write."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from irm.retrieval.ledger import PARAMETERS, Ledger, SpaceRow
from irm.retrieval.question import Filter
from irm.retrieval.scan import Scan
from irm.retrieval.store import Found, Rows, Vectors, digest_of, digest_text, settle
from omnireid.records import MODALITIES


@dataclass(frozen=True, eq=False)
class _Facts:
    """What filters ask, one row an image, by ascending id."""

    ids: Int[np.ndarray, " N"]
    pids: Int[np.ndarray, " N"]  # -1 where unknown, as for cameras
    camids: Int[np.ndarray, " N"]
    taken: Float[np.ndarray, " N"]  # nan where unknown
    datasets: Int[np.ndarray, " N"]  # place in ``names``
    modalities: Int[np.ndarray, " N"]
    expires: Float[np.ndarray, " N"]
    names: tuple[str, ...]

    def passing(self, where: Filter, now: float) -> Bool[np.ndarray, " N"]:
        """Images that a filter lets through and whose time has not run out."""
        keep = ~(self.expires <= now)
        if where.camids:
            keep &= np.isin(self.camids, where.camids)
        if where.pids:
            keep &= np.isin(self.pids, where.pids)
        if where.datasets:
            keep &= np.isin(self.datasets, [self.names.index(n) for n in where.datasets if n in self.names])
        if where.modalities:
            keep &= np.isin(
                self.modalities, [MODALITIES.index(m) for m in MODALITIES if m in where.modalities]
            )
        if where.since is not None:
            keep &= self.taken >= where.since
        if where.until is not None:
            keep &= self.taken <= where.until
        return keep


class LocalStore:
    """Exact search over 8-bit codes in memory; the vectors themselves stay in the ledger's file."""

    name = "local"

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._lock = threading.RLock()
        self._scans: dict[int, tuple[int, Scan]] = {}  # by space: the revision it stands at
        self._facts: tuple[int, _Facts] | None = None

    def spaces(self) -> list[str]:
        """Ids of the spaces that the ledger holds."""
        return [row.id for row in self.ledger.spaces().values()]

    def upsert(self, space: SpaceRow, rows: Rows) -> None:
        """Write vectors of images that the ledger knows."""
        with self.ledger.writing() as connection:
            blobs = [row.tobytes() for row in np.ascontiguousarray(rows.vectors, dtype="<f4")]
            connection.executemany(
                f"INSERT OR REPLACE INTO {space.table} VALUES (?, ?)", zip(rows.ids, blobs, strict=True)
            )
            connection.executemany(
                "UPDATE images SET revision = (SELECT value FROM facts WHERE name = 'revision') WHERE id = ?",
                [(id_,) for id_ in rows.ids],
            )

    def delete(self, ids: Sequence[int]) -> None:
        """Remove images from the ledger: rows, thumbnails and vectors."""
        with self.ledger.writing() as connection:
            for first in range(0, len(ids), PARAMETERS):
                part = [int(id_) for id_ in ids[first : first + PARAMETERS]]
                marks = ",".join("?" * len(part))
                connection.execute(
                    "INSERT OR REPLACE INTO gone "
                    "SELECT id, (SELECT value FROM facts WHERE name = 'revision') "
                    f"FROM images WHERE id IN ({marks})",
                    part,
                )
                connection.execute(f"DELETE FROM images WHERE id IN ({marks})", part)

    def get(self, space: SpaceRow, ids: Sequence[int]) -> Vectors:
        """Vectors from the ledger."""
        return self.ledger.vectors(space, ids)

    def search(
        self, space: SpaceRow, queries: Float[np.ndarray, "Q D"], top: int, *, where: Filter, now: float
    ) -> list[Found]:
        """Candidates from the codes, the last word from the vectors."""
        scan, keep = self._ready(space, where, now)
        asked = torch.from_numpy(np.array(queries, dtype=np.float32))
        if not len(scan) or (keep is not None and not keep.any()):
            return [Found(np.empty(0, dtype=np.int64), np.empty(0)) for _ in asked]
        if len(asked) == 1:
            rows = [scan.candidates(asked[0], top, keep)]
        else:
            rows = scan.candidates_of_many(asked, top, keep)
        found = []
        for query, part in zip(asked.numpy(), rows, strict=True):
            # An image erased since the scan began is not found any more, and drops out.
            found.append(settle(query, *self.ledger.vectors(space, scan.ids[part].tolist()), top))
        return found

    def count(self, space: SpaceRow, *, where: Filter, now: float) -> int:
        """How many images a search looks at."""
        scan, keep = self._ready(space, where, now)
        return len(scan) if keep is None else int(keep.sum())

    def digest(self, space: SpaceRow) -> str:
        """Hash of what the ledger holds."""
        total = 0
        for ids, vectors in self.ledger.each_vector(space):
            blobs = [row.tobytes() for row in vectors]
            total += digest_of(list(zip(ids, blobs, strict=True)))
        return digest_text(total)

    def clear(self) -> None:
        """Forget what is in memory; the ledger itself is the record and stays."""
        with self._lock:
            self._scans.clear()
            self._facts = None

    def close(self) -> None:
        """Forget what is in memory; the ledger is its owner's."""
        self.clear()

    def _ready(
        self, space: SpaceRow, where: Filter, now: float
    ) -> tuple[Scan, Bool[np.ndarray, " N"] | None]:
        """Codes as of the last write, and which of them count; None where all do."""
        with self._lock:
            revision = self.ledger.revision()
            facts = self._known_facts(revision)
            scan = self._known_scan(space, revision)
        passing = facts.passing(where, now)
        if passing.all():
            return scan, None
        places = np.minimum(facts.ids.searchsorted(scan.ids), len(facts.ids) - 1)
        return scan, passing[places] & (facts.ids[places] == scan.ids)

    def _known_facts(self, revision: int) -> _Facts:
        if self._facts is None or self._facts[0] != revision:
            self._facts = revision, _read_facts(self.ledger)
        return self._facts[1]

    def _known_scan(self, space: SpaceRow, revision: int) -> Scan:
        known = self._scans.get(space.number)
        if known is None:
            filling = Scan(space.dim).reserve(self.ledger.count(space.table))
            for ids, vectors in self.ledger.each_vector(space):
                filling.add(np.array(ids, dtype=np.int64), torch.from_numpy(np.array(vectors)))
            scan = filling.finish()
        elif known[0] == revision:
            return known[1]
        else:
            scan = self._catch_up(space, *known)
        self._scans[space.number] = revision, scan
        return scan

    def _catch_up(self, space: SpaceRow, since: int, scan: Scan) -> Scan:
        """Follow what was written since: rows that went, rows that came or changed."""
        connection = self.ledger.connection
        gone = [row[0] for row in connection.execute("SELECT image FROM gone WHERE revision > ?", (since,))]
        fresh = [row[0] for row in connection.execute("SELECT id FROM images WHERE revision > ?", (since,))]
        if not gone and not fresh:
            return scan
        ids, vectors = self.ledger.vectors(space, fresh)
        return scan.replace(
            np.array(gone + fresh, dtype=np.int64), ids, torch.from_numpy(np.array(vectors, dtype=np.float32))
        )


def _read_facts(ledger: Ledger) -> _Facts:
    with ledger.errors():
        rows = ledger.connection.execute(
            "SELECT id, coalesce(pid, -1), coalesce(camid, -1), taken, dataset, modality, expires "
            "FROM images ORDER BY id"
        ).fetchall()
    ids, pids, camids, taken, datasets, modalities, expires = zip(*rows, strict=True) if rows else ((),) * 7
    names = tuple(sorted({name for name in datasets if name is not None}))
    number = {name: place for place, name in enumerate(names)}
    return _Facts(
        ids=np.array(ids, dtype=np.int64),
        pids=np.array(pids, dtype=np.int64),
        camids=np.array(camids, dtype=np.int64),
        taken=np.array([np.nan if time is None else time for time in taken], dtype=np.float64),
        datasets=np.array([number.get(name, -1) for name in datasets], dtype=np.int32),
        modalities=np.array([MODALITIES.index(name) for name in modalities], dtype=np.int8),
        expires=np.array([np.nan if time is None else time for time in expires], dtype=np.float64),
        names=names,
    )
