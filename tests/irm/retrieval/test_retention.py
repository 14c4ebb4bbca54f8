"""Images that are kept for so many days only: found until then, not a moment later, and then erased."""

import shutil

import pytest

from irm.retrieval import Question, items_of_folder

DAY = 86400.0
OLD = {"task": "trad", "top": 100}


@pytest.fixture
def folder(tmp_path, tiny_items):
    """Six images under names that stand nowhere else."""
    folder = tmp_path / "kept"
    folder.mkdir()
    for number in range(6):
        shutil.copy(tiny_items[number].path, folder / f"passer-by-{number}.jpg")
    return folder


def names_found(gallery, now):
    answer = gallery.search(Question(like=(1,), **OLD), now=now)
    assert len(answer.hits) == min(answer.total, 100)
    return {hit.key for hit in answer.hits if hit.key.startswith("passer-by")}


def test_an_expired_picture_is_never_found_and_erased_when_it_is_told_to(own_gallery, folder):
    before = own_gallery.info().images
    own_gallery.add(items_of_folder(folder), keep_days=30, now=0.0)
    assert len(names_found(own_gallery, 30 * DAY - 1)) == 6
    assert names_found(own_gallery, 30 * DAY) == set()
    assert own_gallery.search(Question(like=(1,), **OLD), now=30 * DAY).total == before
    assert own_gallery.expire(now=30 * DAY - 1) is None
    receipt = own_gallery.expire(now=30 * DAY, who="cron")
    assert (receipt.images, receipt.found, own_gallery.info().images) == (6, 0, before)
    assert (own_gallery.audit(1)[0].action, own_gallery.audit(1)[0].who) == ("expire", "cron")
    for path in own_gallery.catalog.folder.iterdir():
        assert b"passer-by" not in path.read_bytes()
    assert own_gallery.expire(now=99 * DAY) is None


def test_a_picture_expires_so_long_after_it_was_added_however_often_it_is_indexed(own_gallery, folder):
    own_gallery.add(items_of_folder(folder), keep_days=30, now=0.0)
    assert own_gallery.add(items_of_folder(folder), keep_days=30, now=20 * DAY).unchanged == 6
    assert names_found(own_gallery, 31 * DAY) == set()


def test_indexing_again_without_a_word_keeps_the_promise_and_another_word_changes_it(own_gallery, folder):
    own_gallery.add(items_of_folder(folder), keep_days=30, now=0.0)
    assert own_gallery.add(items_of_folder(folder), now=1.0).unchanged == 6
    assert names_found(own_gallery, 31 * DAY) == set()
    assert own_gallery.add(items_of_folder(folder), keep_days=60, now=2.0).updated == 6
    assert len(names_found(own_gallery, 31 * DAY)) == 6
    assert names_found(own_gallery, 61 * DAY) == set()
