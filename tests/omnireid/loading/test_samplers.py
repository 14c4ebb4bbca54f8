"""P identities × K images, from (seed, step) alone."""

import logging
from collections import Counter

import numpy as np
import pytest

from instructions.errors import InputError
from omnireid.loading.samplers import PKSampler

PIDS = np.repeat([7, 3, 9, 1, 4, 8, 2], [5, 4, 1, 9, 2, 6, 4])


def people(rows: np.ndarray) -> list[int]:
    return [int(pid) for pid in PIDS[rows]]


def test_every_batch_has_p_people_with_k_images():
    sampler = PKSampler(PIDS, num_identities=3, num_instances=4, seed=5)
    for step in range(30):
        rows = sampler.batch(step)
        assert sorted(Counter(people(rows)).values()) == [4, 4, 4]


def test_images_are_distinct_where_there_are_enough_and_evenly_repeated_elsewhere():
    sampler = PKSampler(PIDS, num_identities=7, num_instances=4)
    for step in range(10):
        counts = Counter(sampler.batch(step).tolist())
        by_pid = {pid: sorted(n for row, n in counts.items() if PIDS[row] == pid) for pid in (7, 9, 4)}
        assert by_pid == {7: [1, 1, 1, 1], 9: [4], 4: [2, 2]}


def test_a_pass_draws_no_identity_twice_and_passes_differ():
    sampler = PKSampler(PIDS, num_identities=2, num_instances=1)
    passes = [
        [pid for step in range(3 * n, 3 * n + 3) for pid in people(sampler.batch(step))] for n in range(8)
    ]
    assert all(len(set(visited)) == 6 for visited in passes)
    assert len({tuple(visited) for visited in passes}) == 8
    assert set().union(*passes) == set(PIDS.tolist())


def test_any_step_can_be_requested_at_any_time():
    one, two = PKSampler(PIDS, 2, 3, seed=1), PKSampler(PIDS, 2, 3, seed=1)
    forwards = [one.batch(step).tolist() for step in range(12)]
    backwards = [two.batch(step).tolist() for step in reversed(range(12))]
    assert forwards == backwards[::-1]
    assert forwards != [PKSampler(PIDS, 2, 3, seed=2).batch(step).tolist() for step in range(12)]


def test_sources_that_share_a_seed_draw_differently():
    batches = [
        [PKSampler(PIDS, 3, 2, stream=stream).batch(step).tolist() for step in range(4)] for stream in (0, 1)
    ]
    assert batches[0] != batches[1]


@pytest.mark.parametrize("world", [2, 3, 6])
def test_ranks_together_draw_what_one_process_draws(world):
    sampler = PKSampler(PIDS, num_identities=6, num_instances=4)
    for step in range(5):
        shares = [sampler.batch(step, rank, world) for rank in range(world)]
        np.testing.assert_array_equal(np.concatenate(shares), sampler.batch(step))


def test_too_few_identities_are_all_used_with_one_warning(caplog):
    with caplog.at_level(logging.WARNING):
        sampler = PKSampler(PIDS, num_identities=32, num_instances=4)
        batches = [sampler.batch(step) for step in range(5)]
    assert [record.message for record in caplog.records] == [
        "batches have 7 identities instead of 32: the data has no more"
    ]
    assert all(set(people(rows)) == set(PIDS.tolist()) for rows in batches)


@pytest.mark.parametrize(
    ("pids", "p", "world", "complaint"),
    [
        ([5, 5, 5], 2, 1, "at least two"),
        ([], 2, 1, "at least two"),
        (PIDS, 0, 1, "per batch: both numbers must be at least 1"),
        (PIDS, 3, 2, "divided among 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(pids, p, world, complaint):
    with pytest.raises(InputError, match=complaint):
        PKSampler(pids, p, 4).batch(0, 0, world)


def test_the_images_of_a_person_keep_their_order():
    pids = np.random.default_rng(0).integers(0, 5, 4000)  # so many that a sort which may move equals does
    sampler = PKSampler(pids)
    for identity, pid in enumerate(sampler.pids):
        assert sampler.rows(identity).tolist() == np.flatnonzero(pids == pid).tolist()
