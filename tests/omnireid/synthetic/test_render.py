from dataclasses import replace

import numpy as np
import pytest

from omnireid.synthetic import scene
from omnireid.synthetic.camera import make_cameras
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.render import render_person
from omnireid.synthetic.shot import Shot


def draw_all(seed):
    rng = np.random.default_rng(seed)
    camera = make_cameras(3, rng)[seed % 3]
    identity = Identity.draw(rng)
    return identity, Outfit.draw(rng, identity), camera, Shot.draw(rng, camera, identity)


def distance(first, second):
    return np.abs(first.astype(float) - second).mean()


def regions(rendering):
    """The head (above the clothes box, between its sides) and the clothes."""
    left, top, right, bottom = rendering.clothes_box
    quarter = (right - left) // 4
    head = rendering.image[max(top - 24, 0) : top - 4, left + quarter : right - quarter]
    return head, rendering.image[top + 8 : bottom, left + quarter : right - quarter]


def test_the_same_seed_gives_the_same_pixels():
    first = render_person(*draw_all(4), height=128, width=64)
    scene._panorama.cache_clear()
    second = render_person(*draw_all(4), height=128, width=64)
    assert np.array_equal(first.image, second.image)
    assert first.clothes_box == second.clothes_box


def test_another_seed_gives_other_pixels():
    first, second = (render_person(*draw_all(seed), height=128, width=64).image for seed in (4, 7))
    assert distance(first, second) > 8


def test_rendering_keeps_no_state_between_images():
    scene_of = draw_all(5)
    alone = render_person(*scene_of, height=128, width=64).image
    render_person(*draw_all(6), height=128, width=64)
    assert np.array_equal(alone, render_person(*scene_of, height=128, width=64).image)


@pytest.mark.parametrize(("height", "width"), [(256, 128), (128, 64), (64, 32), (384, 128), (160, 60)])
@pytest.mark.parametrize("modality", ["rgb", "ir"])
def test_a_image_has_the_size_that_was_asked_for(height, width, modality):
    rendering = render_person(*draw_all(2), height=height, width=width, modality=modality)
    assert rendering.image.shape == (height, width, 3)
    assert rendering.image.dtype == np.uint8
    left, top, right, bottom = rendering.clothes_box
    assert 0 <= left < right <= width and 0 <= top < bottom <= height


def test_an_unknown_modality_is_refused():
    with pytest.raises(ValueError, match="not 'thermal'"):
        render_person(*draw_all(2), modality="thermal")


