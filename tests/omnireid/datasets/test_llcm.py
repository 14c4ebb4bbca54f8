"""LLCM: the camera is the number of its folder, even if "cam" occurs elsewhere in the path."""

import pytest

from instructions.errors import InputError
from omnireid.datasets import DATASETS

LLCM = DATASETS["llcm"]


def test_a_root_with_cam_in_its_name_does_not_change_the_camera(make):
    split = LLCM.read(make("llcm", under="cam9/webcam7"))
    assert [r.camid for r in split.query] == [0, 2]
    assert [r.camid for r in split.train] == [0, 1]


def test_the_folder_is_the_person_and_the_modality(make):
    split = LLCM.read(make("llcm"))
    assert [(r.pid, r.modality) for r in split.train] == [(1, "rgb"), (1, "ir")]
    assert {r.modality for r in split.query} == {"rgb"} and {r.modality for r in split.gallery} == {"ir"}


def test_the_other_direction_exchanges_query_and_gallery(make):
    root = make("llcm")
    forth, back = LLCM.read(root), LLCM.read(root, "ir_to_vis")
    assert (forth.query, forth.gallery) == (back.gallery, back.query)


def test_records_run_by_person_camera_and_name(make):
    root = make("llcm")
    own = root / LLCM.card.folders[0]
    for name in ("cam2/0005/0005_c02_s1_f2_vis.jpg", "cam2/0005/0005_c02_s1_f1_vis.jpg"):
        (own / "test_vis" / name).parent.mkdir(parents=True, exist_ok=True)
        (own / "test_vis" / name).touch()
    query = LLCM.read(root).query
    keys = [(r.pid, r.camid, r.image) for r in query]
    assert len(keys) == 4 and keys == sorted(keys)


def test_people_who_are_not_in_test_id_are_not_tested(make):
    root = make("llcm")
    (root / LLCM.card.folders[0] / "idx/test_id.txt").write_text("5")
    assert LLCM.read(root).query == ()


def test_without_index_files_the_folders_are_walked(make):
    root = make("llcm")
    expected = LLCM.read(root)
    for name in ("train_vis", "train_nir", "test_id"):
        (root / LLCM.card.folders[0] / f"idx/{name}.txt").unlink()
    assert LLCM.read(root) == expected


def test_an_index_line_without_camera_and_a_bad_test_id_are_named(make):
    root = make("llcm")
    index = root / LLCM.card.folders[0] / "idx"
    (index / "train_vis.txt").write_text("0001_c01_s190019_f0001_vis.jpg 0\n")
    with pytest.raises(InputError, match=r"train_vis\.txt:1"):
        LLCM.read(root)
    (index / "train_vis.txt").unlink()
    (index / "test_id.txt").write_text("three")
    with pytest.raises(InputError, match=r"test_id\.txt"):
        LLCM.read(root)


def test_a_folder_that_is_no_camera_is_skipped_with_a_note(make):
    root = make("llcm")
    (root / "llcm/LLCM/test_vis/cam1 - Copy/0003").mkdir(parents=True)
    (root / "llcm/LLCM/test_vis/cam1 - Copy/0003/a.jpg").touch()
    split = DATASETS["llcm"].read(root)
    assert len(split.query) == 2
    assert "1 folders in" in split.notes[-1] and "'cam1 - Copy'" in split.notes[-1]
