"""A store without its model: show what is stored about people and erase them, without loading weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from instructions.errors import InputError
from irm.retrieval import audit, erasure
from irm.retrieval.audit import AuditEntry
from irm.retrieval.catalog import Catalog, sole_indexer
from irm.retrieval.engines import mark_current, num_others, open_engine
from irm.retrieval.images import thumbnail_of
from irm.retrieval.info import Info, indexed_views, info_of
from irm.retrieval.local import LocalStore
from irm.retrieval.vector_store import VectorStore


class GalleryStore:
    """The record of a gallery and the store of its vectors; thread-safe."""

    def __init__(self, catalog: Catalog, engine: str = "local") -> None:
        """Join a record with a store.

        Raises:
            InputError: The store is not in step with the record.
        """
        self.catalog = catalog
        self.local, self.engine = LocalStore(catalog), engine
        self.store: VectorStore = self.local if engine == "local" else open_engine(engine, catalog)

    @classmethod
    def open(cls, folder: str | Path, *, engine: str = "local") -> Self:
        """Open an existing store.

        Raises:
            InputError: There is none.
        """
        return cls(Catalog(Path(folder)), engine)

    def close(self) -> None:
        """Close files and connections."""
        self.store.close()
        self.catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def info(self) -> Info:
        """Counts, views, model and size."""
        return info_of(self.catalog, indexed_views(self.catalog), self.store.name)

    def picture(self, image: int) -> bytes:
        """The thumbnail of an image, a JPEG."""
        return thumbnail_of(self.catalog, image)

    def held(self, image: int) -> dict[str, Any]:
        """Everything that is stored about an image; see ``erasure.held``."""
        return erasure.held(self.catalog, image)

    def erase(
        self,
        *,
        pids: Sequence[int] = (),
        images: Sequence[int] = (),
        keys: Sequence[str] = (),
        who: str = "local",
        now: float | None = None,
    ) -> erasure.Receipt:
        """Remove people or images from every view, thumbnail and kept question, and prove it.

        Repeated after an interruption, it finishes the erasure; the receipt then counts no images.

        Raises:
            InputError: No image matches, or another process is in the way.
        """
        moment = clock(now)
        with sole_indexer(self.catalog.folder):
            ids = erasure.find(self.catalog, pids=pids, images=images, keys=keys)
            if ids:
                return self._erase(ids, who, moment, "erase")
            if erasure.finish(self.catalog):
                return self._finished(who, moment)
            missing = erasure.unmatched(self.catalog, pids=pids, images=images, keys=keys)
            named = f"there is no {', no '.join(missing)}" if missing else "nothing was selected"
            raise InputError(
                f"nothing to erase in {self.catalog.folder}: {named}; tools.index list shows all images"
            )

    def expire(self, *, who: str = "local", now: float | None = None) -> erasure.Receipt | None:
        """Erase expired images, or finish an interrupted erasure; None if there is nothing to do."""
        moment = clock(now)
        with sole_indexer(self.catalog.folder):
            ids = erasure.expired(self.catalog, moment)
            if ids:
                return self._erase(ids, who, moment, "expire")
            return self._finished(who, moment) if erasure.finish(self.catalog) else None

    def audit(self, last: int = 100) -> list[AuditEntry]:
        """The newest lines of the trail, newest first."""
        return audit.entries(self.catalog, last)

    def _erase(self, ids: Sequence[int], who: str, now: float, reason: str) -> erasure.Receipt:
        stores = [self.local] if self.store is self.local else [self.store, self.local]
        receipt = erasure.erase(
            self.catalog, stores, ids, who=who, now=now, reason=reason, followed=self._followed
        )
        return replace(receipt, stores_left=num_others(self.catalog, self.engine))

    def _finished(self, who: str, now: float) -> erasure.Receipt:
        return erasure.Receipt(0, tuple(self.catalog.spaces()), 0, 0, now, who)

    def _followed(self) -> None:
        if self.store is not self.local:
            mark_current(self.engine, self.catalog)


def clock(now: float | None) -> float:
    """Unix seconds: those given, else the system's."""
    return time.time() if now is None else now