@pytest.mark.parametrize(
    ("yaw", "least"), [(0.0, 0.8), (1.5, 0.5), (np.pi, 0.8)]
)  # from the side an arm hides part
def test_the_clothes_box_is_the_torso(calm, yaw, least):
    identity, outfit, camera, shot = calm(yaw=yaw)
    rendering = render_person(identity, outfit, camera, shot)
    red = rendering.image.astype(int)
    red = (red[..., 0] > 1.8 * red[..., 1]) & (red[..., 0] > 1.8 * red[..., 2])
    left, top, right, bottom = rendering.clothes_box
    middle = slice(left + (right - left) // 3, right - (right - left) // 3)
    assert red[top + 10 : bottom - 4, middle].mean() > least
    assert red[bottom + 8 :, middle].mean() < 0.1
    assert bottom - top < 0.5 * 256


def test_a_change_of_clothes_leaves_the_head_and_changes_the_torso(calm):
    identity, outfit, camera, shot = calm()
    other = replace(outfit, coat_color="blue", coat=(0.15, 0.25, 0.7), trousers=(0.2, 0.2, 0.2), fit=1.1)
    head, torso = regions(render_person(identity, outfit, camera, shot))
    other_head, other_torso = regions(render_person(identity, other, camera, shot))
    assert np.abs(head.mean((0, 1)) - other_head.mean((0, 1))).max() < 6
    assert np.abs(torso.mean((0, 1)) - other_torso.mean((0, 1))).max() > 60


def test_another_person_in_the_same_clothes_has_another_head(calm):
    identity, outfit, camera, shot = calm()
    other = replace(identity, skin=(0.36, 0.24, 0.18), haircut="afro", hair=(0.08, 0.07, 0.08))
    head, torso = regions(render_person(replace(identity, skin=(0.95, 0.8, 0.7)), outfit, camera, shot))
    other_head, other_torso = regions(render_person(other, outfit, camera, shot))
    assert np.abs(head.mean((0, 1)) - other_head.mean((0, 1))).max() > 40
    assert np.abs(torso.mean((0, 1)) - other_torso.mean((0, 1))).max() < 12


@pytest.mark.parametrize(
    ("field", "value", "least"),
    [("build", 2.2, 3.0), ("shoulders", 0.30, 2.0), ("legs", 0.44, 2.0), ("stature", 0.82, 5.0)],
)
def test_the_build_of_a_person_is_visible(calm, field, value, least):
    identity, outfit, camera, shot = calm()
    identity = replace(identity, build=-1.0, shoulders=0.23, legs=0.50, stature=1.02)
    thin = render_person(identity, outfit, camera, shot).image
    changed = render_person(replace(identity, **{field: value}), outfit, camera, shot).image
    assert distance(thin, changed) > least


def test_a_face_is_seen_from_the_front_and_not_from_the_back(calm):
    for yaw, seen in ((0.0, True), (1.4, True), (np.pi, False)):
        identity, outfit, camera, shot = calm(yaw=yaw)
        plain = replace(identity, beard="none", glasses="without glasses", gender="male", haircut="crop")
        marked = replace(plain, beard="full", glasses="with sunglasses", lips=1.0, brow=1.0, eye_size=1.3)
        first, second = (render_person(who, outfit, camera, shot).image for who in (plain, marked))
        assert (distance(first, second) > 0) == seen, f"yaw {yaw}"


def test_infrared_has_no_hue_and_does_not_distinguish_dyes(calm):
    identity, outfit, camera, shot = calm()
    blue = replace(outfit, coat_color="blue", coat=(0.15, 0.25, 0.7))
    images = {
        (name, modality): render_person(identity, worn, camera, shot, modality=modality).image
        for name, worn in (("red", outfit), ("blue", blue))
        for modality in ("rgb", "ir")
    }
    infrared = images["red", "ir"]
    assert np.ptp(infrared, axis=2).max() == 0
    assert np.ptp(images["red", "rgb"], axis=2).max() > 50
    seen = distance(images["red", "rgb"], images["blue", "rgb"])
    assert distance(infrared, images["blue", "ir"]) < 0.1 * seen


def test_infrared_distinguishes_materials(calm):
    identity, outfit, camera, shot = calm()
    leather = replace(outfit, coat_material="leather")
    first, second = (
        regions(render_person(identity, o, camera, shot, modality="ir"))[1] for o in (outfit, leather)
    )
    assert first.mean() > second.mean() + 25


CARRIED = {
    "bag_style": ["backpack", "hand bag", "shoulder bag", "waist pack", "trolley", "agnostic style bag"],
    "cap": ["baseball", "beanie", "brimmed", "helmet", "chef"],
    "umbrella": ["with umbrella"],
    "smoking": ["smoking"],
    "glove": ["with glove"],
    "coat_length": ["long sleeve coat", "agnostic length coat", "bareback coat"],
    "trousers_length": ["skirt", "shorts trousers"],
    "shoes_style": ["boots", "leather shoes", "sandal"],
    "coat_style": [
        "business suit",
        "agnostic style coat",
        "dress",
        "jacket",
        "long coat",
        "shirt",
        "sweater",
    ],
    "collar": ["vee", "high", "stand", "fold", "lapels", "hood"],
    "closure": ["zipper", "buttons", "open"],
    "pattern": ["stripes", "pinstripes", "checks", "dots", "logo", "band", "two_tone"],
    "uniform": ["firefighter uniform", "worker uniform"],
}


@pytest.mark.parametrize(("field", "word"), [(field, word) for field in CARRIED for word in CARRIED[field]])
def test_every_attribute_of_an_outfit_is_visible(calm, field, word):
    identity, outfit, camera, shot = calm(yaw=0.3)
    outfit = replace(
        outfit, trousers_length="trousers", shoes_style="walking shoes", glove="without glove", seed=1
    )
    outfit = replace(outfit, accent=(0.95, 0.95, 0.2), hem=0.2, inner=(0.9, 0.9, 0.9), tie=None)
    plain = render_person(identity, outfit, camera, shot).image
    changed = render_person(identity, replace(outfit, **{field: word}), camera, shot).image
    pixels = (np.abs(plain.astype(int) - changed).max(axis=2) > 24).sum()
    assert pixels > 12


def test_an_occluder_hides_part_of_the_image(calm):
    identity, outfit, camera, shot = calm()
    free = render_person(identity, outfit, camera, shot, height=128, width=64).image
    things = "person bin pole bicycle bush bench trolley pillar counter rack car railing"
    for thing in things.split():
        behind = replace(shot, occluder=thing, occluder_at=(0.8, 0.7))
        hidden = render_person(identity, outfit, camera, behind, height=128, width=64).image
        share = (np.abs(free.astype(int) - hidden).max(axis=2) > 20).mean()
        assert 0.005 < share < 0.6, thing
