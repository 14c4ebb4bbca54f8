"""Folders that are there whole or not at all."""

import pytest

from omnireid.files import replace_folder


def test_a_folder_is_replaced_only_once_the_new_one_is_whole(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("old")

    def breaks_off(beside):
        beside.mkdir()
        (beside / "half").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_folder(folder, breaks_off)
    assert [path.name for path in folder.iterdir()] == ["old"]

    def finishes(beside):
        beside.mkdir()
        (beside / "new").write_text("new")

    replace_folder(folder, finishes)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
