"""Folder scanning: sorted, images only."""

import pytest

from instructions.errors import InputError
from omnireid.datasets.scan import (
    OutfitImage,
    image_names,
    is_image_name,
    number_outfits,
    refusing_os_errors,
    subfolders,
)


def test_only_images_count_and_hidden_files_do_not():
    assert [is_image_name(n) for n in ("a.jpg", "a.PNG", "a.jpeg", "a.bmp")] == [True] * 4
    assert [is_image_name(n) for n in ("Thumbs.db", "._a.jpg", "a.jpg.part", ".jpg")] == [False] * 4


def test_names_come_sorted_and_a_missing_folder_is_empty(tmp_path):
    for name in ("b.jpg", "a.jpg", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "z").mkdir()
    (tmp_path / "y").mkdir()
    assert image_names(tmp_path) == ["a.jpg", "b.jpg"]
    assert subfolders(tmp_path) == ["y", "z"]
    assert image_names(tmp_path / "no") == subfolders(tmp_path / "no") == []
    assert image_names(tmp_path / "c.txt") == subfolders(tmp_path / "c.txt") == []


def test_outfits_are_numbered_by_name_over_all_parts():
    parts = [[OutfitImage("1", 9, 0, "9_2")], [OutfitImage("2", 9, 0, "9_1"), OutfitImage("3", 9, 1, "9_2")]]
    (first,), (second, third) = number_outfits(parts)
    assert (first.clothes_id, second.clothes_id, third.clothes_id) == (1, 0, 1)


def test_an_error_without_a_file_name_is_one_sentence_too():
    with (
        pytest.raises(InputError, match=r"^a file cannot be read \(Input/output error\); check the disk"),
        refusing_os_errors(),
    ):
        raise OSError(5, "Input/output error")


def test_the_folder_that_is_closed_is_named_and_not_what_is_below_it(tmp_path, shut):
    shut(tmp_path / "a")
    with (
        pytest.raises(
            InputError, match=rf"^{tmp_path}/a cannot be read \(Permission denied\); grant read permission"
        ),
        refusing_os_errors(),
    ):
        raise PermissionError(13, "Permission denied", str(tmp_path / "a/b/c.txt"))
