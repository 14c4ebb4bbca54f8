"""Every data set of the catalog: its card is complete, and its tree is read under every folder name."""

import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from instructions.errors import InputError
from omnireid.datasets import DATASETS, WITHDRAWN, dataset_named
from omnireid.datasets.card import PARTS
from omnireid.datasets.list_table import LISTS
from omnireid.records import Record, Split
from omnireid.tasks import TASKS

NAMES = list(DATASETS)


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.query), len(split.gallery)


def everybody(split: Split) -> list[Record]:
    return [*split.train, *split.query, *split.gallery]


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_has_a_test_tree_that_is_read(name, trees, make):
    split = DATASETS[name].read(make(name))
    assert sizes(split) == trees[name].sizes
    assert split.name == name


@pytest.mark.parametrize(
    "card", [d.card for d in (*DATASETS.values(), *WITHDRAWN.values())], ids=lambda card: card.name
)
def test_every_card_is_complete(card):
    for entry in fields(card):
        if entry.type == "str":
            assert getattr(card, entry.name).strip(), entry.name
    assert card.tasks and set(card.tasks) <= set(TASKS)
    assert card.folders and card.variants
    assert set(card.counts) <= set(card.variants)
    assert not any("http" in text and "pwd" in text for text in (card.homepage, card.access))


@pytest.mark.parametrize("name", NAMES)
def test_the_key_is_the_cards_name_and_its_tasks_are_served(name):
    entry = DATASETS[name]
    assert entry.card.name == name
    assert not entry.card.withdrawn
    for task in entry.card.tasks:
        assert task in entry.raw_tasks or (name, task) in LISTS
    assert set(entry.raw_tasks) <= set(entry.card.tasks)


def test_lists_belong_to_data_sets_that_offer_the_task_and_the_variant():
    for (name, task), names in LISTS.items():
        assert task in DATASETS[name].card.tasks
        assert set(names.test) <= set(DATASETS[name].card.variants)


@pytest.mark.parametrize("name", NAMES)
def test_every_known_root_name_is_accepted_and_so_is_the_folder_itself(name, trees, make, tmp_path):
    entry = DATASETS[name]
    for index, folder in enumerate(entry.card.folders):
        root = make(name, folder, under=f"root{index}")
        assert sizes(entry.read(root)) == trees[name].sizes
    assert sizes(entry.read(trees[name].write(tmp_path / "any name"))) == trees[name].sizes


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_which_files_were_made_changes_nothing(name, trees, tmp_path):
    tree, folder = trees[name], tmp_path / "copy"
    first = DATASETS[name].read(tree.write(folder))
    shutil.rmtree(folder)
    assert DATASETS[name].read(tree.write(folder, reverse=True)) == first


@pytest.mark.parametrize("name", NAMES)
def test_every_image_that_is_read_exists(name, make):
    for record in everybody(DATASETS[name].read(make(name))):
        assert Path(record.image).exists()
        assert record.clothes is None or Path(record.clothes).exists()


@pytest.mark.parametrize("name", NAMES)
def test_cameras_are_those_of_the_card_and_nobody_is_in_train_and_test(name, make):
    entry = DATASETS[name]
    root = make(name)
    there = [variant for variant in entry.card.variants if entry.find(root, variant) is not None]
    assert entry.card.default_variant in there
    for variant in there:
        split = entry.read(root, variant)
        if entry.card.num_cameras is not None:
            assert {r.camid for r in everybody(split)} <= set(range(entry.card.num_cameras))
        test = {r.pid for r in (*split.query, *split.gallery)}
        assert not test & {r.pid for r in split.train}


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_data_set_is_refused_with_what_was_tried(name, tmp_path):
    entry = DATASETS[name]
    with pytest.raises(InputError, match="was not found under") as error:
        entry.read(tmp_path)
    assert entry.card.folders[0] in str(error.value)
    with pytest.raises(InputError, match="is not a folder"):
        entry.read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", NAMES)
def test_a_variant_that_does_not_exist_is_refused(name, make):
    with pytest.raises(InputError, match="has no variant 'no such'"):
        DATASETS[name].read(make(name), "no such")


def test_a_misspelt_variant_is_answered_with_the_near_miss(make):
    with pytest.raises(InputError, match=r"did you mean 'train_val'\?"):
        DATASETS["msmt17"].read(make("msmt17"), "trainval")


def test_a_misspelt_data_set_is_answered_with_the_near_miss():
    with pytest.raises(InputError, match=r"did you mean 'market1501'\?"):
        dataset_named("market-1501")


def test_a_withdrawn_data_set_is_read_by_its_own_name_and_says_so(make, trees, tmp_path):
    assert all(entry.card.withdrawn for entry in WITHDRAWN.values())
    assert not WITHDRAWN.keys() & DATASETS.keys()
    duke = dataset_named("dukemtmc_reid")
    split = duke.read(make("dukemtmc_reid"))
    assert sizes(split) == trees["dukemtmc_reid"].sizes
    assert "withdrawn" in split.notes[0]
    assert {(r.pid, r.camid) for r in split.gallery} == {(5, 0), (7139, 3)}
    with pytest.raises(InputError, match="withdrawn by its owners and is no longer distributed"):
        duke.read(tmp_path / "data/DukeMTMC-reID/query")


def test_no_sheet_of_the_project_names_a_withdrawn_data_set():
    sheets = list((Path(__file__).parents[3] / "configs").rglob("*.yaml"))
    assert sheets
    assert [path for path in sheets for name in WITHDRAWN if name in path.read_text()] == []


def test_published_counts_are_found_by_variant_and_part():
    card = DATASETS["cuhk03"].card
    assert card.published("train") == card.published("train", "detected")
    assert card.published("train", "labeled").records == 7_368
    assert replace(card, counts={}).published("train") is None
    assert DATASETS["cuhk_pedes"].card.published("query").records == 6_156


def test_published_parts_add_up_to_the_published_totals():
    totals = {
        "msmt17": 126_441 - 2_373,
        "cuhk03": 14_097,
        "ltcc": 17_119,
        "vc_clothes": 19_060,
        "llcm": 46_767,
    }
    for name, total in totals.items():
        card = DATASETS[name].card
        assert sum(card.published(part).images for part in PARTS) == total


def test_a_set_without_training_people_names_one_that_has_them_for_its_tasks():
    named = {name: entry.card.trained_on for name, entry in DATASETS.items() if entry.card.trained_on}
    assert named == {"cocas_real2": "cocas_real1"}
    for name, trained_on in named.items():
        assert set(DATASETS[name].card.tasks) <= set(DATASETS[trained_on].card.tasks)
