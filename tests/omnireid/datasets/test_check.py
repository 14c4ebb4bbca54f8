"""Findings of check_data on records: each fault once, none for a clean reading."""

from dataclasses import replace

import pytest

from omnireid.datasets import DATASETS
from omnireid.datasets.check import Finding, LoadedSplit, find_problems, load_every_way
from omnireid.datasets.counts import check_counts, read_manifest
from omnireid.records import Record, Split
from omnireid.tasks import TASKS

A, B, C = Record("a.jpg", 1, 0), Record("b.jpg", 2, 1), Record("c.jpg", 2, 2)
CLEAN = Split("market1501", train=(A,), query=(B,), gallery=(C,))


def reading(split, name="market1501", task="trad", source="lists", variant=""):
    return LoadedSplit(DATASETS[name].card, source, TASKS[task], variant, split)


def found(*arguments, **keywords):
    return [(finding.severity, finding.message) for finding in find_problems(reading(*arguments, **keywords))]


def test_a_clean_reading_gives_no_finding():
    assert found(CLEAN) == []


@pytest.mark.parametrize(
    ("change", "severity", "message"),
    [
        ({"train": (A, A)}, "problem", "1 train images are listed more than once"),
        ({"train": (A, replace(B, pid=9))}, "problem", "also in the query"),
        ({"train": (A, replace(C, pid=9))}, "problem", "also in the gallery"),
        (
            {"train": (A, Record("d.jpg", 2, 0))},
            "problem",
            "1 people are in both the training and the test part",
        ),
        ({"gallery": (C, Record("d.jpg", -3, 0))}, "problem", "negative person id"),
        ({"gallery": (C, Record("d.jpg", 2, 6))}, "problem", "name an unknown camera (7: d.jpg)"),
        ({"query": (B, Record("d.jpg", 5, 0))}, "warning", "1 query people are not in the gallery"),
        ({"gallery": (C, B)}, "warning", "1 query images are also in the gallery"),
    ],
)
def test_each_fault_is_found(change, severity, message):
    (finding,) = found(replace(CLEAN, **change))
    assert finding[0] == severity and message in finding[1]


def test_a_test_that_its_protocol_cannot_judge_is_found():
    (finding,) = found(replace(CLEAN, gallery=(replace(C, camid=1),)))  # by the query's own camera only
    assert finding == (
        "warning",
        "lists trad: protocol market cannot evaluate the test part: no query has a true match under its rule",
    )


def test_no_camera_is_not_a_wrong_camera():
    sides = {"query": (replace(B, camid=-1),), "gallery": (replace(C, camid=-2),)}
    assert found(replace(CLEAN, **sides)) == []


def test_a_query_without_instruction_is_a_problem_and_a_gallery_without_one_is_not():
    messages = found(replace(CLEAN, train=()), "cocas_real2", "li")
    assert [severity for severity, _ in messages] == ["problem", "warning"]
    messages = found(replace(CLEAN, train=()), "cocas_real2", "ctcc")
    assert ["clothes image" in message for _, message in messages] == [True, True]


def test_repeated_images_of_text_queries_are_no_finding():
    query = (replace(B, captions=("one",)), replace(B, captions=("two",)))
    split = Split("cuhk_pedes", query=query, gallery=(replace(B, camid=-2),))
    assert found(split, "cuhk_pedes", "t2i") == []
    assert found(replace(split, train=(A,)), "cuhk_pedes", "t2i")[0][1].endswith(
        "have no caption, e.g. a.jpg"
    )


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_test_tree_is_read_in_every_way_without_a_problem(name, make):
    outcomes = list(load_every_way(name, make(name), named=False))
    assert outcomes and all(isinstance(outcome, LoadedSplit) for outcome in outcomes)
    findings = [finding for outcome in outcomes for finding in find_problems(outcome)]
    assert [finding for finding in findings if finding.severity == "problem"] == []


def test_a_root_that_is_the_data_set_is_read_only_if_named(make):
    own = make("market1501") / "market/Market-1501"
    assert list(load_every_way("market1501", own, named=False)) == []
    assert len(list(load_every_way("market1501", own, named=True))) == 1


def test_a_list_that_cannot_be_read_is_a_problem_and_the_rest_is_read(make, write_lists):
    root = make("market1501", under="lists")
    write_lists("market/datalist", train="three columns only\n")
    raw, broken = load_every_way("market1501", root, named=False)
    assert isinstance(raw, LoadedSplit) and raw.source == "raw"
    assert isinstance(broken, Finding) and "train.txt:1" in broken.message


def test_every_closed_folder_of_a_data_set_is_named_and_the_other_sets_are_read(make, shut):
    root = make("prcc")
    make("market1501")
    closed = [shut(root / "prcc/rgb" / folder) for folder in ("test/A/005", "train/001")]
    (finding,) = {*load_every_way("prcc", root, named=False)}
    assert "2 files or folders cannot be opened (Permission denied)" in finding.message
    assert all(str(folder) in finding.message for folder in closed)
    (whole,) = load_every_way("market1501", root, named=False)
    assert isinstance(whole, LoadedSplit) and len(whole.split.train) == 3


