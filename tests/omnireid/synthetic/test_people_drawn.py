from collections import defaultdict
from dataclasses import fields

import numpy as np
import pytest

from instructions.attributes import ATTRIBUTES
from omnireid.synthetic.camera import SCENES, make_cameras
from omnireid.synthetic.describe import attributes_of
from omnireid.synthetic.identity import BEARDS, HAIRCUTS, Identity
from omnireid.synthetic.outfit import PATTERNS, Outfit
from omnireid.synthetic.shot import VIEWPOINTS, Shot
from omnireid.synthetic.skeleton import pose


def spec(seed, count):
    rng = np.random.default_rng(seed)
    cameras = make_cameras(4, rng)
    for index in range(count):
        identity = Identity.draw(rng)
        camera = cameras[index % 4]
        yield identity, Outfit.draw(rng, identity), camera, Shot.draw(rng, camera, identity)


def test_a_seed_fixes_people_clothes_cameras_and_shots():
    assert list(spec(3, 5)) == list(spec(3, 5))
    first, second = next(spec(3, 1)), next(spec(4, 1))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_no_two_of_five_hundred_people_are_alike():
    people = [identity for identity, *_ in spec(0, 500)]
    assert len(set(people)) == 500
    looks = {(p.gender, p.hair_color, p.haircut, p.beard, p.glasses, round(p.build), p.age) for p in people}
    assert len(looks) > 250


def test_everybody_has_all_twenty_attributes_and_every_word_but_lie_occurs():
    seen = defaultdict(set)
    for identity, outfit, _, shot in spec(1, 2000):
        attributes = attributes_of(identity, outfit, shot)
        assert len(attributes) == 20
        for name, word in attributes.to_dict().items():
            seen[name].add(word)
    missing = {(name, word) for name in ATTRIBUTES for word in ATTRIBUTES[name]} - {
        (name, word) for name in seen for word in seen[name]
    }
    assert missing == {("pose", "lie")}


def test_attribute_words_follow_the_drawn_fields():
    for identity, outfit, _, shot in spec(2, 200):
        words = attributes_of(identity, outfit, shot).to_dict()
        assert words["coat_color"] == f"{outfit.coat_color} coat"
        assert words["hair_style"] == HAIRCUTS[identity.haircut]
        assert words["person_angle"] == shot.viewpoint
        assert (words["cap_style"] == "with hat") == (outfit.cap != "none")
        assert (words["glove"] == "agnostic glove") == (shot.action == "pockets")
        if shot.viewpoint == "back" and outfit.smoking == "without smoking":
            assert words["smoking"] == "agnostic smoking"
        if outfit.coat_style == "dress":
            assert words["trousers_length"] == "skirt"
            assert words["trousers_color"].split()[0] == outfit.coat_color


def test_drawn_words_are_the_known_ones():
    for identity, outfit, _, shot in spec(5, 200):
        assert identity.beard in BEARDS and identity.haircut in HAIRCUTS
        assert outfit.pattern in PATTERNS and shot.viewpoint in VIEWPOINTS


def test_numbers_of_an_identity_stay_in_the_range_of_bodies():
    for identity, *_ in spec(6, 300):
        assert 0.6 < identity.stature < 1.15
        assert 0.12 < identity.head < 0.19
        assert 0.18 < identity.shoulders < 0.32
        for field in fields(identity):
            value = getattr(identity, field.name)
            if isinstance(value, tuple):
                assert all(0 <= channel <= 1 for channel in value), field.name


def test_twelve_cameras_have_twelve_scenes():
    cameras = make_cameras(12, np.random.default_rng(0))
    assert {camera.scene for camera in cameras} == set(SCENES)
    assert len(set(make_cameras(15, np.random.default_rng(0)))) == 15


@pytest.mark.parametrize("viewpoint", VIEWPOINTS)
def test_a_viewpoint_is_where_the_body_turns(viewpoint):
    rng = np.random.default_rng(9)
    camera = make_cameras(1, rng)[0]
    facing = {"front": 1.0, "back": -1.0, "side": 0.0}[viewpoint]
    for _ in range(50):
        shot = Shot.draw(rng, camera, viewpoint=viewpoint)
        assert shot.viewpoint == viewpoint
        assert abs(np.cos(shot.yaw) - facing) < 0.6


def test_the_left_hand_is_on_the_right_of_a_frontal_image(calm):
    for yaw, sign in ((0.0, 1), (np.pi, -1)):
        identity, outfit, camera, shot = calm(yaw=yaw)
        bones = pose(identity, outfit, camera, shot, height=256, width=128)
        assert np.sign(bones["left_shoulder"].x - bones["right_shoulder"].x) == sign


def test_standing_people_have_the_head_up_and_the_feet_on_the_ground(calm):
    identity, outfit, camera, shot = calm()
    bones = pose(identity, outfit, camera, shot, height=256, width=128)
    assert (
        bones["head"].y < bones["collar"].y < bones["pelvis"].y < bones["left_knee"].y < bones["left_ankle"].y
    )
    assert 0.85 * 256 < bones["left_ankle"].y < 256
