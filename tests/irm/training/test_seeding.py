"""A seed decides everything, a step's seed the step, and threads nothing."""

import random

import numpy as np
import pytest
import torch

from irm.training.seeding import deterministic, seed_all, seed_step


def drawn():
    return random.random(), float(np.random.random()), torch.rand(1).item()


def test_a_seed_seeds_every_generator():
    seed_all(3)
    first = drawn()
    seed_all(3)
    assert drawn() == first
    seed_all(4)
    assert drawn() != first


def test_a_steps_numbers_depend_on_seed_and_step_alone():
    numbers = {}
    for seed, step in ((1, 0), (1, 1), (2, 0), (1, 0)):
        seed_step(seed, step)
        numbers.setdefault((seed, step), []).append(torch.rand(1).item())
    assert numbers[1, 0][0] == numbers[1, 0][1]
    assert len({found[0] for found in numbers.values()}) == 3


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_gradients_of_picked_rows_repeat_with_two_threads(two_threads):
    rng = torch.Generator().manual_seed(0)
    rows, weights = torch.randint(0, 4, (2048,), generator=rng), torch.randn(2048, 512, generator=rng)

    def gradient():
        table = torch.zeros(64, 512, requires_grad=True)
        (table[rows] * weights).sum().backward()
        return table.grad

    with deterministic(torch.device("cpu")):
        first = gradient()
        assert all(torch.equal(gradient(), first) for _ in range(10))


def test_the_setting_is_put_back_and_left_alone_on_a_gpu():
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(torch.device("cuda")):
        assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(torch.device("cpu")):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