@pytest.mark.parametrize("folder", ["market", "market/Market-1501"])
def test_a_closed_folder_is_not_taken_for_one_that_is_not_there(make, shut, folder):
    root = make("market1501")
    shut(root / folder)
    (finding,) = load_every_way("market1501", root, named=False)
    assert isinstance(finding, Finding) and finding.message.endswith(str(root / folder))


def test_a_folder_of_a_known_name_that_holds_nothing_known_is_a_problem(make):
    root = make("msmt17", "MSMT17_V1")
    for name in ("train", "query", "gallery", "val"):
        (root / f"MSMT17_V1/list_{name}.txt").unlink()
    (finding,) = load_every_way("msmt17", root, named=False)
    assert isinstance(finding, Finding) and "the folder MSMT17_V1 exists" in finding.message
    assert "holds test, train" in finding.message and "put list_train.txt or list_query.txt" in finding.fix


def test_an_empty_folder_of_a_known_name_is_no_finding(tmp_path):
    (tmp_path / "MSMT17_V1").mkdir()
    (tmp_path / "MSMT17_V1/Thumbs.db").touch()
    assert list(load_every_way("msmt17", tmp_path, named=False)) == []


def own_table(tmp_path, text):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/shop.csv").write_text(text)
    return list(load_every_way("own/shop", tmp_path, named=False))


def test_an_own_table_is_read_for_every_task_that_its_columns_allow(tmp_path):
    readings = own_table(
        tmp_path,
        "split,image,pid,clothes_id,modality,captions,clothes_image\n"
        "train,a.jpg,1,x,rgb,A man.,s.jpg\nquery,b.jpg,2,y,ir,A boy.,t.jpg\ngallery,c.jpg,2,y,rgb,,\n",
    )
    assert [reading.task.name for reading in readings] == list(TASKS)
    assert readings[0].split.notes[1:] == ()


def test_missing_columns_of_an_own_table_are_reported(tmp_path):
    readings = own_table(tmp_path, "split,image,pid\ntrain,a.jpg,1\nquery,b.jpg,2\ngallery,c.jpg,2\n")
    assert [reading.task.name for reading in readings] == ["trad", "cc"]
    notes = "\n".join(readings[0].split.notes)
    for task, column in {
        "vi": "modality",
        "ctcc": "clothes_image",
        "li": "captions",
        "t2i": "captions",
    }.items():
        assert f"not usable for {task} without the column {column}" in notes
    assert "not usable for protocols that consider clothes without the column clothes_id" in notes


def test_a_second_task_of_one_table_repeats_no_finding_of_the_first(tmp_path):
    readings = own_table(tmp_path, "split,image,pid,captions\ntrain,a.jpg,1,A man.\ntrain,a.jpg,1,\n")
    messages = [finding.message for reading in readings for finding in find_problems(reading)]
    assert [message.partition(": ")[0] for message in messages] == ["raw trad", "raw li", "raw t2i"]
    assert "listed more than once" in messages[0] and "1 train images have no caption" in messages[1]


def test_a_table_whose_name_is_none_is_a_finding(tmp_path):
    (finding,) = load_every_way("own/my copy", tmp_path, named=False)
    assert isinstance(finding, Finding) and "is not a valid name for your own data" in finding.message


def test_counts_are_judged_by_the_card():
    messages = [f.message for f in check_counts([reading(replace(CLEAN, gallery=()), source="raw")], None)]
    assert "1 train records of 1 people, but published are 12936 of 751 people" in messages[0]
    assert messages[2].endswith("the gallery part is empty")


def test_a_part_that_a_list_does_not_offer_is_not_missed():
    split = Split("cocas_real1", train=(A,))
    messages = [f.message for f in check_counts([reading(split, "cocas_real1", "ctcc")], None)]
    assert len(messages) == 1 and "train records" in messages[0]


def test_a_drawn_tree_is_judged_by_its_manifest(tmp_path):
    (tmp_path / "synthetic.json").write_text(
        '{"datasets": {"market1501": {"train": 1, "query": 1, "gallery": 4}}}'
    )
    manifest = read_manifest(tmp_path)
    plain = reading(CLEAN, source="raw")
    with_junk = reading(replace(CLEAN, notes=("3 junk images (pid -1) left out",)), source="raw")
    assert [f.message for f in check_counts([plain], manifest)] == [
        "raw trad: 1 gallery records, but the synthetic tree was generated with 4"
    ]
    assert list(check_counts([with_junk], manifest)) == []


def test_a_tree_without_manifest_is_real_and_a_broken_manifest_is_refused(tmp_path):
    assert read_manifest(tmp_path) is None
    (tmp_path / "synthetic.json").write_text("[]")
    with pytest.raises(ValueError, match="is not a manifest"):
        read_manifest(tmp_path)
