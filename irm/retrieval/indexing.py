"""Indexing: images into the catalog, one durable batch at a time; unchanged images are left alone."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from instructions.errors import InputError
from irm.retrieval import forgotten
from irm.retrieval.catalog import AMONG, COLUMNS, REVISION, Catalog, Image, SpaceRow, write_vectors
from irm.retrieval.forgotten import ForgottenError
from irm.retrieval.images import thumbnail
from irm.retrieval.info import Added
from irm.retrieval.items import Item, unique
from irm.retrieval.keys import check_keys, split_undecodable, with_known_fields
from irm.retrieval.model import SearchModel
from irm.retrieval.vector_store import VectorStore
from irm.retrieval.views import Space, View
from omnireid.extraction import Progress
from omnireid.loading.image import decode_image

DAY = 86400.0


@dataclass(frozen=True, eq=False)
class _Fresh:
    """An image that must be embedded."""

    image: Image
    pixels: UInt8[np.ndarray, "H W 3"]  # of the model's size
    jpeg: bytes


@dataclass(frozen=True, kw_only=True)
class Indexer:
    """Adds and updates images; after an interruption, give the same items again to continue."""

    catalog: Catalog  # where images are added
    model: SearchModel
    views: tuple[View, ...]  # for which every suitable image gets a vector
    space_of: Callable[[View], Space]
    mirror: VectorStore | None  # another store that follows
    mirrored: Callable[[], None]  # called when it has
    batch_size: int  # images per forward pass and per transaction
    again: bool  # also take in what was erased or had expired
    now: float
    keep_days: float | None

    def add(self, items: Iterable[Item], progress: Progress | None = None) -> Added:
        """Make the gallery hold these items as they are on disk now."""
        wanted, failures = split_undecodable(unique(items))
        check_keys(wanted, self.catalog)
        counts = dict.fromkeys(("added", "updated", "unchanged", "forgotten"), 0)
        for first in range(0, len(wanted), self.batch_size):
            part = wanted[first : first + self.batch_size]
            fresh: list[_Fresh] = []
            touched: list[Image] = []
            before = self._known(part)
            present = self._present([known.id for known in before if known is not None])
            for item, known in zip(part, before, strict=True):
                try:
                    made = self._look_at(item, known, present)
                except ForgottenError:
                    counts["forgotten"] += 1
                    continue
                except InputError as error:
                    failures.append((item.key, str(error)))
                    continue
                fresh += [made] if isinstance(made, _Fresh) else []
                touched += [made] if isinstance(made, Image) else []
                kind = "unchanged" if made is None else "added" if known is None else "updated"
                counts[kind] += 1
            self._write(fresh, touched)
            if progress is not None:
                progress("indexing", first + len(part), len(wanted))
        return Added(**counts, failures=tuple(failures))

    def _known(self, items: Sequence[Item]) -> list[Image | None]:
        known = self.catalog.images_by_key([item.key for item in items])
        return [known.get(item.key) for item in items]

    def _look_at(
        self, item: Item, known: Image | None, present: dict[str, set[int]]
    ) -> _Fresh | Image | None:
        """What an item needs: an embedding, other fields, or nothing."""
        item = with_known_fields(item, known)
        try:
            image = self._image(item, Path(item.path).stat(), known)
            # The stamp does not cover the file of the clothes image.
            is_old = known is not None and _stamp(known) == _stamp(image) and image.clothes is None
            data = b"" if is_old else Path(item.path).read_bytes()
            clothes = b"" if image.clothes is None else Path(image.clothes).read_bytes()
            image = image if is_old else replace(image, content=_content(data, image, clothes))
            if known is None:
                (forgotten.remove if self.again else forgotten.refuse)(self.catalog, image.content)
            if known is not None and known.content == image.content and not self._lacks(image, present):
                return None if image == known else image
            data = data or Path(item.path).read_bytes()
        except OSError as error:
            raise InputError(f"{error.filename} cannot be read ({error.strerror})") from error
        pixels = decode_image(data, name=item.path)
        if image.clothes is not None and any(view.shows_clothes for view in self.views):
            decode_image(clothes, name=image.clothes)  # if unreadable, fail here and not in the batch
        height, width = pixels.shape[:2]
        resized = self.model.resized([pixels])[0]  # at once: a batch of camera frames would fill the memory
        return _Fresh(replace(image, width=width, height=height), resized, thumbnail(pixels))

    def _image(self, item: Item, status: os.stat_result, known: Image | None) -> Image:
        added = self.now if known is None else known.added
        kept = None if known is None else known.expires
        return Image(
            key=item.key,
            path=str(Path(item.path).absolute()),
            size=status.st_size,
            changed=status.st_mtime_ns,
            content="" if known is None else known.content,
            pid=item.pid,
            camid=item.camid,
            taken=item.taken,
            dataset=item.dataset,
            clothes_id=item.clothes_id,
            modality=item.modality,
            captions=item.captions,
            clothes=None if item.clothes is None else str(Path(item.clothes).absolute()),
            width=0 if known is None else known.width,
            height=0 if known is None else known.height,
            added=added,
            expires=kept if self.keep_days is None else added + self.keep_days * DAY,
            id=0 if known is None else known.id,
        )

    def _present(self, ids: Sequence[int]) -> dict[str, set[int]]:
        """Which of some images each view has a vector of."""
        run, wanted = self.catalog.connection.execute, (json.dumps(ids),)
        return {
            view: {row[0] for row in run(f"SELECT image FROM {space.table} WHERE image {AMONG}", wanted)}
            for view, space in self.catalog.spaces().items()
        }

    def _lacks(self, image: Image, present: dict[str, set[int]]) -> bool:
        """Whether a view has no vector of an image that suits it."""
        record = image.record()
        return any(
            view.suits(record) and image.id not in present.get(view.name, set()) for view in self.views
        )

    def _write(self, fresh: Sequence[_Fresh], touched: Sequence[Image]) -> None:
        """One transaction for a batch."""
        vectors = self._embed(fresh) if fresh else []
        if not fresh and not touched:
            return
        with self.catalog.writing() as connection:
            stored = []
            for one in (*(row.image for row in fresh), *touched):
                names = (*COLUMNS, "revision")
                marks = f"{','.join('?' * len(COLUMNS))},{REVISION}"
                updates = ",".join(f"{name} = excluded.{name}" for name in names)
                id_ = connection.execute(
                    f"INSERT INTO images ({','.join(names)}) VALUES ({marks}) "
                    f"ON CONFLICT (key) DO UPDATE SET {updates} RETURNING id",
                    one.values(),
                ).fetchone()[0]
                stored.append(replace(one, id=id_))
            ids = [image.id for image in stored[: len(fresh)]]
            connection.executemany(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?)",
                [(id_, row.jpeg) for id_, row in zip(ids, fresh, strict=True)],
            )
            for space in self.catalog.spaces().values():
                connection.executemany(f"DELETE FROM {space.table} WHERE image = ?", [(id_,) for id_ in ids])
            for space, rows, part in vectors:
                write_vectors(connection, space, [ids[row] for row in rows], part)
        if self.mirror is not None:
            self._follow(self.mirror, stored, fresh, vectors)
            self.mirrored()

    def _follow(
        self,
        mirror: VectorStore,
        stored: Sequence[Image],
        fresh: Sequence[_Fresh],
        vectors: Sequence[tuple[SpaceRow, list[int], Float[np.ndarray, "M D"]]],
    ) -> None:
        """Bring the other store up to date with the catalog."""
        before = [row.image.id for row in fresh if row.image.id]
        if before:  # a view that no longer suits must go
            mirror.delete(before)
        for space, rows, part in vectors:
            mirror.upsert(space, [stored[row] for row in rows], part)
        touched = {image.id: image for image in stored[len(fresh) :]}
        for space in self.catalog.spaces().values() if touched else ():
            ids, part = self.catalog.vectors(space, list(touched))
            if len(ids):
                mirror.upsert(space, [touched[int(id_)] for id_ in ids], part)

    def _embed(self, fresh: Sequence[_Fresh]) -> list[tuple[SpaceRow, list[int], Float[np.ndarray, "M D"]]]:
        """Vectors of a batch: by view, for the rows that suit it."""
        pixels = np.stack([row.pixels for row in fresh])
        records = [row.image.record() for row in fresh]
        found = []
        for view in self.views:
            rows = [row for row, record in enumerate(records) if view.suits(record)]
            if not rows:
                continue
            instructions = view.instructions([records[row] for row in rows], self.model.asking)
            space = self.space_of(view)
            vectors = self.model.embed(pixels[rows], view, space.domain, instructions)
            known = self.catalog.spaces().get(view.name) or self.catalog.add_space(space, vectors.shape[1])
            found.append((known, rows, vectors))
        return found


def _stamp(image: Image) -> tuple[object, ...]:
    """An image's file is read again only if one of these changes."""
    return image.path, image.size, image.changed, image.captions, image.clothes


def _content(data: bytes, image: Image, clothes: bytes) -> str:
    whole = hashlib.sha256(data)
    whole.update(json.dumps([list(image.captions), image.clothes]).encode())
    whole.update(clothes)
    return whole.hexdigest()
