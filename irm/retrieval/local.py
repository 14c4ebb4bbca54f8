"""The local store: the catalog's vectors, searched in memory; it follows what other processes write."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float

from irm.retrieval.catalog import AMONG, REVISION, Catalog, Image, SpaceRow, write_vectors
from irm.retrieval.filtering import FilterIndex
from irm.retrieval.question import Filter
from irm.retrieval.scan import Scan
from irm.retrieval.vector_store import Found, Vectors, digest_of, settle_each

SETTLED = 128  # queries whose candidates are read together


class LocalStore:
    """Exact search over 8-bit codes in memory; the vectors themselves stay in the catalog's file."""

    name = "local"

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._lock = threading.RLock()
        self._scans: dict[int, tuple[int, Scan]] = {}  # by space: the revision it stands at
        self._filters = FilterIndex(catalog)

    def spaces(self) -> list[str]:
        """Ids of the spaces that the catalog holds."""
        return [row.id for row in self.catalog.spaces().values()]

    def upsert(self, space: SpaceRow, images: Sequence[Image], vectors: Float[np.ndarray, "N D"]) -> None:
        """Write vectors of images that the catalog knows."""
        ids = [image.id for image in images]
        with self.catalog.writing() as connection:
            write_vectors(connection, space, ids, vectors)
            connection.executemany(
                f"UPDATE images SET revision = {REVISION} WHERE id = ?", [(id_,) for id_ in ids]
            )

    def delete(self, ids: Sequence[int]) -> None:
        """Remove images from the catalog: rows, thumbnails and vectors."""
        with self.catalog.writing() as connection:
            wanted = (json.dumps([int(id_) for id_ in ids]),)
            connection.execute(
                f"INSERT OR REPLACE INTO gone SELECT id, {REVISION} FROM images WHERE id {AMONG}", wanted
            )
            connection.execute(f"DELETE FROM images WHERE id {AMONG}", wanted)

    def get(self, space: SpaceRow, ids: Sequence[int]) -> Vectors:
        """Vectors from the catalog."""
        return self.catalog.vectors(space, ids)

    def search(
        self, space: SpaceRow, queries: Float[np.ndarray, "Q D"], top: int, *, where: Filter, now: float
    ) -> list[Found]:
        """Candidates by the codes, then the exact order by the vectors."""
        scan, keep = self._ready(space, where, now)
        asked = torch.from_numpy(np.array(queries, dtype=np.float32))
        if not len(scan) or (keep is not None and not keep.any()):
            return [Found(np.empty(0, dtype=np.int64), np.empty(0)) for _ in asked]
        if len(asked) == 1:
            rows = [scan.candidates(asked[0], top, keep)]
        else:
            rows = scan.candidates_of_many(asked, top, keep)
        found: list[Found] = []
        for first in range(0, len(rows), SETTLED):
            candidates = [scan.ids[part] for part in rows[first : first + SETTLED]]
            # An image erased since the scan began has no vector any more, and drops out.
            ids, vectors = self.catalog.vectors(space, np.concatenate(candidates).tolist())
            found += settle_each(asked.numpy()[first : first + SETTLED], candidates, ids, vectors, top)
        return found

    def count(self, space: SpaceRow, *, where: Filter, now: float) -> int:
        """How many images a search looks at."""
        scan, keep = self._ready(space, where, now)
        return len(scan) if keep is None else int(keep.sum())

    def digest(self, space: SpaceRow) -> str:
        """Hash of what the catalog holds."""
        parts = self.catalog.each_vector(space)
        return digest_of(pair for ids, vectors in parts for pair in zip(ids, vectors, strict=True))

    def clear(self) -> None:
        """Free the memory; the catalog, which is the record, stays."""
        with self._lock:
            self._scans.clear()
            self._filters.clear()

    def close(self) -> None:
        """Free the memory; the catalog is closed by its owner."""
        self.clear()

    def _ready(
        self, space: SpaceRow, where: Filter, now: float
    ) -> tuple[Scan, Bool[np.ndarray, " N"] | None]:
        """Codes as of the last write, and which of them pass the filter; None where all do."""
        with self._lock, self.catalog.snapshot():
            revision = self.catalog.revision()
            scan = self._known_scan(space, revision)
            return scan, self._filters.passing(scan.ids, revision, where, now)

    def _known_scan(self, space: SpaceRow, revision: int) -> Scan:
        known = self._scans.get(space.number)
        if known is None:
            scan = Scan.of(self.catalog.each_vector(space), space.dim, self.catalog.count(space.table))
        elif known[0] == revision:
            return known[1]
        else:
            scan = self._catch_up(space, *known)
        self._scans[space.number] = revision, scan
        return scan

    def _catch_up(self, space: SpaceRow, since: int, scan: Scan) -> Scan:
        """Apply what was written since: rows removed, added or changed."""
        gone = self.catalog.removed_since(since)
        fresh = self.catalog.changed_since(since)
        if not gone and not fresh:
            return scan
        ids, vectors = self.catalog.vectors(space, fresh)
        return scan.replace(
            np.array(gone + fresh, dtype=np.int64), ids, torch.from_numpy(np.array(vectors, dtype=np.float32))
        )
