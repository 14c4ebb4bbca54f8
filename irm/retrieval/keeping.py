"""A store without its model: show what is stored about people and erase them, without loading weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from instructions.errors import InputError
from irm.retrieval import audit, care
from irm.retrieval.audit import AuditEntry
from irm.retrieval.engines import note_in_step, open_engine, others
from irm.retrieval.facts import Info, info_of
from irm.retrieval.indexing import sole_indexer
from irm.retrieval.ledger import Ledger
from irm.retrieval.local import LocalStore
from irm.retrieval.opening import thumbnail_of
from irm.retrieval.planning import held_views
from irm.retrieval.store import VectorStore


class Keeping:
    """The record of a gallery and the store of its vectors; thread-safe."""

    def __init__(self, ledger: Ledger, engine: str = "local") -> None:
        """Join a record with a store.

        Raises:
            InputError: The store is not in step with the record.
        """
        self.ledger = ledger
        self.local, self.engine = LocalStore(ledger), engine
        self.store: VectorStore = self.local if engine == "local" else open_engine(engine, ledger)

    @classmethod
    def of(cls, folder: str | Path, *, engine: str = "local") -> Self:
        """Open an existing store.

        Raises:
            InputError: There is none.
        """
        return cls(Ledger(Path(folder)), engine)

    def close(self) -> None:
        """Close files and connections."""
        self.store.close()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def info(self) -> Info:
        """Counts, views, model and size."""
        return info_of(self.ledger, held_views(self.ledger), self.store.name)

    def picture(self, image: int) -> bytes:
        """The thumbnail of an image, a JPEG."""
        return thumbnail_of(self.ledger, image)

    def held(self, image: int) -> dict[str, Any]:
        """Everything that is stored about an image; see ``care.held``."""
        return care.held(self.ledger, image)

    def erase(
        self,
        *,
        pids: Sequence[int] = (),
        images: Sequence[int] = (),
        keys: Sequence[str] = (),
        who: str = "local",
        now: float | None = None,
    ) -> care.Receipt:
        """Remove people or images from every view, thumbnail and kept question, and prove it.

        Repeated after an interruption, it finishes the erasure; the receipt then counts no images.

        Raises:
            InputError: No image matches, or another process is in the way.
        """
        moment = clock(now)
        with sole_indexer(self.ledger.folder):
            ids = care.find(self.ledger, pids=pids, images=images, keys=keys)
            if ids:
                return self._erase(ids, who, moment, "erase")
            if care.finish(self.ledger):
                return self._finished(who, moment)
            raise InputError(f"nothing to erase: no image in {self.ledger.folder} was selected")

    def expire(self, *, who: str = "local", now: float | None = None) -> care.Receipt | None:
        """Erase expired images, or finish an interrupted erasure; None if there is nothing to do."""
        moment = clock(now)
        with sole_indexer(self.ledger.folder):
            ids = care.expired(self.ledger, moment)
            if ids:
                return self._erase(ids, who, moment, "expire")
            return self._finished(who, moment) if care.finish(self.ledger) else None

    def audit(self, last: int = 100) -> list[AuditEntry]:
        """The newest lines of the trail, newest first."""
        return audit.entries(self.ledger, last)

    def _erase(self, ids: Sequence[int], who: str, now: float, reason: str) -> care.Receipt:
        stores = [self.local] if self.store is self.local else [self.store, self.local]
        what = care.Erasure(ids=ids, who=who, now=now, reason=reason)
        receipt = care.erase(self.ledger, stores, what, self._followed)
        return replace(receipt, stores_left=others(self.ledger, self.engine))

    def _finished(self, who: str, now: float) -> care.Receipt:
        return care.Receipt(0, tuple(self.ledger.spaces()), 0, 0, now, who)

    def _followed(self) -> None:
        if self.store is not self.local:
            note_in_step(self.engine, self.ledger)


def clock(now: float | None) -> float:
    """Unix seconds: those given, else the system's."""
    return time.time() if now is None else now
