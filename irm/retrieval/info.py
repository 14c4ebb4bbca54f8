"""Facts about a gallery: what it holds, and what it can be filtered by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irm.retrieval.catalog import AMONG, Catalog, Image, SpaceRow
from irm.retrieval.views import PREFERRED, VIEWS


@dataclass(frozen=True)
class IndexedView:
    """A view of which the gallery has vectors."""

    row: SpaceRow
    is_complete: bool  # whether every image has a vector


def indexed_views(catalog: Catalog) -> dict[str, IndexedView]:
    """The views of a gallery that hold any vectors."""
    count, rows = catalog.count("images"), catalog.spaces()
    numbers = {view: catalog.count(row.table) for view, row in rows.items()}
    return {view: IndexedView(row, numbers[view] == count) for view, row in rows.items() if numbers[view]}


@dataclass(frozen=True)
class Added:
    """What became of the items."""

    added: int
    updated: int
    unchanged: int
    failures: tuple[tuple[str, str], ...]  # key and reason of images that cannot be read
    forgotten: int = 0  # images that were erased or had expired before, and stay out


@dataclass(frozen=True)
class ViewInfo:
    """One view of a gallery."""

    name: str
    title: str
    num_vectors: int
    complete: bool  # every image has a vector
    dim: int
    space: str


@dataclass(frozen=True)
class Info:
    """What a gallery is."""

    folder: str
    images: int
    people: int
    views: tuple[ViewInfo, ...]
    model: str
    run: str
    engine: str
    created: float
    size_bytes: int
    tasks: tuple[str, ...]  # that it can answer


@dataclass(frozen=True)
class Facets:
    """What filters can choose from, with how many images each."""

    camids: dict[int, int]
    datasets: dict[str, int]
    modalities: dict[str, int]
    first: float | None
    last: float | None


def info_of(catalog: Catalog, held: Mapping[str, IndexedView], engine: str) -> Info:
    """The facts about a gallery."""
    sql = "SELECT count(DISTINCT pid) FROM images WHERE pid > 0"
    views = tuple(
        ViewInfo(
            name=name,
            title=VIEWS[name].title,
            num_vectors=catalog.count(one.row.table),
            complete=one.is_complete,
            dim=one.row.dim,
            space=one.row.id[:12],
        )
        for name, one in held.items()
    )
    return Info(
        folder=str(catalog.folder),
        images=catalog.count("images"),
        people=catalog.connection.execute(sql).fetchone()[0],
        views=views,
        model=(catalog.metadata("model") or "")[:12],
        run=catalog.metadata("run") or "",
        engine=engine,
        created=float(catalog.metadata("created") or 0),
        size_bytes=sum(path.stat().st_size for path in catalog.folder.rglob("*") if path.is_file()),
        tasks=tuple(task for task, names in PREFERRED.items() if any(name in held for name in names)),
    )


def list_images(
    catalog: Catalog, now: float, *, pids: Sequence[int] = (), beginning: str = ""
) -> Iterator[Image]:
    """The images by id, without expired ones.

    Args:
        catalog: Whose images.
        now: Unix seconds.
        pids: Only of these people; of everybody if empty.
        beginning: Only those whose key begins with this.
    """
    wanted = "(expires IS NULL OR expires > ?) AND substr(key, 1, ?) = ?"
    values: list[Any] = [now, len(beginning), beginning]
    if pids:
        wanted += f" AND pid {AMONG}"
        values.append(json.dumps(pids))
    with catalog.errors():
        rows = catalog.connection.execute(f"SELECT id FROM images WHERE {wanted} ORDER BY id", values)
        while part := [row[0] for row in rows.fetchmany(1000)]:
            yield from sorted(catalog.images(part).values(), key=lambda image: image.id)


def facets_of(catalog: Catalog) -> Facets:
    """The values that filters can choose from."""

    def counts(column: str) -> dict[Any, int]:
        sql = f"SELECT {column}, count(*) FROM images WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 1"
        return dict(catalog.connection.execute(sql).fetchall())

    first, last = catalog.connection.execute("SELECT min(taken), max(taken) FROM images").fetchone()
    return Facets(counts("camid"), counts("dataset"), counts("modality"), first, last)
