"""What is done to pixels, against torchvision with the same parameters."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as torchvision

from instructions.errors import InputError
from omnireid.loading import pixels as pixels_module
from omnireid.loading.cache import ImageCache
from omnireid.loading.eval_batches import eval_batches
from omnireid.loading.resizing import resize
from omnireid.loading.transforms import (
    AUGMENTATIONS,
    Augmentation,
    Box,
    Preprocessing,
    TrainTransform,
    Variation,
    Variations,
    empty_pixels,
)
from omnireid.records import Record
from omnireid.tasks import TASKS

SMALL = Preprocessing(image_size=(64, 32), clothes_size=(16, 16))


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def placed(transform: TrainTransform, image: np.ndarray, variation: Variation) -> np.ndarray:
    """The image, resized and varied, but for the flip."""
    out = empty_pixels(1, transform.preprocessing.image_size)
    transform.place([image], Variations.of([variation]), out)
    return out[0]


def chw(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).movedim(-1, 0)


def test_a_models_way_of_resizing_holds_in_training_in_tests_and_in_the_cache(tmp_path):
    path = str(tmp_path / "person.png")
    Image.fromarray(noise(40, 17)).save(path)
    rule, image = Preprocessing(image_size=(64, 32), resize="bicubic"), noise(40, 17)
    expected = resize(image, (64, 32), "bicubic")
    shown = placed(TrainTransform(rule), image, Variation(False, 0, 0, None, (0, 0, 0)))
    np.testing.assert_array_equal(shown, expected)
    person = Record(path, pid=1, camid=0)
    (batch,) = eval_batches([person], rule, task=TASKS["t2i"], domain="t2i/one", instructions=None)
    assert torch.equal(batch.images, rule.normalise(torch.from_numpy(expected)[None]))
    cache = ImageCache(max_bytes=10**6)
    assert (cache.read(path, (64, 32)) != cache.read(path, (64, 32), "bicubic")).any()
    np.testing.assert_array_equal(cache.read(path, (64, 32), "bicubic"), expected)


@pytest.mark.parametrize("name", ["paper", "released"])
@pytest.mark.parametrize("seed", range(20))
def test_training_pixels_equal_torchvision_with_the_same_draws(seed, name):
    transform = TrainTransform(SMALL, dataclasses.replace(AUGMENTATIONS[name], pad=40))
    (drawn,) = transform.draw_rows(seed, stream=0, step=0, rows=[0])
    image = noise(50, 20, seed)
    expected = chw(resize(image, (64, 32)))
    for adjustment, amount in drawn.jitter:
        expected = getattr(torchvision, f"adjust_{adjustment}")(expected, amount)
    if drawn.flip:
        expected = torchvision.horizontal_flip(expected)
    expected = torchvision.crop(torchvision.pad(expected, [10]), 10 - drawn.down, 10 - drawn.right, 64, 32)
    if drawn.erased is not None:
        box, fill = drawn.erased, torch.tensor(drawn.fill, dtype=torch.uint8)[:, None, None]
        expected = torchvision.erase(expected, box.top, box.left, box.height, box.width, fill)
    pixels = torch.from_numpy(placed(transform, image, drawn))[None]
    seen = SMALL.normalise(pixels, np.array([drawn.flip]))
    assert torch.equal(seen, SMALL.normalise(expected.movedim(0, -1)[None]))


def test_normalising_equals_torchvision():
    pixels = torch.from_numpy(np.stack([noise(64, 32), noise(64, 32, 1)]))
    for normalise, mean, std in (
        (SMALL.normalise, SMALL.mean, SMALL.std),
        (SMALL.normalise_clothes, SMALL.clothes_mean, SMALL.clothes_std),
    ):
        unit = torchvision.to_dtype(pixels.movedim(-1, 1), torch.float32, scale=True)
        expected = torchvision.normalize(unit, list(mean), list(std))
        torch.testing.assert_close(normalise(pixels), expected, atol=2e-6, rtol=0)
        assert normalise(pixels).is_contiguous()


def test_flipped_rows_are_mirrored_when_normalised():
    pixels = torch.from_numpy(np.stack([noise(64, 32), noise(64, 32, 1), noise(64, 32, 2)]))
    mirrored = pixels.clone()
    mirrored[1:] = pixels[1:].flip(2)
    flipped = np.array([False, True, True])
    torch.testing.assert_close(SMALL.normalise(pixels, flipped), SMALL.normalise(mirrored), atol=0, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (64, 32), (3, 511), (2, 512), (2, 1300)])
@pytest.mark.parametrize("flip", [None, [False] * 3, [True, False, True]])
def test_compiled_and_not_pixels_become_the_same_numbers(size, flip, monkeypatch):
    if pixels_module.library() is None:
        pytest.skip("no C compiler here")
    pixels = torch.from_numpy(np.stack([noise(*size, seed) for seed in range(3)]))
    flipped = None if flip is None else np.array(flip)
    compiled = SMALL.normalise(pixels, flipped)
    turned = SMALL.normalise(pixels.flip(0), None if flip is None else flipped[::-1])
    monkeypatch.setattr(pixels_module, "library", lambda: None)
    assert torch.equal(compiled, SMALL.normalise(pixels, flipped))
    assert torch.equal(turned.flip(0), compiled)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_same_numbers_of_pixels():
    pixels = torch.from_numpy(np.stack([noise(64, 32, seed) for seed in range(3)]))
    for flipped in (None, np.array([True, False, True])):
        assert torch.equal(SMALL.normalise(pixels.cuda(), flipped).cpu(), SMALL.normalise(pixels, flipped))


def test_draws_keep_to_their_ranges_and_rates():
    transform = TrainTransform(Preprocessing(), AUGMENTATIONS["released"])
    drawn = transform.draw_rows(0, stream=0, step=0, rows=range(2000))
    assert {one.down for one in drawn} == {one.right for one in drawn} == set(range(-10, 11))
    assert 0.45 < np.mean([one.flip for one in drawn]) < 0.55
    assert 0.87 < np.mean([one.erased is not None for one in drawn]) < 0.93
    boxes = [one.erased for one in drawn if one.erased is not None]
    areas = np.array([box.height * box.width for box in boxes]) / (256 * 128)
    assert 0.018 < areas.min() < 0.03
    assert 0.17 < areas.max() < 0.205
    assert all(0 <= box.top <= 256 - box.height and 0 <= box.left <= 128 - box.width for box in boxes)


def test_the_border_scales_with_the_height():
    drawn = TrainTransform(SMALL).draw_rows(0, stream=0, step=0, rows=range(100))
    assert {one.down for one in drawn} <= set(range(-2, 3))


def test_erasing_fills_with_the_mean_unless_told_otherwise():
    transform = TrainTransform(SMALL)
    image = noise(64, 32)
    kept = image.copy()
    variation = Variation(flip=False, down=0, right=0, erased=Box(3, 4, 5, 6), fill=(124, 116, 104))
    varied = placed(transform, image, variation)
    assert {one.fill for one in transform.draw_rows(0, stream=0, step=0, rows=range(9))} == {(124, 116, 104)}
    assert (varied[3:8, 4:10] == (124, 116, 104)).all()
    np.testing.assert_array_equal(image, kept)


def test_without_augmentation_a_image_is_only_resized():
    transform, image = TrainTransform(SMALL, AUGMENTATIONS["none"]), noise(40, 17)
    for variation in transform.draw_rows(1, stream=0, step=0, rows=range(9)):
        np.testing.assert_array_equal(placed(transform, image, variation), resize(image, (64, 32)))
        assert not variation.flip


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Preprocessing(image_size=(0, 128)), "image_size"),
        (lambda: Preprocessing(std=(0.2, 0.0, 0.2)), "std"),
        (lambda: Augmentation(flip=1.5), "flip"),
        (lambda: Augmentation(pad=-1), "pad"),
        (lambda: Augmentation(erase_area=(0.5, 0.2)), "erase_area"),
    ],
)
def test_impossible_settings_are_refused(make, complaint):
    with pytest.raises(InputError, match=complaint):
        make()


@pytest.mark.parametrize(
    ("down", "right"), [(0, 0), (3, -4), (-5, 2), (64, 0), (0, -32), (70, 40), (-63, 31)]
)
def test_a_shift_of_any_size_equals_padding_and_cropping(down, right):
    image = noise(64, 32)
    variation = Variation(flip=False, down=down, right=right, erased=None, fill=(0, 0, 0))
    padded = np.pad(image, ((80, 80), (80, 80), (0, 0)))
    expected = padded[80 - down : 144 - down, 80 - right : 112 - right]
    np.testing.assert_array_equal(placed(TrainTransform(SMALL), image, variation), expected)
