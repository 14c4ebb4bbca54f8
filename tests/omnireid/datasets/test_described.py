"""RSTPReid and ICFG-PEDES: CUHK-PEDES's form with field names, numbers and file names of their own."""

import json

import pytest

from instructions.errors import InputError
from omnireid.datasets import DATASETS

RSTP, ICFG = DATASETS["rstpreid"], DATASETS["icfg_pedes"]


def test_rstpreid_calls_the_image_img_path_and_counts_people_from_0(make):
    split = RSTP.read(make("rstpreid"))
    assert [(r.pid, r.image.rpartition("/imgs/")[2]) for r in split.train] == [(0, "0000_c14_0031.jpg")]
    assert [(r.pid, r.captions) for r in split.query] == [(3901, ("A girl.",)), (3901, ("She runs.",))]
    assert [r.pid for r in RSTP.read(make("rstpreid"), "val").gallery] == [3701]


def test_rstpreid_without_a_split_column_is_cut_by_place(make, monkeypatch):
    monkeypatch.setattr("omnireid.datasets.rstpreid.FIRST_VAL", 1)
    monkeypatch.setattr("omnireid.datasets.rstpreid.FIRST_TEST", 2)
    root = make("rstpreid")
    expected = RSTP.read(root)
    path = root / "RSTPReid/data_captions.json"
    entries = json.loads(path.read_text())
    for entry in entries:
        del entry["split"]
    path.write_text(json.dumps(entries))
    assert RSTP.read(root) == expected


@pytest.mark.parametrize("name", ["ICFG-PEDES.json", "ICFG_PEDES.json", "ICFG-PDES.json"])
def test_all_three_names_of_the_annotation_file_are_read(make, name):
    root = make("icfg_pedes")
    (root / "ICFG-PEDES/ICFG-PEDES.json").rename(root / "ICFG-PEDES" / name)
    assert len(ICFG.read(root).train) == 2


def test_the_folders_train_and_test_of_icfg_pedes_are_not_its_split(make):
    split = ICFG.read(make("icfg_pedes"))
    assert ["/test/" in r.image for r in split.train] == [False, True]
    assert ["/train/" in r.image for r in split.gallery] == [True]


def test_icfg_pedes_without_a_split_column_is_refused(make):
    root = make("icfg_pedes")
    path = root / "ICFG-PEDES/ICFG-PEDES.json"
    entries = json.loads(path.read_text())
    del entries[1]["split"]
    path.write_text(json.dumps(entries))
    with pytest.raises(InputError, match=r"entry 1 \(person 1\) of the annotation file has no split"):
        ICFG.read(root)
