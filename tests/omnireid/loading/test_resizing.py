"""Resized images: within one level of Pillow, and the same bits from C as from torch."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from omnireid.loading import resizing
from omnireid.loading.resizing import resize

MODES = ["bilinear", "bicubic"]
LENGTHS = st.integers(1, 400)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_torch(image: np.ndarray, size: tuple[int, int], mode: str) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resizing, "library", lambda: None)
        return resize(image, size, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(40, 17), (64, 32), (300, 125), (8, 600), (1, 1)])
def test_resizing_equals_pillow_within_one_level(size, mode):
    image = noise(*size)
    expected = np.asarray(Image.fromarray(image).resize((32, 64), Image.Resampling[mode.upper()]))
    assert np.abs(resize(image, (64, 32), mode).astype(int) - expected).max() <= 1


@given(st.tuples(LENGTHS, LENGTHS), st.tuples(LENGTHS, LENGTHS), st.sampled_from(MODES), st.booleans())
@example((300, 125), (256, 128), "bilinear", False)
@example((128, 64), (256, 128), "bilinear", False)
@example((1, 1), (3, 5), "bicubic", False)
@example((400, 390), (7, 131), "bicubic", True)  # columns close enough for C, rows of many taps
@settings(max_examples=300, deadline=None)
def test_c_and_torch_resize_to_the_same_bits(shape, size, mode, extreme):
    image = noise(*shape)
    if extreme:  # where kernels overshoot, and levels are cut off
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(resize(image, size, mode), by_torch(image, size, mode))


def test_a_image_may_be_read_only_and_lie_anyhow():
    image = noise(40, 60)
    turned = image[::-1, ::2]
    turned.flags.writeable = False
    np.testing.assert_array_equal(resize(turned, (32, 16)), resize(turned.copy(), (32, 16)))


def test_nothing_is_read_or_written_outside_an_image():
    memory = np.full(3 * 20 * 10 + 200, 77, dtype=np.uint8)
    image = memory[100:-100].reshape(20, 10, 3)
    image[:] = noise(20, 10)
    expected = resize(image.copy(), (31, 9))
    memory[:100], memory[-100:] = 200, 200
    np.testing.assert_array_equal(resize(image, (31, 9)), expected)
    assert (memory[:100] == 200).all()
    assert (memory[-100:] == 200).all()


@pytest.mark.parametrize("shape", [(128, 64), (300, 125), (400, 200), (256, 128)])
def test_images_of_people_are_resized_in_c_where_it_is_available(shape, monkeypatch):
    if resizing.library() is None:
        pytest.skip("no C compiler here, or another kind of processor")
    monkeypatch.setattr(resizing, "_by_torch", None)
    assert resize(noise(*shape), (384, 128)).shape == (384, 128, 3)
