"""Batches of similar identities, from (seed, step) and the graph of a pass."""

from collections import Counter

import numpy as np
import pytest

from omnireid.loading.graph_sampler import GraphSampler, class_graph

PIDS = np.repeat([7, 3, 9, 1, 4], [5, 4, 1, 3, 2])


def sampler(seed=0, people=3, images=2, number=0):
    made = GraphSampler(PIDS, people, images, seed=seed)
    distances = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))  # on a line
    made.set_graph(class_graph(number, distances, made.num_identities))
    return made


def test_neighbours_are_the_person_and_the_nearest_in_order():
    distances = np.array([[0, 3, 1, 2], [3, 0, 5, 4], [1, 5, 0, 1], [2, 4, 1, 0]], dtype=float)
    assert class_graph(0, distances, 3).neighbours.tolist() == [[0, 2, 3], [1, 0, 3], [2, 0, 3], [3, 2, 0]]


def test_the_diagonal_is_ignored_and_ties_go_to_the_lower_number():
    distances = np.ones((4, 4)) + 9 * np.eye(
        4
    )  # minus scores: an image may resemble another more than itself
    assert class_graph(0, distances, 2).neighbours.tolist() == [[0, 1], [1, 0], [2, 0], [3, 0]]


def test_each_person_is_the_anchor_of_one_batch_a_pass():
    made = sampler()
    pids = np.unique(PIDS)
    batches = [PIDS[made.batch(step)].reshape(3, 2) for step in range(5)]
    assert all((row == row[0]).all() for batch in batches for row in batch)
    assert sorted(int(batch[0, 0]) for batch in batches) == pids.tolist()
    for batch in batches:
        anchor = int(np.flatnonzero(pids == batch[0, 0])[0])
        apart = sorted(abs(np.arange(5) - anchor))[:3]
        assert [abs(int(np.flatnonzero(pids == pid)[0]) - anchor) for pid in batch[:, 0]] == apart


def test_any_process_can_request_any_step_of_the_pass():
    forwards = [sampler(seed=4).batch(step).tolist() for step in range(5)]
    one = sampler(seed=4)
    assert [one.batch(step).tolist() for step in (4, 3, 2, 1, 0)] == forwards[::-1]
    assert forwards != [sampler(seed=5).batch(step).tolist() for step in range(5)]


def test_a_step_of_another_pass_needs_another_graph():
    made = sampler()
    with pytest.raises(AssertionError, match="no graph was made for this pass"):
        made.batch(5)
    assert sampler(number=1).batch(5).shape == (6,)
    assert (made.pass_of(4), made.pass_of(5)) == (0, 1)


def test_exemplars_are_one_image_of_each_person_and_change_with_the_pass():
    drawn = [sampler().exemplars(number) for number in range(12)]
    assert all(PIDS[rows].tolist() == np.unique(PIDS).tolist() for rows in drawn)
    assert drawn[0].tolist() == sampler().exemplars(0).tolist()
    seen = Counter(int(row) for rows in drawn for row in rows)
    assert len(seen) > 10  # of fifteen images


@pytest.mark.parametrize("world", [1, 3])
def test_ranks_together_draw_what_one_process_draws(world):
    shares = [sampler().batch(2, rank, world) for rank in range(world)]
    assert np.concatenate(shares).tolist() == sampler().batch(2).tolist()


def test_fewer_people_than_asked_for_are_all_taken():
    made = sampler(people=9)
    assert sorted(set(PIDS[made.batch(0)].tolist())) == np.unique(PIDS).tolist()
