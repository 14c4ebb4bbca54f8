"""Which image gets which instruction: in training, and on both sides of a test."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from instructions.banks import BANKS, CANONICAL
from instructions.errors import InputError
from instructions.instruction import NEUTRAL
from omnireid.loading.instruct import (
    gallery_instructions,
    query_instructions,
    query_texts,
    train_instructions,
)
from omnireid.records import Record, Split
from omnireid.tasks import TASKS


def crowd_split(pids=(1, 1, 1, 2, 2, 3, 4, 4), clothes_ids=None) -> Split:
    clothes_ids = range(len(pids)) if clothes_ids is None else clothes_ids
    records = tuple(
        Record(
            f"{i}.jpg",
            pid,
            0,
            clothes_id=clothes,
            captions=(f"caption {i}", f"other {i}"),
            clothes=f"{i}.png",
        )
        for i, (pid, clothes) in enumerate(zip(pids, clothes_ids, strict=True))
    )
    return Split("crowd", query=records, gallery=records)


TASKS_WITH_BANK = [task for task in TASKS.values() if task.bank is not None]
TASKS_OF_OTHERS = [TASKS["li"], TASKS["ctcc"]]


def rngs(count: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in range(count)]


def train(records, task, seed=0, **options):
    return train_instructions(
        records, TASKS[task], rngs(len(records), seed), batch_rng=np.random.default_rng(seed), **options
    )


@pytest.mark.parametrize("task", TASKS_WITH_BANK, ids=lambda task: task.name)
def test_a_bank_gives_one_sentence_per_batch_and_all_of_them_over_time(task):
    records = crowd_split().query
    batches = [train(records, task.name, seed) for seed in range(400)]
    assert all(len(batch) == len(records) and len(set(batch)) == 1 for batch in batches)
    assert {batch[0].sentence for batch in batches} == set(BANKS[task.bank])


def test_captions_and_clothes_belong_to_their_row():
    records = crowd_split().query
    for seed in range(5):
        for record, given in zip(records, train(records, "li", seed), strict=True):
            assert given.sentence in record.captions
        assert [given.clothes for given in train(records, "ctcc", seed)] == [
            record.clothes for record in records
        ]
    assert len({train(records, "li", seed)[0].sentence for seed in range(20)}) == 2


def test_text_to_image_search_trains_without_instructions():
    assert train(crowd_split().query, "t2i") is None


def test_mixed_gallery_instructions_are_neutral_half_of_the_time():
    records = crowd_split(range(1000)).query
    given = train(records, "ctcc", gallery_instruction="mixed")
    assert 440 < given.count(NEUTRAL) < 560
    assert all(
        one == NEUTRAL or one.clothes == record.clothes for one, record in zip(given, records, strict=True)
    )
    assert set(train(records, "li", gallery_instruction="neutral")) == {NEUTRAL}


def test_a_row_may_get_the_instruction_of_another_image_of_the_person():
    records = crowd_split((1, 1, 2, 2, 3)).query
    given = [one.clothes for one in train(records, "ctcc", target_share=1.0)]
    assert given == ["1.png", "0.png", "3.png", "2.png", "4.png"]


def test_a_target_instruction_is_that_of_an_uninstructed_row():
    records = crowd_split([person for person in range(100) for _ in range(4)]).query
    given = train(records, "ctcc", gallery_instruction="mixed", target_share=1.0)
    assert [one.outfit for one in given if one != NEUTRAL] == [
        int(one.clothes.removesuffix(".png")) for one in given if one != NEUTRAL
    ]
    for first in range(0, 400, 4):
        bare = {row for row in range(first, first + 4) if given[row] == NEUTRAL}
        asked = {given[row].outfit for row in range(first, first + 4) if row not in bare}
        assert not bare or asked <= bare


@pytest.mark.parametrize("task", TASKS_OF_OTHERS, ids=lambda task: task.name)
@pytest.mark.parametrize("seed", range(10))
def test_a_wrong_instruction_is_of_another_person_in_other_clothes(task, seed):
    split = crowd_split(clothes_ids=(0, 1, 2, 2, 3, 4, 5, 6))
    right, wrong = (query_instructions(split, task, mode, seed=seed) for mode in ("right", "wrong"))
    owner = {instruction: record for instruction, record in zip(right, split.query, strict=True)}
    for query, mine, given in zip(split.query, right, wrong, strict=True):
        assert given != mine
        assert owner[given].pid != query.pid
        assert owner[given].clothes_id != query.clothes_id


def test_wrong_instructions_are_the_same_for_the_same_seed_and_each_is_used_once():
    split, task = crowd_split(), TASKS["li"]
    wrong = [tuple(query_instructions(split, task, "wrong", seed=seed)) for seed in (1, 1, 2, 3, 4)]
    assert wrong[0] == wrong[1]
    assert len(set(wrong)) > 2
    assert set(Counter(wrong[0]).values()) == {1}


def test_another_person_with_the_same_sentence_gives_no_wrong_instruction():
    records = [
        Record(f"{i}.jpg", i, 0, captions=(words,)) for i, words in enumerate(("red", "red", "red", "blue"))
    ]
    wrong = query_instructions(Split("s", query=tuple(records)), TASKS["li"], "wrong")
    assert [one.sentence for one in wrong][:3] == ["blue"] * 3
    with pytest.raises(InputError, match="no other person's instruction differs"):
        query_instructions(Split("s", query=tuple(records[:3])), TASKS["li"], "wrong")


@pytest.mark.parametrize("task", TASKS_OF_OTHERS, ids=lambda task: task.name)
def test_right_is_the_own_instruction_and_none_is_neutral(task):
    split = crowd_split()
    own = gallery_instructions(split, task)
    assert [one.clothes or one.sentence for one in own] == [
        record.clothes if task.name == "ctcc" else record.captions[0] for record in split.gallery
    ]
    assert query_instructions(split, task) == own
    assert (
        query_instructions(split, task, "none")
        == gallery_instructions(split, task, "neutral")
        == [NEUTRAL] * 8
    )


@pytest.mark.parametrize("task", TASKS_WITH_BANK, ids=lambda task: task.name)
def test_a_bank_is_queried_by_its_canonical_sentence_or_by_number(task):
    split = crowd_split()
    sentences = {
        mode: {one.sentence for one in query_instructions(split, task, mode)}
        for mode in ("right", "canonical", 7)
    }
    canonical = {CANONICAL[task.bank]}
    assert sentences == {"right": canonical, "canonical": canonical, 7: {BANKS[task.bank][7]}}
    assert {one.sentence for one in gallery_instructions(split, task)} == canonical
    assert {one.sentence for one in gallery_instructions(split, task, 7)} == sentences[7]


def test_descriptions_are_the_queries_of_text_to_image_search():
    split = crowd_split()
    assert query_texts(split)[:2] == ["caption 0", "caption 1"]
    assert query_instructions(split, TASKS["t2i"]) is None
    assert gallery_instructions(split, TASKS["t2i"]) is None
    with pytest.raises(InputError, match="has no caption to search by"):
        query_texts(Split("s", query=(Record("0.jpg", 1, 0),)))


@pytest.mark.parametrize(
    ("task", "mode", "complaint"),
    [
        ("trad", "wrong", "canonical or a number from 0 to 19"),
        ("trad", 20, "canonical or a number from 0 to 19"),
        ("li", 3, "no bank of sentences"),
        ("t2i", "wrong", "has no instructions"),
    ],
)
def test_a_mode_that_does_not_suit_the_task_is_refused(task, mode, complaint):
    with pytest.raises(InputError, match=complaint):
        query_instructions(crowd_split(), TASKS[task], mode)


@pytest.mark.parametrize(("task", "missing"), [("li", "caption"), ("ctcc", "clothes image")])
def test_a_missing_instruction_is_named(task, missing):
    bare = dataclasses.replace(crowd_split().query[0], captions=(), clothes=None)
    split = Split("s", query=(bare,), gallery=(bare,))
    for ask in (query_instructions, gallery_instructions):
        with pytest.raises(InputError, match=rf"0\.jpg has no {missing}"):
            ask(split, TASKS[task])
