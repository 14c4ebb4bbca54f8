"""A disk without room, or one that is only read: what goes on, what is refused, and that nothing is lost."""

import contextlib
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from instructions.errors import BrokenError, FullError
from irm.retrieval import Gallery, Question, audit, erasure
from irm.retrieval.catalog import FILE_NAME, TRAIL_NAME
from irm.retrieval.gallery_store import GalleryStore
from tools._program import run
from tools.index import main

ROOT = Path(__file__).parents[3]
ASKED = Question(like=(1,), task="trad", top=1)


@contextlib.contextmanager
def full(database):
    """No page more is given to a file of a store, as on a full disk."""
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    database.connection.execute("PRAGMA max_page_count = 1073741823")


def long_line(gallery):
    """Search with a purpose that needs a page of its own."""
    return gallery.search(ASKED, purpose="x" * 40_000)


def test_a_search_without_room_for_its_line_is_refused_and_goes_when_there_is_some(own_gallery):
    lines = audit.check(own_gallery.catalog)
    with (
        full(own_gallery.catalog.trail),
        pytest.raises(FullError, match=r"is full .* try again; a search is answered only after"),
    ):
        long_line(own_gallery)
    assert audit.check(own_gallery.catalog) == lines
    assert long_line(own_gallery).hits[0].image == 1
    assert audit.check(own_gallery.catalog) == lines + 1


def test_an_erasure_without_room_erases_nobody_or_is_finished_when_there_is_some(own_gallery, monkeypatch):
    fragments = erasure._fragments(own_gallery.catalog, [3])
    real = own_gallery.local.delete

    def without_room(ids):
        with full(own_gallery.catalog):
            own_gallery.catalog.set_metadata(filler="x" * 100_000)
        real(ids)

    with monkeypatch.context() as patched:
        patched.setattr(own_gallery.local, "delete", without_room)
        with pytest.raises(FullError, match="the images to be erased are still in the gallery"):
            own_gallery.erase(images=[3])
    assert own_gallery.held(3)["image"] == 3

    class Rewriting:
        """A connection whose file must not grow while it is rewritten."""

        def execute(self, sql):
            assert sql == "VACUUM"
            with own_gallery.catalog.errors(), full(own_gallery.catalog):
                own_gallery.catalog.connection.execute("CREATE TABLE filler AS SELECT zeroblob(100000)")

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "_rewrite", lambda *_: Rewriting().execute("VACUUM"))
        with pytest.raises(FullError, match="can no longer be found, but their bytes are still"):
            own_gallery.erase(images=[3])
    assert own_gallery.search(Question(like=(1,), task="trad", top=100)).total == own_gallery.info().images
    assert erasure.search_files(own_gallery.catalog.folder, fragments)[1] > 0
    assert own_gallery.erase(images=[3]).images == 0  # the rest
    assert erasure.search_files(own_gallery.catalog.folder, fragments)[1] == 0


READ = """
import json, os, sys
from irm.retrieval import audit, erasure
from irm.retrieval.gallery_store import GalleryStore
if not os.getuid():  # root may write all
    os.setresuid(65534, 65534, 65534)
with GalleryStore.open(sys.argv[1]) as kept:
    told = [kept.info().images, erasure.held(kept.catalog, 1)["image"], audit.check(kept.catalog)]
    try:
        kept.erase(images=[1])
    except Exception as error:
        told += [type(error).__name__, str(error)]
    print(json.dumps([*told, kept.info().images]))
"""


@pytest.fixture
def guarded(tiny_store):
    """A copy of the store that nobody but its owner may write, where every user may look."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    shutil.copytree(tiny_store, folder / "store")
    with GalleryStore.open(folder / "store") as kept:
        audit.write(kept.catalog, [audit.Line("test", "look", {})], 0.0)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder / "store"
    for path in (folder, folder / "store"):
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_store_that_cannot_be_written_can_be_read_and_says_why_it_is_not_changed(guarded):
    command = [sys.executable, "-c", READ, str(guarded)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert told.returncode == 0, told.stderr
    images, image, lines, error, sentence, after = json.loads(told.stdout)
    with contextlib.closing(sqlite3.connect(f"file:{guarded / TRAIL_NAME}?immutable=1", uri=True)) as trail:
        assert lines == trail.execute("SELECT count(*) FROM audit").fetchone()[0] > 0
    assert (image, error) == (1, "BrokenError")
    assert "cannot be written" in sentence
    assert images == after > 1
    assert sorted(path.name for path in guarded.iterdir()) == [TRAIL_NAME, FILE_NAME]


@pytest.mark.parametrize(
    ("why_read_only", "kind", "sentence"),
    [
        ("disk I/O error", FullError, r"is full \(disk I/O error\)"),
        ("unable to open database file", BrokenError, "because each search is written to the audit"),
    ],
)
def test_a_write_says_what_hindered_the_opening(own_gallery, why_read_only, kind, sentence):
    folder = own_gallery.catalog.folder
    own_gallery.close()
    with GalleryStore.open(folder) as kept:
        kept.catalog.why_read_only = why_read_only
        kept.catalog.connection.execute("PRAGMA query_only = ON")
        with pytest.raises(kind, match=sentence):
            kept.erase(images=[1])


def test_a_gallery_that_cannot_be_written_is_not_opened_for_searching(own_gallery, search_model, monkeypatch):
    folder = own_gallery.catalog.folder
    own_gallery.close()
    monkeypatch.setattr("irm.retrieval.database.os.access", lambda *_: False)
    with pytest.raises(BrokenError, match=r"cannot be written .* each search is written"):
        Gallery.open(folder, model=search_model)
    with GalleryStore.open(folder) as kept:
        assert kept.info().images > 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="asks Linux for a full disk")
def test_an_export_without_room_is_one_sentence_and_leaves_no_half_file(
    tiny_store, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".image_1.json.part").symlink_to("/dev/full")
    words = ["tools.index", "export", "--store", str(tiny_store), "--image", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"No space left on device: '{out / 'image_1.json'}'" in error
    assert error.count("\n") == 1
    assert list(out.iterdir()) == []


def test_the_files_of_a_new_store_are_their_owners(tmp_path, search_model, tiny_items):
    with Gallery.create(tmp_path / "store", search_model, views=["trad"]) as gallery:
        gallery.add(tiny_items[:1])
        gallery.search(ASKED)
        files = sorted((tmp_path / "store").iterdir())
        assert len(files) == 6  # two databases, the log and the index of each
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o700


def test_an_audit_that_comes_to_a_shared_store_is_shared_as_the_store_is(own_gallery):
    folder = own_gallery.catalog.folder
    own_gallery.close()
    (folder / FILE_NAME).chmod(0o660)
    (folder / TRAIL_NAME).unlink()
    with GalleryStore.open(folder):
        assert stat.S_IMODE((folder / TRAIL_NAME).stat().st_mode) == 0o660
