"""MSMT17: lists with people from zero in each split, the camera in the third field, two versions."""

import pytest

from instructions.errors import InputError
from omnireid.datasets import DATASETS

MSMT = DATASETS["msmt17"]


def test_test_people_follow_the_training_people(make):
    split = MSMT.read(make("msmt17"))
    assert [r.pid for r in split.train] == [0, 1]
    assert [r.pid for r in split.query] == [2]
    assert [r.pid for r in split.gallery] == [2, 3]


def test_the_third_field_is_the_camera(make):
    split = MSMT.read(make("msmt17"))
    assert [r.camid for r in (*split.train, *split.query, *split.gallery)] == [11, 6, 0, 13, 14]


def test_train_val_adds_the_validation_images_and_moves_nobody(make):
    split = MSMT.read(make("msmt17"), "train_val")
    assert [r.pid for r in split.train] == [0, 1, 1]
    assert [r.pid for r in split.query] == [2]


def test_train_val_needs_the_validation_list(make):
    root = make("msmt17")
    (root / MSMT.card.folders[0] / "list_val.txt").unlink()
    assert len(MSMT.read(root).train) == 2
    with pytest.raises(InputError, match=r"list_val\.txt"):
        MSMT.read(root, "train_val")


@pytest.fixture
def version_2(make):
    root = make("msmt17", "MSMT17_V2")
    own = root / "MSMT17_V2"
    (own / "train").rename(own / "mask_train_v2")
    (own / "test").rename(own / "mask_test_v2")
    return root


@pytest.mark.parametrize("variant", ["v2_train", "v2_train_val"])
def test_version_2_is_in_other_folders_and_is_noted(version_2, variant):
    split = MSMT.read(version_2, variant)
    assert "/mask_train_v2/" in split.train[0].image and "/mask_test_v2/" in split.gallery[0].image
    assert "version 2" in split.notes[0]
    assert len(split.train) == (3 if variant.endswith("val") else 2)


def test_version_2_is_never_taken_for_version_1(version_2, make):
    with pytest.raises(InputError, match="what is there is variant v2_train or v2_train_val"):
        MSMT.read(version_2)
    make("msmt17")  # beside it
    assert "/MSMT17_V1/" in MSMT.read(version_2).train[0].image
    assert "/MSMT17_V2/" in MSMT.read(version_2, "v2_train").train[0].image


@pytest.mark.parametrize(
    "line", ["0000/0000_045_12_x.jpg", "0000/holiday.jpg 0", "0000/0000_045_12_x.jpg zero"]
)
def test_a_line_that_is_not_understood_is_named(make, line):
    root = make("msmt17")
    path = root / MSMT.card.folders[0] / "list_query.txt"
    path.write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=r"list_query\.txt:2"):
        MSMT.read(root)


def test_windows_line_ends_and_a_byte_order_mark_are_read(make):
    root = make("msmt17")
    path = root / MSMT.card.folders[0] / "list_train.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert [r.pid for r in MSMT.read(root).train] == [0, 1]
