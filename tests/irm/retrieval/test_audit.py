"""The audit: a file of its own that erasing does not hold up, a chain whose end is known, what it forgets."""

import sqlite3

import numpy as np
import pytest

from instructions.errors import InputError
from irm.retrieval import Picture, Question, audit
from irm.retrieval.catalog import FILE_NAME, TRAIL_NAME
from irm.retrieval.gallery_store import GalleryStore
from irm.retrieval.schema import MIGRATIONS
from irm.retrieval.traces import search_files

ASKED = Question(like=(1,), task="trad", top=1)


@pytest.fixture
def trail(own_gallery):
    """The audit's file as anybody may open it, with four lines in it; and its gallery."""
    lines = len(own_gallery.audit(1000))
    for _ in range(4 - lines % 4):
        own_gallery.search(ASKED)
    connection = sqlite3.connect(own_gallery.catalog.folder / TRAIL_NAME, isolation_level=None)
    yield connection
    connection.close()


def test_a_search_does_not_wait_for_whoever_rewrites_the_gallery(own_gallery):
    """VACUUM holds the gallery's file for writing as long as it takes."""
    other = sqlite3.connect(own_gallery.catalog.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    own_gallery.catalog.connection.execute("PRAGMA busy_timeout = 0")
    own_gallery.catalog.trail.connection.execute("PRAGMA busy_timeout = 0")
    lines = len(own_gallery.audit(1000))
    assert own_gallery.search(ASKED).hits[0].image == 1
    assert len(own_gallery.audit(1000)) == lines + 1
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize(
    ("crime", "complaint"),
    [
        ("DELETE FROM audit WHERE number > 2", r"it ends at line 2 but once had \d"),
        ("DELETE FROM audit", r"it ends at line 0 but once had \d"),
        ("DELETE FROM audit WHERE number = 2", "at or before line 3"),
        ("UPDATE audit SET who = 'somebody else' WHERE number = 2", "at or before line 2"),
    ],
)
def test_lines_that_were_cut_off_taken_out_or_changed_are_told(own_gallery, trail, crime, complaint):
    count = audit.check(own_gallery.catalog)
    assert count >= 3
    trail.execute(crime)
    with pytest.raises(InputError, match=complaint):
        audit.check(own_gallery.catalog)


def test_lines_that_were_cut_off_are_told_though_others_came_after(own_gallery, trail):
    last = len(own_gallery.audit(1000))
    trail.execute("DELETE FROM audit WHERE number = ?", (last,))
    own_gallery.search(ASKED)
    with pytest.raises(InputError, match=f"at or before line {last + 1}"):
        audit.check(own_gallery.catalog)


def cut_and_forge(trail):
    """Whoever knows how the file is made leaves no trace in it."""
    last = trail.execute("SELECT max(number) FROM audit").fetchone()[0]
    trail.execute("DELETE FROM audit WHERE number = ?", (last,))
    trail.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit'", (last - 1,))


def test_whoever_noted_the_head_sees_what_the_file_does_not_show(own_gallery, trail):
    noted = audit.head(own_gallery.catalog)
    cut_and_forge(trail)
    own_gallery.search(ASKED)  # a line of the same number, another one
    assert audit.check(own_gallery.catalog) == int(noted.split(":")[0])
    with pytest.raises(InputError, match="at or before line"):
        audit.check(own_gallery.catalog, [noted])
    with pytest.raises(InputError, match="'nonsense' is not an audit head"):
        audit.check(own_gallery.catalog, ["nonsense"])


def test_an_erasure_is_noted_in_the_gallery_too(own_gallery, trail):
    own_gallery.erase(images=[2])
    assert audit.check(own_gallery.catalog) == len(own_gallery.audit(1000))
    cut_and_forge(trail)
    with pytest.raises(InputError, match="but once had"):
        audit.check(own_gallery.catalog)


def test_a_kept_question_goes_with_whom_it_found_and_leaves_no_byte(own_gallery):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 48, 3), dtype=np.uint8)
    question = Question(images=(Picture(pixels, "mine"),), text="a secret of the house", top=1)
    found = own_gallery.search(question, keep_question=True).hits[0].image
    (jpegs,) = own_gallery.catalog.trail.connection.execute("SELECT jpegs FROM kept").fetchone()
    pieces = [b"a secret of the house", jpegs[-200:-150]]
    assert search_files(own_gallery.catalog.folder, pieces)[1] == 2
    own_gallery.erase(images=[found])
    assert search_files(own_gallery.catalog.folder, pieces)[1] == 0
    assert own_gallery.catalog.trail.connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert audit.check(own_gallery.catalog) == len(own_gallery.audit(1000))


def test_an_audit_of_an_earlier_version_moves_whole(tmp_path):
    """Lines, kept questions, and the number up to which lines were given."""
    old = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    for step in MIGRATIONS[:4]:
        for statement in step:
            old.execute(statement)
    old.execute("PRAGMA user_version = 4")
    lines, last = [], ""
    for number in range(1, 4):
        last = audit._chained(last, 1.0, "me", "search", "{}")
        lines.append((number, 1.0, "me", "search", "{}", last))
    old.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", lines)
    old.execute("INSERT INTO kept VALUES (2, 'words', x'00', '[7]')")
    old.close()
    with GalleryStore.open(tmp_path) as kept:
        assert audit.check(kept.catalog) == 3
        assert audit.kept_questions(kept.catalog, [7]) == [2]
        tables = [row[0] for row in kept.catalog.connection.execute("SELECT name FROM sqlite_master")]
        assert not {"audit", "kept"} & set(tables)


def test_an_audit_of_an_earlier_version_that_was_cut_is_told_after_it_moved(tmp_path):
    old = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    for step in MIGRATIONS[:4]:
        for statement in step:
            old.execute(statement)
    old.execute("PRAGMA user_version = 4")
    old.executemany(
        "INSERT INTO audit VALUES (?, 1.0, 'me', 'search', '{}', ?)",
        [(1, audit._chained("", 1.0, "me", "search", "{}")), (2, "later cut off")],
    )
    old.execute("DELETE FROM audit WHERE number = 2")
    old.close()
    with (
        GalleryStore.open(tmp_path) as kept,
        pytest.raises(InputError, match="ends at line 1 but once had 2"),
    ):
        audit.check(kept.catalog)
