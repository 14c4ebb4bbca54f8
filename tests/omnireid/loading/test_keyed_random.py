"""Random streams with keys."""

import itertools

import numpy as np
import pytest

from omnireid.loading.keyed_random import Purpose, generator, uniforms


def test_a_key_always_gives_the_same_numbers():
    one, two = (generator(2**63, Purpose.AUGMENTATION, stream=1, step=2, row=3).random(5) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_neighbouring_keys_share_no_numbers():
    grid = itertools.product((0, 1), (Purpose.INSTANCES, Purpose.INSTRUCTION), (0, 1), (0, 1, 2), (0, 1, 2))
    streams = [
        generator(seed, purpose, stream=stream, step=step, row=row).integers(2**63, size=50)
        for seed, purpose, stream, step, row in grid
    ]
    assert len(np.unique(np.concatenate(streams))) == 72 * 50


@pytest.mark.parametrize("seed", [0, 2**63, 2**64 - 1])
@pytest.mark.parametrize("count", [1, 4, 9])
def test_a_batch_of_streams_is_each_stream(seed, count):
    rows, address = range(5, 15), {"stream": 3, "step": 2**40}
    alone = [generator(seed, Purpose.AUGMENTATION, row=row, **address).random(count) for row in rows]
    together = uniforms(seed, Purpose.AUGMENTATION, rows=rows, count=count, **address)
    np.testing.assert_array_equal(together, alone)
