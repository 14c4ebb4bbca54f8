"""Killed, shared, full: the store that is opened afterwards holds all that was acknowledged, once."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from instructions.errors import InputError
from irm.retrieval import Gallery, Picture, Question, erasure, items_of_folder
from irm.retrieval.catalog import FILE_NAME, Catalog, sole_indexer
from irm.retrieval.engines import open_engine, rebuild, verify
from irm.retrieval.schema import MIGRATIONS

ROOT = Path(__file__).parents[3]
NUM = 24


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, tiny_items) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(NUM):
        shutil.copy(tiny_items[number % len(tiny_items)].path, folder / f"{number:03}.jpg")
    return folder


def check_whole(catalog: Catalog) -> int:
    """Every image has its thumbnail and its vectors, nothing stands alone, nothing twice."""
    connection = catalog.connection
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    images = {row[0] for row in connection.execute("SELECT id FROM images")}
    keys = [row[0] for row in connection.execute("SELECT key FROM images ORDER BY id")]
    assert len(set(keys)) == len(keys)
    tables = ["pictures", *(row.table for row in catalog.spaces().values())]
    for table in tables:
        assert {row[0] for row in connection.execute(f"SELECT image FROM {table}")} == images
    return len(images)


def start(*arguments) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("crashing.py")), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def ended(*arguments) -> int:
    with start(*arguments) as process:
        return process.wait()


@pytest.mark.slow
def test_a_killed_indexing_keeps_what_it_acknowledged_and_goes_on(tmp_path, tiny_run, pictures, search_model):
    process = start("index", tmp_path / "store", tiny_run, pictures)
    assert next(process.stdout) == "acknowledged 2\n"
    with Gallery.open(tmp_path / "store", model=search_model) as gallery:
        process.send_signal(signal.SIGSTOP)  # so that it is surely still at it
        with pytest.raises(InputError, match="another process is indexing or erasing"):
            gallery.add(items_of_folder(pictures))
        process.send_signal(signal.SIGCONT)
        assert gallery.search(Question(like=(1,), task="trad", top=1)).hits[0].image == 1
        acknowledged = int(next(process.stdout).split()[1])
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        process.wait()
        kept = check_whole(gallery.catalog)
        assert acknowledged <= kept <= NUM
        again = gallery.add(items_of_folder(pictures), batch_size=2)
        assert (again.added, again.unchanged) == (NUM - kept, kept)
        assert check_whole(gallery.catalog) == NUM


@pytest.mark.slow
def test_a_write_that_is_killed_did_not_happen(tmp_path, tiny_run, pictures, search_model):
    # Two images a batch and two views: the eleventh vector is the third batch's, in the midst of its writing.
    process = start("index", tmp_path / "store", tiny_run, pictures, "INSERT OR REPLACE INTO vectors_", 11)
    told = process.communicate()[0]
    assert process.returncode == -signal.SIGKILL
    assert told == "acknowledged 2\nacknowledged 4\n"
    with Gallery.open(tmp_path / "store", model=search_model) as gallery:
        assert check_whole(gallery.catalog) == 4
        assert gallery.add(items_of_folder(pictures), batch_size=8).added == NUM - 4
        assert check_whole(gallery.catalog) == NUM


@pytest.mark.slow
def test_a_rebuild_that_is_killed_leaves_a_store_that_is_refused_until_it_is_rebuilt(own_gallery, tmp_path):
    catalog, address = own_gallery.catalog, f"edge:{tmp_path / 'edge'}"
    rebuild(address, catalog)
    open_engine(address, catalog).close()
    assert ended("build", catalog.folder, address) == -signal.SIGKILL
    with pytest.raises(InputError, match="bring it up to date"):
        open_engine(address, catalog)
    assert rebuild(address, catalog) == {
        view: catalog.count(row.table) for view, row in catalog.spaces().items()
    }
    engine = open_engine(address, catalog)
    for view in catalog.spaces():
        verify(engine, catalog, view)
    engine.close()


@pytest.mark.slow
def test_an_erasure_that_is_killed_is_finished_by_the_next(own_gallery):
    catalog = own_gallery.catalog
    fragments = erasure._fragments(catalog, [3])
    own_gallery.close()  # the log goes into the file, where the bytes then lie
    assert ended("erase", catalog.folder, 3) == -signal.SIGKILL
    assert erasure.search_files(catalog.folder, fragments)[1] > 0
    again = Catalog(catalog.folder)
    assert 3 not in again.images([3])
    assert own_gallery.erase(images=[3]).images == 0  # the rows were gone, the bytes were not
    assert erasure.search_files(catalog.folder, fragments)[1] == 0
    assert check_whole_images(again)
    again.close()


def check_whole_images(catalog: Catalog) -> bool:
    """No thumbnail and no vector without its image."""
    return catalog.connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_an_interrupted_write_leaves_nothing_of_its_batch(own_gallery, pictures, monkeypatch):
    before = check_whole_counts(own_gallery)
    real = own_gallery.catalog.spaces

    def fail():
        # The images and thumbnails of the batch are written by now, its vectors are not.
        if own_gallery.catalog.connection.in_transaction:
            raise KeyboardInterrupt
        return real()

    monkeypatch.setattr(own_gallery.catalog, "spaces", fail)
    with pytest.raises(KeyboardInterrupt):
        own_gallery.add(items_of_folder(pictures))
    monkeypatch.undo()
    assert check_whole_counts(own_gallery) == before
    assert own_gallery.add(items_of_folder(pictures)).added == NUM


def check_whole_counts(gallery) -> dict[str, int]:
    tables = ["images", "pictures", *(row.table for row in gallery.catalog.spaces().values())]
    return {table: gallery.catalog.count(table) for table in tables}


KILLED_MIGRATION = """
import os, signal, sqlite3, sys
from irm.retrieval import schema
from pathlib import Path
steps = schema.MIGRATIONS
class Deadly(str): pass
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
schema.migrate(connection, "here", (steps[0], (*steps[1], "SELECT die()")))
"""


def test_a_migration_that_is_killed_did_not_happen_and_is_taken_up(tmp_path):
    old = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    for statement in (*MIGRATIONS[0], "PRAGMA user_version = 1", "INSERT INTO facts VALUES ('model', 'abc')"):
        old.execute(statement)
    old.close()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_MIGRATION, str(tmp_path / FILE_NAME)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert killed.returncode == -signal.SIGKILL
    left = sqlite3.connect(tmp_path / FILE_NAME)
    assert left.execute("PRAGMA user_version").fetchone() == (1,)
    assert left.execute("SELECT 1 FROM sqlite_master WHERE name = 'kept'").fetchone() is None
    left.close()
    catalog = Catalog(tmp_path)
    assert catalog.connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert catalog.metadata("model") == "abc"
    assert catalog.trail.connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    catalog.close()


def test_a_store_of_a_later_version_is_refused(tmp_path):
    later = sqlite3.connect(tmp_path / FILE_NAME)
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(InputError, match="version 99; this program supports versions up to"):
        Catalog(tmp_path)


def test_a_second_process_that_indexes_is_refused_and_searching_goes_on(own_gallery, pictures):
    with sole_indexer(own_gallery.catalog.folder):
        with pytest.raises(InputError, match="another process is indexing"):
            own_gallery.add(items_of_folder(pictures))
        with pytest.raises(InputError, match="another process is indexing"):
            own_gallery.erase(images=[1])
        assert own_gallery.search(Question(like=(1,), top=1)).hits[0].image == 1
    assert own_gallery.add(items_of_folder(pictures)).added == NUM


def test_a_search_sees_what_another_process_wrote_and_erased(own_gallery, search_model, pictures):
    total = own_gallery.search(Question(like=(1,), task="trad", top=1)).total
    with Gallery.open(own_gallery.catalog.folder, model=search_model) as other:
        other.add(items_of_folder(pictures))
        assert own_gallery.search(Question(like=(1,), task="trad", top=1)).total == total + NUM
        found = own_gallery.search(Question(images=(Picture.read(pictures / "000.jpg"),), task="trad", top=3))
        new = next(hit.image for hit in found.hits if hit.key == "000.jpg")
        other.erase(images=[new])
        assert own_gallery.search(Question(like=(1,), task="trad", top=1)).total == total + NUM - 1
        anew = other.search(Question(like=(1,), task="trad", top=total))
    followed = own_gallery.search(Question(like=(1,), task="trad", top=total))
    assert [hit.image for hit in followed.hits] == [hit.image for hit in anew.hits]


def test_a_full_disk_is_one_sentence_and_the_store_stays_as_it_was(own_gallery, pictures):
    before = check_whole_counts(own_gallery)
    connection = own_gallery.catalog.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(InputError, match=r"is full .*; the last batch was not saved"):
        own_gallery.add(items_of_folder(pictures))
    assert check_whole_counts(own_gallery) == before
    assert check_whole(own_gallery.catalog) == before["images"]
    connection.execute("PRAGMA max_page_count = 1073741823")
    assert own_gallery.add(items_of_folder(pictures)).added == NUM


def test_a_file_that_may_not_grow_is_one_sentence_and_the_store_stays_as_it_was(own_gallery, pictures):
    """The operating system itself refuses the bytes, as on a full disk."""
    before = check_whole_counts(own_gallery)
    log = own_gallery.catalog.file.with_name(f"{FILE_NAME}-wal")
    own_gallery.search(Question(like=(1,), top=1))  # so that there is a log
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 50_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"is full .*; the last batch was not saved"):
            own_gallery.add(items_of_folder(pictures))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert check_whole_counts(own_gallery) == before
    assert own_gallery.add(items_of_folder(pictures)).added == NUM
    after = check_whole_counts(own_gallery)
    assert after["images"] == after["pictures"] == before["images"] + NUM


def test_indexing_again_changes_nothing_and_a_changed_picture_is_embedded_anew(
    own_gallery, pictures, tmp_path
):
    folder = tmp_path / "copy"
    shutil.copytree(pictures, folder)
    assert own_gallery.add(items_of_folder(folder)).added == NUM
    revision = own_gallery.catalog.revision()
    assert own_gallery.add(items_of_folder(folder)).unchanged == NUM
    assert own_gallery.catalog.revision() == revision
    space = own_gallery.catalog.spaces()["trad"]
    ids = [image.id for image in own_gallery.catalog.images_by_key(["001.jpg", "002.jpg"]).values()]
    one, two = (own_gallery.catalog.vectors(space, [id_])[1] for id_ in sorted(ids))
    (folder / "001.jpg").write_bytes((folder / "002.jpg").read_bytes())
    assert own_gallery.add(items_of_folder(folder)).updated == 1
    now = own_gallery.catalog.vectors(space, [min(ids)])[1]
    assert not np.array_equal(now, one)
    np.testing.assert_allclose(now, two, atol=1e-5)


def test_a_picture_that_cannot_be_read_is_left_out_and_named(own_gallery, tmp_path, pictures):
    shutil.copy(pictures / "000.jpg", tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    added = own_gallery.add([item for item in items_of_folder(tmp_path) if "store" not in item.key])
    assert added.added == 1
    assert [key for key, _ in added.failures] == ["b.jpg"]
