"""The banks of table 8, as printed."""

import hashlib
import random

import pytest

from instructions import BANKS, CANONICAL, InputError, canonical, draw
from omnireid.tasks import TASKS

# Digests of the sentences as they were read off table 8, one a line: a stray edit is seen.
PRINTED = {"trad": "5e6976962c0ab7ca", "cc": "0db66728343d4529", "vi": "682e430c0ebd0723"}


@pytest.mark.parametrize("bank", BANKS)
def test_a_bank_has_the_twenty_distinct_sentences_of_table_8(bank):
    assert len(BANKS[bank]) == 20 == len(set(BANKS[bank]))
    assert hashlib.sha256("\n".join(BANKS[bank]).encode()).hexdigest().startswith(PRINTED[bank])
    assert CANONICAL[bank] in BANKS[bank]
    assert canonical(bank).sentence == CANONICAL[bank]


def test_every_bank_that_a_task_names_exists():
    assert {task.bank for task in TASKS.values() if task.bank is not None} == set(BANKS) == set(CANONICAL)


@pytest.mark.parametrize("bank", BANKS)
def test_every_sentence_is_drawn_and_the_seed_decides(bank):
    drawn = [draw(bank, random.Random(seed)) for seed in range(500)]
    assert {instruction.sentence for instruction in drawn} == set(BANKS[bank])
    assert {instruction.source for instruction in drawn} == {"bank"}
    assert draw(bank, random.Random(3)) == drawn[3]


@pytest.mark.parametrize("ask", [canonical, lambda bank: draw(bank, random.Random(0))])
def test_an_unknown_bank_is_refused_by_name(ask):
    with pytest.raises(InputError, match=r"'traditional'.*trad, cc, vi"):
        ask("traditional")
