"""CUHK03-NP: three redistributions of the same images, two kinds of boxes."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from instructions.errors import InputError
from omnireid.datasets import DATASETS

CUHK03 = DATASETS["cuhk03"]
NAMES = ("1_001_1_01.png", "1_001_2_06.png", "5_049_1_02.png", "5_049_2_08.png", "5_049_2_09.png")
LABELS, TRAIN, QUERY, GALLERY = (1, 1, 1467, 1467, 1467), (1, 2), (3,), (4, 5)  # indices are one-based


@pytest.fixture
def extracted(tmp_path):
    """Images as torchreid extracts them, in a folder of detected boxes."""
    folder = tmp_path / "cuhk03"
    (folder / "images_detected").mkdir(parents=True)
    for name in NAMES:
        (folder / "images_detected" / name).touch()
    return folder


def column(values):
    return np.array(values, dtype=np.uint16)[:, None]


def write_mat(folder):
    cells = np.empty((len(NAMES), 1), dtype=object)
    cells[:, 0] = NAMES
    content = {"filelist": cells, "labels": column(LABELS), "camId": column([1, 2, 1, 2, 2])}
    content |= {"train_idx": column(TRAIN), "query_idx": column(QUERY), "gallery_idx": column(GALLERY)}
    savemat(folder / "cuhk03_new_protocol_config_detected.mat", content)


def write_json(folder):
    rows = {
        "train": [[f"/home/else/cuhk03/images_detected/{NAMES[i - 1]}", 0, 0] for i in TRAIN],
        "query": [[f"C:\\else\\{NAMES[i - 1]}", 1467, 0] for i in QUERY],
        "gallery": [[f"/home/else/{NAMES[i - 1]}", 1467, 1] for i in GALLERY],
    }
    (folder / "splits_new_detected.json").write_text(json.dumps([rows]))


def test_detected_and_labeled_boxes_are_in_separate_folders(make):
    for boxes in ("detected", "labeled"):
        split = CUHK03.read(make("cuhk03"), boxes)
        assert all(f"/{boxes}/" in r.image for r in (*split.train, *split.query, *split.gallery))
        assert [(r.pid, r.camid) for r in split.train] == [(3, 0), (3, 1)]


def test_a_bare_folder_counts_as_detected_and_never_as_labeled(trees, tmp_path):
    (trees["cuhk03"].write(tmp_path / "all") / "detected").rename(tmp_path / "cuhk03_1")
    assert "taken as detected" in CUHK03.read(tmp_path / "cuhk03_1").notes[0]
    with pytest.raises(InputError, match="labeled"):
        CUHK03.read(tmp_path / "cuhk03_1", "labeled")


def test_the_published_mat_file_splits_extracted_images(extracted):
    write_mat(extracted)
    split = CUHK03.read(extracted)
    assert [(r.pid, r.camid) for r in split.train] == [(1, 0), (1, 1)]
    assert [(r.pid, r.camid) for r in (*split.query, *split.gallery)] == [(1467, 0), (1467, 1), (1467, 1)]
    assert split.train[0].image == str(extracted / "images_detected" / NAMES[0])


def test_the_json_file_is_read_although_its_paths_are_of_another_machine(extracted):
    write_json(extracted)
    split = CUHK03.read(extracted)
    assert [r.image for r in split.query] == [str(extracted / "images_detected" / NAMES[2])]
    assert [r.pid for r in (*split.train, *split.query, *split.gallery)] == [1001, 1001, 5049, 5049, 5049]


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '[{"train": [1], "query": [], "gallery": []}]'])
def test_a_broken_split_file_is_refused(extracted, content):
    (extracted / "splits_new_detected.json").write_text(content)
    with pytest.raises(InputError, match="is not a split file"):
        CUHK03.read(extracted)


def test_a_mat_file_of_something_else_is_refused(extracted):
    savemat(extracted / "cuhk03_new_protocol_config_detected.mat", {"x": np.zeros(3)})
    with pytest.raises(InputError, match="new-protocol config"):
        CUHK03.read(extracted)


def test_images_without_a_split_file_and_the_raw_mat_alone_are_refused_with_the_remedy(extracted, tmp_path):
    with pytest.raises(InputError, match="needs a split file"):
        CUHK03.read(extracted)
    (tmp_path / "raw/cuhk03_release").mkdir(parents=True)
    with pytest.raises(InputError, match=r"extract the images .* python -m tools\.extract_cuhk03"):
        CUHK03.read(tmp_path / "raw")


def test_a_name_that_is_not_of_the_set_is_named(extracted):
    write_json(extracted)
    path = extracted / "splits_new_detected.json"
    path.write_text(path.read_text().replace("1_001_1_01.png", "holiday.png"))
    with pytest.raises(InputError, match=r"holiday\.png"):
        CUHK03.read(extracted)


@pytest.mark.parametrize("write", [write_mat, write_json])
def test_extracted_boxes_are_split_by_the_file_of_their_own_kind(extracted, write):
    write(extracted)
    assert CUHK03.read(extracted).notes[0].endswith(": detected")
    (extracted / "images_labeled").mkdir()
    with pytest.raises(
        InputError, match=r"images_labeled needs a split file .*_labeled\.mat or .*_labeled\.json"
    ):
        CUHK03.read(extracted, "labeled")  # the file of the detected boxes is another's
    file = next(path for path in extracted.iterdir() if path.is_file())
    file.rename(extracted / file.name.replace("detected", "labeled"))
    split = CUHK03.read(extracted, "labeled")
    assert {Path(r.image).parent.name for r in (*split.train, *split.query, *split.gallery)} == {
        "images_labeled"
    }
    assert split.notes[0].endswith(": labeled")
