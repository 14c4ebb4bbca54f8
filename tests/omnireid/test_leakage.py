"""Test people never train, under whatever number or name they come back."""

import pytest

from omnireid.leakage import BORROWED, People, drop_test_people
from omnireid.records import Record

TEST_IMAGE = "/data/market/Market-1501/bounding_box_test/0004_c2s1_022375_01.jpg"
MARKET_TEST = People(
    "market1501", (Record(TEST_IMAGE, 4, 1), Record("/data/q/0001_c1s1_001051_00.jpg", 1, 0))
)


def kept_pids(train, *tests):
    (kept,), report = drop_test_people([train], tests)
    return [record.pid for record in kept.records], report


def pedes(*images):
    return People(
        "cuhk_pedes", tuple(Record(f"/data/CUHK-PEDES/imgs/{path}", pid, 0) for path, pid in images)
    )


def test_nothing_is_dropped_where_nobody_is_tested():
    train = pedes(("Market/0004_c2s1_022375_01.jpg", 7))
    pids, report = kept_pids(train)
    assert pids == [7] and report.num_dropped == 0
    assert report.sentences() == ("none of 1 training pictures shows a test person",)


def test_a_number_of_the_same_data_set_leaks_and_of_another_does_not():
    records = (Record("x.jpg", 4, 0), Record("y.jpg", 5, 0))
    assert kept_pids(People("market1501", records), MARKET_TEST)[0] == [5]
    assert kept_pids(People("msmt17", records), MARKET_TEST)[0] == [4, 5]


def test_a_test_picture_under_another_number_takes_its_whole_person_along():
    train = pedes(("CUHK01/0363004.png", 1), ("Market/0004_c2s1_022375_01.jpg", 7), ("CUHK01/0001001.png", 7))
    pids, report = kept_pids(train, MARKET_TEST)
    assert pids == [1]
    assert (report.num_records, report.num_dropped) == (3, 2)
    assert report.people == {("cuhk_pedes", "same picture"): 1}
    assert report.examples[0].pid == 7


def test_another_picture_of_a_test_person_is_known_by_the_person_in_its_name():
    train = pedes(("Market/0004_c6s3_099999_05.jpg", 7), ("Market/0005_c6s3_099999_05.jpg", 8))
    pids, report = kept_pids(train, MARKET_TEST)
    assert pids == [8]
    assert report.people == {("cuhk_pedes", "same person by name"): 1}


def test_a_name_counts_only_in_the_folder_of_the_borrowed_set():
    assert kept_pids(pedes(("cam_a/0004_c2s1_022375_01.jpg", 7)), MARKET_TEST)[0] == [7]


def test_cuhk03_and_msmt17_pictures_are_found_by_name():
    cuhk03 = People("cuhk03", (Record("/data/cuhk03/images_detected/1_001_1_01.png", 1, 0),))
    assert kept_pids(pedes(("CUHK03/1_001_2_07.png", 3), ("CUHK03/1_002_2_07.png", 4)), cuhk03)[0] == [4]
    name = "0000/0000_000_01_0303morning_0015_0.jpg"
    msmt = People("msmt17", (Record(f"/data/MSMT17_V1/test/{name}", 1041, 0),))
    icfg = People("icfg_pedes", (Record(f"/data/ICFG-PEDES/imgs/test/{name}", 9, 0),))
    assert kept_pids(icfg, msmt)[0] == []


@pytest.mark.parametrize("link", ["folder", "file"])
def test_the_same_file_is_found_through_links(tmp_path, link):
    (tmp_path / "test").mkdir()
    (tmp_path / "test/a.jpg").touch()
    if link == "folder":
        (tmp_path / "train").symlink_to(tmp_path / "test")
        image = tmp_path / "train/a.jpg"
    else:
        (tmp_path / "train").mkdir()
        image = tmp_path / "train/renamed.jpg"
        image.symlink_to(tmp_path / "test/a.jpg")
    train = People("synth_pedes", (Record(str(image), 7, 0), Record(str(tmp_path / "train/b.jpg"), 8, 0)))
    pids, report = kept_pids(train, People("ltcc", (Record(str(tmp_path / "test/a.jpg"), 3, 0),)))
    assert pids == [8]
    assert report.people == {("synth_pedes", "same file"): 1}


def test_sources_keep_their_order_and_are_judged_apart():
    sources = [pedes(("Market/0004_c2s1_022375_01.jpg", 7)), People("prcc", (Record("p.jpg", 7, 0),))]
    kept, report = drop_test_people(sources, [MARKET_TEST])
    assert [(people.dataset, len(people.records)) for people in kept] == [("cuhk_pedes", 0), ("prcc", 1)]
    assert len(report.sentences()) == 2


def test_the_result_does_not_depend_on_the_order_of_the_tests():
    train = pedes(("Market/0004_c2s1_022375_01.jpg", 7), ("Market/0001_c9s1_000000_00.jpg", 9))
    other = People("ltcc", (Record("/data/ltcc/a.png", 1, 0),))
    assert drop_test_people([train], [MARKET_TEST, other]) == drop_test_people([train], [other, MARKET_TEST])


def test_the_data_sets_that_were_borrowed_from_are_spelt_as_in_the_catalog():
    from omnireid.datasets import DATASETS

    assert {row.dataset for rows in BORROWED.values() for row in rows} <= set(DATASETS)
