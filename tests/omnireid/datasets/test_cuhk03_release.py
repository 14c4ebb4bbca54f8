"""CUHK03 from cuhk-03.mat: its images unchanged, and the classic splits of its test sets."""

import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from instructions.errors import InputError
from omnireid.datasets import DATASETS
from omnireid.datasets.cuhk03_release import MAT, extract

CUHK03 = DATASETS["cuhk03"]
PEOPLE = {1: 2, 2: 1}  # people of each camera pair
CELLS = {(1, 1): (0, 5), (1, 2): (1, 6, 7), (2, 1): (0, 9)}  # which of a person's ten cells hold an image
TEST_SETS = ([(1, 2)], [(2, 1)])  # pair and person


def pixels_of(boxes, pair, person, cell):
    rng = np.random.default_rng([len(boxes), pair, person, cell])
    return rng.integers(0, 256, (6, 3, 3), dtype=np.uint8)


def write_mat(path):
    """As MATLAB writes it: cells are references, and every array lies transposed."""
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as mat:
        refs = mat.create_group("#refs#")

        def put(name, array):
            return refs.create_dataset(name, data=array).ref

        for boxes in ("detected", "labeled"):
            pairs = []
            for pair, num_people in PEOPLE.items():
                cells = np.empty((10, num_people), dtype=h5py.ref_dtype)
                for person in range(1, num_people + 1):
                    for cell in range(10):
                        shown = cell in CELLS[pair, person]
                        array = (
                            pixels_of(boxes, pair, person, cell).T if shown else np.zeros(2, dtype=np.uint64)
                        )
                        cells[cell, person - 1] = put(f"{boxes}{pair}{person}{cell}", array)
                pairs.append(put(f"{boxes}{pair}", cells))
            mat.create_dataset(boxes, data=np.array([pairs], dtype=h5py.ref_dtype))
        tests = [put(f"t{row}", np.array(people, dtype=float).T) for row, people in enumerate(TEST_SETS)]
        mat.create_dataset("testsets", data=np.array([tests], dtype=h5py.ref_dtype))


@pytest.fixture
def release(tmp_path):
    write_mat(tmp_path / "cuhk03" / MAT)
    return tmp_path / "cuhk03"


def test_images_have_their_published_names_and_their_very_pixels(release):
    assert extract(release) == 14
    names = sorted(path.name for path in (release / "images_detected").iterdir())
    assert names == [
        "1_001_1_01.png", "1_001_2_06.png", "1_002_1_02.png", "1_002_2_07.png", "1_002_2_08.png",
        "2_001_1_01.png", "2_001_2_10.png",
    ]  # fmt: skip
    for boxes in ("detected", "labeled"):
        drawn = np.asarray(Image.open(release / f"images_{boxes}/1_002_2_07.png"))
        np.testing.assert_array_equal(drawn, pixels_of(boxes, 1, 2, 6))


@pytest.mark.parametrize(("number", "test_people"), [("", {1002}), ("/1", {1002}), ("/2", {2001})])
def test_a_classic_split_has_its_test_people_as_query_and_gallery_and_all_others_in_train(
    release, tmp_path, number, test_people
):
    extract(release)
    split = CUHK03.read(tmp_path, f"classic_labeled{number}")
    assert split.query == split.gallery and {r.pid for r in split.query} == test_people
    assert {r.pid for r in split.train} == {1001, 1002, 2001} - test_people
    assert {r.camid for r in split.query} == {0, 1}
    assert all("/images_labeled/" in r.image for r in (*split.train, *split.query))


def test_the_folder_can_be_moved_after_extraction(release, tmp_path):
    extract(release)
    moved = tmp_path / "elsewhere/cuhk03"
    shutil.move(release, moved)
    split = CUHK03.read(moved.parent, "classic_detected")
    assert all(r.image.startswith(str(moved)) for r in split.train)


def test_extracting_again_writes_only_what_is_missing(release):
    extract(release)
    kept, lost = release / "images_labeled/1_001_1_01.png", release / "images_labeled/1_001_2_06.png"
    kept.write_bytes(b"as it was")
    lost.write_bytes(b"")
    assert extract(release) == 14
    assert kept.read_bytes() == b"as it was" and lost.stat().st_size > 0


@pytest.mark.parametrize("number", ["0", "21", "x"])
def test_a_split_that_does_not_exist_is_refused(release, number):
    with pytest.raises(InputError, match="has the splits classic_detected/1 to classic_detected/20"):
        CUHK03.read(release, f"classic_detected/{number}")


def test_what_is_not_the_release_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cuhk-03\.mat does not exist"):
        extract(tmp_path)
    path = tmp_path / MAT
    path.parent.mkdir()
    path.write_bytes(b"text")
    with pytest.raises(InputError, match="is not an HDF5 file"):
        extract(tmp_path)
    with h5py.File(path, "w") as mat:
        mat.create_dataset("other", data=[1])
    with pytest.raises(InputError, match="does not have the structure of the CUHK03 release"):
        extract(tmp_path)


def test_a_missing_split_file_is_named(release):
    extract(release)
    (release / "splits_classic_detected.json").unlink()
    with pytest.raises(InputError, match=r"expected one that contains splits_classic_detected\.json"):
        CUHK03.read(release, "classic_detected")


def test_fewer_splits_than_asked_for_are_refused(release):
    extract(release)
    with pytest.raises(InputError, match="is not a split file"):
        CUHK03.read(release, "classic_detected/3")
