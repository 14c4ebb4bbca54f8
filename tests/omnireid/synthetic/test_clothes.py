from dataclasses import replace

import numpy as np
import pytest

from omnireid.synthetic.clothes import crop_clothes, render_template
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.palette import COLOR_WORDS, shade_of
from omnireid.synthetic.render import Rendering, render_person

PROTOTYPES = {  # what a dictionary says these words look like
    "black": (25, 25, 28), "blue": (60, 95, 180), "gray": (130, 132, 135), "green": (60, 130, 75),
    "purple": (125, 80, 160), "red": (185, 45, 50), "white": (235, 235, 235), "yellow": (235, 205, 70),
}  # fmt: skip


def nearest_word(rgb):
    return min(PROTOTYPES, key=lambda word: np.linalg.norm(np.array(PROTOTYPES[word]) - rgb))


def plain(word, seed):
    rng = np.random.default_rng(seed)
    fixed = {"pattern": "plain", "closure": "none", "collar": "round", "uniform": "common clothing"}
    return replace(Outfit.draw(rng), coat_color=word, coat=shade_of(word, rng), **fixed)


@pytest.mark.parametrize("word", COLOR_WORDS)
def test_a_template_shows_the_colour_of_the_coat(word):
    for seed in range(4):
        image = render_template(plain(word, seed), np.random.default_rng(seed))
        assert nearest_word(image[54:74, 50:78].mean((0, 1))) == word


def test_a_template_lies_on_a_plain_bright_ground():
    for seed in range(6):
        image = render_template(plain("red", seed), np.random.default_rng(seed))
        border = np.concatenate([image[:4].reshape(-1, 3), image[:, :4].reshape(-1, 3)])
        assert border.mean() > 200
        assert border.std(axis=0).max() < 6


def test_the_generator_changes_the_template_photo_and_not_the_clothes():
    outfit = plain("green", 1)
    first, second, again = (render_template(outfit, np.random.default_rng(seed)) for seed in (1, 2, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
    middle = (slice(54, 74), slice(50, 78))
    assert np.abs(first[middle].mean((0, 1)) - second[middle].mean((0, 1))).max() < 25


def test_sleeves_show_in_the_template():
    bare, covered = (
        render_template(
            replace(plain("red", 2), coat_style="t-shirt", coat_length=length), np.random.default_rng(0)
        )
        for length in ("bareback coat", "long sleeve coat")
    )
    reddish = [(image[..., 0] > 1.5 * image[..., 1].astype(int)).sum() for image in (bare, covered)]
    assert reddish[1] > 1.15 * reddish[0]


@pytest.mark.parametrize("size", [64, 128, 224])
def test_templates_and_crops_are_square(calm, size):
    assert render_template(plain("blue", 0), np.random.default_rng(0), size=size).shape == (size, size, 3)
    assert crop_clothes(render_person(*calm(), height=128, width=64), size=size).shape == (size, size, 3)


def test_a_crop_is_what_lies_in_the_box():
    image = np.zeros((60, 30, 3), np.uint8)
    image[10:30, 5:25] = (200, 10, 10)
    crop = crop_clothes(Rendering(image, (5, 10, 25, 30)), size=32)
    assert np.abs(crop.astype(int) - (200, 10, 10)).max() == 0


def test_a_worn_crop_and_the_template_agree_on_the_colour(calm):
    identity, outfit, camera, shot = calm()
    crop = crop_clothes(render_person(identity, outfit, camera, shot))
    template = render_template(outfit, np.random.default_rng(0))
    assert nearest_word(crop[40:100, 40:88].mean((0, 1))) == "red"
    assert nearest_word(template[54:74, 50:78].mean((0, 1))) == "red"
