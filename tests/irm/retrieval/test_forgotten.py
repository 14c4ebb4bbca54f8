"""Who was erased, or has expired, stays out; what was cut short is taken up; locks outlive the proof."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from instructions.errors import InputError
from irm.retrieval import Gallery, Question, erasure
from irm.retrieval.engines import check_lengths
from irm.retrieval.gallery_store import GalleryStore

DAY = 86400.0
ROOT = Path(__file__).parents[3]


@pytest.fixture
def filled(own_gallery, tiny_items):
    """A gallery of its own, and five items that are not in it yet."""
    items = [dataclasses.replace(item, key=f"new{number}") for number, item in enumerate(tiny_items[:5])]
    return own_gallery, items


def test_what_expired_is_not_taken_in_again_unless_somebody_asks(filled):
    gallery, items = filled
    assert gallery.add(items, now=0.0, keep_days=1.0).added == 5
    assert gallery.expire(now=2 * DAY).images == 5
    again = gallery.add(items, now=2 * DAY, keep_days=1.0)
    assert (again.added, again.forgotten) == (0, 5)
    asked = gallery.add(items, now=2 * DAY, again=True)
    assert (asked.added, asked.forgotten) == (5, 0)
    assert gallery.add(items, now=3 * DAY).unchanged == 5


def test_who_is_erased_stays_out_and_others_come_in(filled, tiny_items):
    gallery, items = filled
    gallery.add(items[:2])
    gallery.erase(keys=["new0"])
    found = gallery.add(items)
    assert (found.added, found.unchanged, found.forgotten) == (3, 1, 1)


def test_of_who_is_forgotten_a_digest_stays_that_says_nothing(filled):
    gallery, items = filled
    gallery.add([dataclasses.replace(items[0], captions=("said of nobody else",))])
    content = gallery.catalog.images_by_key(["new0"])["new0"].content
    gallery.erase(keys=["new0"])
    (digest,) = next(gallery.catalog.connection.execute("SELECT digest FROM forgotten"))
    assert digest.hex() not in content
    assert content.encode() not in gallery.catalog.file.read_bytes()


@pytest.mark.parametrize("retry", ["erase", "expire"])
def test_an_erasure_that_was_cut_short_is_finished_when_asked_again(filled, retry, monkeypatch):
    gallery, items = filled
    gallery.add(items, now=0.0, keep_days=1.0)

    def interrupted(catalog, *, trail):
        raise InputError("another process is reading an older state")

    with monkeypatch.context() as patched, pytest.raises(InputError, match="older state"):
        patched.setattr(erasure, "scrub", interrupted)
        gallery.expire(now=2 * DAY)
    fragments = [b"new0", b"new3"]
    assert erasure.search_files(gallery.catalog.folder, fragments)[1] == 2
    receipt = gallery.erase(keys=["new0"]) if retry == "erase" else gallery.expire(now=2 * DAY)
    assert receipt.images == 0
    assert erasure.search_files(gallery.catalog.folder, fragments)[1] == 0
    assert gallery.expire(now=2 * DAY) is None
    with pytest.raises(InputError, match="nothing to erase"):
        gallery.erase(keys=["new0"])


def test_after_an_erasure_other_processes_do_not_take_the_log_away(own_gallery):
    """Whoever reads a file of its own database gives up its locks; who ends next would delete the log."""
    own_gallery.erase(images=[2])
    own_gallery.search(Question(like=(1,), task="trad", top=1))
    program = (
        "import sys; from irm.retrieval.gallery_store import GalleryStore as S; S.open(sys.argv[1]).close()"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, own_gallery.catalog.folder], cwd=ROOT, check=True)
        assert own_gallery.catalog.file.with_name("gallery.db-wal").exists()
        lines = len(own_gallery.audit(1000))
        own_gallery.search(Question(like=(1,), task="trad", top=1))
        with GalleryStore.open(own_gallery.catalog.folder) as other:
            assert len(other.audit(1000)) == lines + 1


def test_files_that_cannot_be_searched_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InputError, match=r"files of .* cannot be searched for traces \(it was stopped\)"):
        erasure.search_files(tmp_path, [b"traces"])


def test_people_are_erased_and_shown_without_the_model(own_gallery, tiny_run):
    folder = own_gallery.catalog.folder
    own_gallery.close()
    with GalleryStore.open(folder) as kept:
        before = kept.info().images
        assert kept.held(3)["image"] == 3
        assert kept.erase(images=[3]).images == 1
        assert kept.info().images == before - 1


def test_expired_pictures_are_shown_to_nobody(filled):
    gallery, items = filled
    gallery.add(items, now=0.0, keep_days=1.0)  # which is long ago
    image = gallery.catalog.images_by_key(["new0"])["new0"].id
    for ask in (gallery.picture, lambda one: gallery.search(Question(like=(one,), task="trad", top=1))):
        with pytest.raises(InputError, match=f"there is no image {image}"):
            ask(image)


def test_the_sample_that_scores_are_measured_by_forgets_who_is_erased(own_gallery):
    calibrations = own_gallery._searcher.calibrations
    space = own_gallery.catalog.spaces()["trad"]
    before = calibrations.of(space)
    own_gallery.erase(images=[2])
    assert len(calibrations.of(space).sample) == len(before.sample) - 1


def test_a_vector_that_was_changed_is_found(own_gallery):
    space = own_gallery.catalog.spaces()["trad"]
    check_lengths(own_gallery.catalog, "trad")
    with own_gallery.catalog.writing() as connection:
        connection.execute(f"UPDATE {space.table} SET vector = zeroblob(length(vector)) WHERE image = 4")
    with pytest.raises(InputError, match="vector of image 4 in the view 'trad'"):
        check_lengths(own_gallery.catalog, "trad")


def test_other_stores_that_still_hold_the_erased_are_counted(own_gallery, search_model):
    own_gallery.catalog.set_metadata(**{"engine 0123456789abcdef": "1"})
    assert own_gallery.erase(images=[2]).stores_left == 1
    assert isinstance(own_gallery, Gallery)
