"""What happens to a training picture, drawn for a whole batch at once."""

import dataclasses

import numpy as np
import pytest

from omnireid.loading.keyed import Purpose, generator
from omnireid.loading.transforms import AUGMENTATIONS, Preprocessing, TrainTransform

SMALL = Preprocessing(image_size=(64, 32), clothes_size=(16, 16))
NARROW = dataclasses.replace(
    AUGMENTATIONS["paper"], erase=1.0, erase_aspect=(0.2, 14.0)
)  # some boxes do not fit


@pytest.mark.parametrize("rule", [*AUGMENTATIONS.values(), NARROW])
def test_a_batch_draws_what_each_row_would_draw_alone(rule):
    transform = TrainTransform(SMALL, rule)
    rows = range(3, 103)
    alone = [transform.draw(generator(9, Purpose.AUGMENTATION, stream=2, step=5, row=row)) for row in rows]
    assert transform.draw_rows(9, stream=2, step=5, rows=rows) == alone


@pytest.mark.parametrize("name", ["paper", "released"])
def test_a_picture_placed_and_flipped_is_the_picture_varied(name):
    transform = TrainTransform(SMALL, AUGMENTATIONS[name])
    image = np.random.default_rng(0).integers(0, 256, (50, 20, 3), dtype=np.uint8)
    out = np.empty((64, 32, 3), dtype=np.uint8)
    for variation in transform.draw_rows(1, stream=0, step=0, rows=range(20)):
        transform.place(image, variation, out)
        expected = out[:, ::-1] if variation.flip else out
        np.testing.assert_array_equal(transform.apply(image, variation), expected)
