"""Keys of a gallery: one image each, wherever it lies, with what is known of it."""

import os
import shutil
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from instructions.errors import InputError
from irm.retrieval import Gallery, items_of_folder, items_of_table
from tools._program import run
from tools.index import main


@pytest.fixture
def day1(tmp_path, tiny_items):
    return day(tmp_path / "day1", tiny_items[:2])


@pytest.fixture
def day2(tmp_path, tiny_items):
    return day(tmp_path / "day2", tiny_items[2:4])


@pytest.fixture
def empty(tmp_path, search_model):
    with Gallery.create(tmp_path / "store", search_model, views=["trad"]) as opened:
        yield opened


def day(folder, items):
    folder.mkdir()
    for number, item in enumerate(items, start=1):
        shutil.copy(item.path, folder / f"cam{number}.jpg")
    return folder


def known(gallery, key):
    return gallery.catalog.images_by_key([key])[key]


def test_a_key_that_stands_for_another_picture_is_refused_and_nothing_is_indexed(empty, day1, day2):
    empty.add(items_of_folder(day1))
    shutil.copy(day2 / "cam1.jpg", day2 / "a_new_one.jpg")
    with pytest.raises(InputError) as refused:
        empty.add(items_of_folder(day2), batch_size=1)
    for told in ("'cam1.jpg'", str(day1 / "cam1.jpg"), str(day2 / "cam1.jpg"), "--prefix day2"):
        assert told in str(refused.value)
    assert empty.info().images == 2
    assert known(empty, "cam1.jpg").path == str(day1 / "cam1.jpg")


def test_with_a_prefix_both_days_are_there(monkeypatch, capsys, tmp_path, tiny_run, day1, day2):
    monkeypatch.setenv("COLUMNS", "300")
    store = tmp_path / "store"
    words = ["tools.index", tiny_run, "--store", store, "--views", "trad", "--images"]
    for last, code in (([day1], 0), ([day2], 2), ([day2, "--prefix", "day2/"], 0), ([day1], 0)):
        monkeypatch.setattr(sys, "argv", [str(word) for word in (*words, *last)])
        with pytest.raises(SystemExit) as ended:
            run(main)
        assert ended.value.code == code
        told = capsys.readouterr()
        assert "--prefix day2" in told.err or not code
    assert "2 unchanged" in told.out
    assert "4 images" in " ".join(told.out.split())  # the title is as narrow as the table


def test_a_folder_that_was_copied_or_moved_keeps_its_keys(empty, tmp_path, day1, day2):
    empty.add(items_of_folder(day1))
    shutil.copytree(day1, tmp_path / "copy")
    empty.add(items_of_folder(tmp_path / "copy"))
    (tmp_path / "link").symlink_to(tmp_path / "copy")
    empty.add(items_of_folder(tmp_path / "link"))
    shutil.rmtree(tmp_path / "copy")
    (tmp_path / "link").unlink()
    shutil.copy(day2 / "cam2.jpg", day1 / "cam2.jpg")  # moved, and changed afterwards
    added = empty.add(items_of_folder(day1))
    assert (added.added, added.updated, empty.info().images) == (0, 2, 2)


def test_a_folder_keeps_what_a_table_said_and_an_empty_cell_forgets_it(empty, day1):
    table = day1 / "meta.csv"
    table.write_text("path,pid,camid,time,modality,caption\ncam1.jpg,7,3,2026-01-01,ir,a red coat\n")
    empty.add(items_of_table(table))
    before = known(empty, "cam1.jpg")
    assert (before.pid, before.camid, before.modality, before.captions) == (7, 3, "ir", ("a red coat",))
    added = empty.add(items_of_folder(day1))
    assert (added.added, added.unchanged) == (1, 1)
    assert known(empty, "cam1.jpg") == before
    table.write_text("path,pid\ncam1.jpg,\n")
    empty.add(items_of_table(table))
    after = known(empty, "cam1.jpg")
    assert (after.pid, after.camid, after.taken) == (None, 3, before.taken)


def test_a_name_that_is_no_text_is_left_out_and_named(empty, day1):
    shutil.copy(day1 / "cam1.jpg", day1 / os.fsdecode(b"caf\xe9.jpg"))
    added = empty.add(items_of_folder(day1))
    assert added.added == 2
    assert [key for key, _ in added.failures] == ["caf\\xe9.jpg"]
    assert "is not valid UTF-8" in added.failures[0][1]


def test_a_batch_of_large_pictures_is_held_at_the_models_size(empty, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    for number in range(12):
        Image.fromarray(noise).resize((1600, 1200)).save(folder / f"{number}.png")
    tracemalloc.start()
    empty.add(items_of_folder(folder))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 1600 * 1200 * 3
    assert Path(known(empty, "3.png").path).name == "3.png"
