"""load_split: sources, defaults and refusals."""

import pytest

from instructions.errors import InputError
from omnireid.datasets import DATASETS, load_split
from omnireid.datasets.datalists import FIRST_LIST_PID
from omnireid.datasets.list_table import LISTS

RAW = [(name, task) for name, entry in DATASETS.items() for task in entry.raw_tasks]


@pytest.mark.parametrize(("name", "task"), RAW)
def test_load_split_reads_the_raw_layout(name, task, make):
    root = make(name)
    assert load_split(root, name, task) == DATASETS[name].read(root, task=task)
    assert load_split(str(root), name, task, source="raw") == DATASETS[name].read(root, task=task)


def test_auto_prefers_the_raw_layout_for_sentences(make, write_lists):
    root = make("market1501", under="lists")
    write_lists("market/datalist", train="a.jpg x 1 1\n")
    assert len(load_split(root, "market1501", "trad").train) == 3
    assert load_split(root, "market1501", "trad", source="lists").train[0].pid == FIRST_LIST_PID


def test_auto_takes_the_lists_where_there_is_no_raw_layout(write_lists):
    root = write_lists("market/datalist", train="a.jpg x 1 1\n")
    assert len(load_split(root, "market1501", "trad").train) == 1


def test_auto_prefers_the_lists_for_clothes_images_and_falls_back(make, write_lists):
    root = make("cocas_real2", under="lists")
    assert load_split(root, "cocas_real2", "ctcc").gallery[0].clothes is None
    write_lists("real2/datalist", query="a.jpg t.jpg 1 1\n", gallery="b.jpg crop.jpg 1 1\n")
    assert load_split(root, "cocas_real2", "ctcc").gallery[0].clothes == f"{root}/real2/crop.jpg"


def test_a_variant_that_only_the_raw_layout_has_is_read_there(make, write_lists):
    root = make("msmt17", under="lists")
    write_lists("msmt/datalist", train="a.jpg x 1 1\n")
    assert len(load_split(root, "msmt17", "trad", "train_val").train) == 3
    with pytest.raises(InputError, match="do not hold variant 'train_val'"):
        load_split(root, "msmt17", "trad", "train_val", source="lists")


def test_the_option_to_keep_the_clothes_image_goes_through(write_lists):
    root = write_lists("ltcc/datalist", train="a.png white_shirt.jpg 1 1\n")
    split = load_split(root, "ltcc", "cc", source="lists", keep_clothes_image=True)
    assert split.train[0].clothes == f"{root}/ltcc/white_shirt.jpg"


def test_a_task_that_the_data_set_does_not_offer_is_refused_with_those_it_does(make):
    with pytest.raises(InputError, match="market1501 has no task 'vi'; it offers: trad"):
        load_split(make("market1501"), "market1501", "vi")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("markte1501", "trad"), "did you mean 'market1501'"),
        (("market1501", "tradd"), "did you mean 'trad'"),
        (("market1501", "trad", "v2"), "has no variant 'v2'"),
        (("market1501", "trad", None, "list"), "did you mean 'lists'"),
        (("cocas_real1", "li", None, "raw"), "no li annotation; use source 'lists'"),
        (("dukemtmc_reid", "trad"), "withdrawn"),
    ],
)
def test_a_wrong_name_is_refused_with_the_remedy(make, arguments, message):
    with pytest.raises(InputError, match=message):
        load_split(make("market1501"), *arguments)


@pytest.mark.parametrize("source", ["auto", "lists", "raw"])
@pytest.mark.parametrize(("name", "task"), list(LISTS))
def test_a_missing_root_and_an_empty_root_are_refused_in_one_sentence(tmp_path, name, task, source):
    with pytest.raises(InputError, match="is not a folder"):
        load_split(tmp_path / "nowhere", name, task, source=source)
    with pytest.raises(InputError) as error:
        load_split(tmp_path, name, task, source=source)
    assert str(tmp_path) in str(error.value) or "use source 'lists'" in str(error.value)


