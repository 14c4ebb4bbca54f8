"""What happens to a training image, drawn for a whole batch at once."""

import dataclasses

import numpy as np
import pytest
import torch

from omnireid.loading.keyed_random import Purpose, generator
from omnireid.loading.transforms import AUGMENTATIONS, Preprocessing, TrainTransform, empty_pixels
from omnireid.loading.variation import Drawing, Variations

SMALL = Preprocessing(image_size=(64, 32), clothes_size=(16, 16))
NARROW = dataclasses.replace(
    AUGMENTATIONS["paper"], erase=1.0, erase_aspect=(0.2, 14.0)
)  # some boxes do not fit


PIXEL = dataclasses.replace(AUGMENTATIONS["paper"], erase=1.0, erase_fill="pixel")
SQUARE = dataclasses.replace(
    AUGMENTATIONS["paper"], erase=1.0, erase_fill="white", erase_shape="square", pad=0
)


@pytest.mark.parametrize("rule", [*AUGMENTATIONS.values(), NARROW, PIXEL, SQUARE])
def test_a_batch_draws_what_each_row_would_draw_alone(rule):
    drawing = Drawing(rule, SMALL.image_size, SMALL.mean)
    rows = range(3, 103)
    alone = [drawing.draw(generator(9, Purpose.AUGMENTATION, stream=2, step=5, row=row)) for row in rows]
    assert list(TrainTransform(SMALL, rule).draw_rows(9, stream=2, step=5, rows=rows)) == alone


def varied(transform, variation):
    """A black image, but for the flip."""
    size = transform.preprocessing.image_size
    out = empty_pixels(1, size)
    transform.place([np.zeros((*size, 3), np.uint8)], Variations.of([variation]), out)
    return out[0]


def test_pixel_erasing_is_normal_noise_behind_the_normalisation():
    sizes = Preprocessing(image_size=(256, 128), mean=(0.5, 0.5, 0.5), std=(0.1, 0.1, 0.1))
    transform = TrainTransform(sizes, dataclasses.replace(PIXEL, pad=0, erase_area=(0.3, 0.33)))
    (variation,) = transform.draw_rows(3, stream=0, step=0, rows=[0])
    shown = varied(transform, variation)
    box = variation.erased
    images = sizes.normalise(torch.from_numpy(shown)[None], np.array([variation.flip]))
    noise = images[0, :, box.top : box.top + box.height, box.left : box.left + box.width]
    assert noise.mean().item() == pytest.approx(0, abs=0.03)
    assert noise.std().item() == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(shown, varied(transform, variation))


def test_occlusion_is_a_white_square_no_larger_than_qaconvs():
    transform = TrainTransform(SMALL, SQUARE)
    sides = set()
    for variation in transform.draw_rows(1, stream=0, step=0, rows=range(200)):
        assert variation.fill == (255, 255, 255)
        assert variation.erased.height == variation.erased.width
        sides.add(variation.erased.height)
    assert sides <= set(range(1, 27))  # 0.8 of 32
    assert {1, 26} <= sides
    found = varied(transform, variation)
    assert (found == 255).all(axis=-1).sum() == variation.erased.height**2
