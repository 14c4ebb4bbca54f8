"""Market-1501: junk is dropped, distractors stay in the gallery, cameras count from zero."""

import pytest

from instructions.errors import InputError
from omnireid.datasets import DATASETS

MARKET = DATASETS["market1501"]


def test_person_and_camera_come_from_the_name(make):
    split = MARKET.read(make("market1501"))
    assert [(r.pid, r.camid) for r in split.train] == [(2, 0), (2, 5), (7, 2)]
    assert [(r.pid, r.camid) for r in split.query] == [(1, 0)]


def test_junk_is_dropped_with_a_note_and_distractors_stay(make):
    split = MARKET.read(make("market1501"))
    assert [r.pid for r in split.gallery] == [0, 1, 1501]
    assert any("1 junk images" in note for note in split.notes)


def test_distractors_never_train(make):
    root = make("market1501")
    (root / MARKET.card.folders[0] / "bounding_box_train/0000_c1s1_000451_03.jpg").touch()
    assert 0 not in {r.pid for r in MARKET.read(root).train}


def test_a_partial_copy_is_read_with_a_note_of_what_is_missing(tmp_path):
    (tmp_path / "bounding_box_train").mkdir()
    (tmp_path / "bounding_box_train/0002_c1s1_000451_03.jpg").touch()
    split = MARKET.read(tmp_path)
    assert (len(split.train), split.query, split.gallery) == (1, (), ())
    assert any(note.startswith("no query") for note in split.notes)


def test_a_folder_of_other_names_is_refused(tmp_path):
    (tmp_path / "bounding_box_train").mkdir()
    (tmp_path / "bounding_box_train/holiday.jpg").touch()
    with pytest.raises(InputError, match=r"holiday\.jpg"):
        MARKET.read(tmp_path)


def test_an_unrecognised_name_is_skipped_with_a_note(make):
    root = make("market1501")
    (root / MARKET.card.folders[0] / "query/holiday.jpg").touch()
    split = MARKET.read(root)
    assert len(split.query) == 1
    assert any("holiday.jpg" in note for note in split.notes)