def test_auto_names_both_ways_when_neither_is_there(tmp_path):
    with pytest.raises(InputError) as error:
        load_split(tmp_path, "ltcc", "cc")
    assert "LTCC_ReID" in str(error.value) and "query_general.txt with gallery_general.txt" in str(
        error.value
    )


def test_folders_without_a_image_are_refused(tmp_path):
    (tmp_path / "Market-1501/bounding_box_train").mkdir(parents=True)
    with pytest.raises(InputError, match="no images of market1501 were found"):
        load_split(tmp_path, "market1501", "trad")


@pytest.mark.parametrize(
    ("folder", "asked", "task", "owner"),
    [
        ("market", "msmt17", "trad", "market1501"),
        ("market/Market-1501", "cuhk03", "trad", "market1501"),
        ("prcc", "vc_clothes", "cc", "prcc"),
        ("ltcc", "prcc", "cc", "ltcc"),
    ],
)
def test_the_folder_of_one_data_set_is_not_read_as_another(tiny_root, folder, asked, task, owner):
    with pytest.raises(InputError, match=f"the name of .* is that of .*{owner}.*, so {asked} is not read"):
        load_split(tiny_root / folder, asked, task)
    assert load_split(tiny_root / folder, owner, task).train


@pytest.mark.parametrize("folder", ["prcc", "prcc/rgb", "prcc/rgb/test/C/005"])
def test_a_closed_folder_is_refused_in_one_sentence(make, shut, folder):
    root = make("prcc")
    shut(root / folder)
    with pytest.raises(
        InputError, match=rf"^{root / folder} cannot be read \(Permission denied\); grant read permission"
    ):
        load_split(root, "prcc", "cc")


@pytest.mark.parametrize("name", list(DATASETS))
def test_an_archive_unpacked_into_a_folder_of_its_own_name_is_found(trees, tmp_path, name):
    card, task = DATASETS[name].card, DATASETS[name].card.tasks[0]
    first, *_, last = [folder for folder in card.folders if "/" not in folder]
    plain, nested = tmp_path / "plain", tmp_path / "nested"
    trees[name].write(plain / first)
    trees[name].write(nested / last / first)
    if DATASETS[name].raw_tasks:  # COCAS+ Real1 has lists alone, whose places are their own
        wanted, found = load_split(plain, name, task), load_split(nested, name, task)
        assert [len(part) for part in (found.train, found.query, found.gallery)] == [
            len(part) for part in (wanted.train, wanted.query, wanted.gallery)
        ]
        assert all(f"/{last}/{first}/" in record.image for record in (*found.train, *found.gallery))


def test_a_folder_that_differs_in_capitals_is_named(make):
    root = make("market1501", "MARKET-1501")
    with pytest.raises(InputError, match="rename the folder MARKET-1501 to Market-1501"):
        load_split(root, "market1501", "trad")


@pytest.mark.parametrize("folder", ["real2", "real2/real_reid_image_face_blur", "real_reid_image_face_blur"])
@pytest.mark.parametrize("below", [False, True])
def test_the_owners_tables_of_real2_are_not_taken_for_lists(make, folder, below):
    root = make("cocas_real2", folder)
    split = load_split(root / folder if below else root, "cocas_real2", "ctcc")
    ((query,), (gallery,)) = split.query, split.gallery
    assert (query.pid, gallery.pid, gallery.camid) == (1, 1, 4)
    assert query.clothes.endswith("templates/t.jpg") and gallery.clothes is None


def test_lists_beside_real2_s_folder_are_lists(trees, tmp_path):
    (tmp_path / "real2").mkdir()
    (tmp_path / "real2/query.txt").write_text("images/a.jpg templates/t.jpg 1 2 3\n")
    (tmp_path / "real2/gallery.txt").write_text("images/b.jpg crops/b.jpg 1 2 5\n")
    (gallery,) = load_split(tmp_path, "cocas_real2", "ctcc").gallery
    assert (gallery.pid, gallery.clothes) == (1, f"{tmp_path}/real2/crops/b.jpg")
    with pytest.raises(InputError, match=r"gallery\.txt:1: expected the columns image_path pid clothes_id"):
        load_split(tmp_path, "cocas_real2", "ctcc", source="raw")
