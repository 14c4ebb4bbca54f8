"""VC-Clothes: person, camera, outfit and number in the name; two-camera tests."""

import pytest

from omnireid.datasets import DATASETS

VC = DATASETS["vc_clothes"]


def test_person_camera_and_outfit_come_from_the_name(make):
    split = VC.read(make("vc_clothes"))
    assert [(r.pid, r.camid) for r in split.train] == [(1, 0), (1, 3)]
    assert split.train[0].clothes_id != split.train[1].clothes_id
    assert split.query[0].clothes_id == split.gallery[1].clothes_id  # 0300, outfit 01


@pytest.mark.parametrize(("variant", "cameras"), [("same_clothes", {1, 2}), ("clothes_change", {2, 3})])
def test_a_two_camera_variant_cuts_the_test_and_never_the_training_set(make, variant, cameras):
    split = VC.read(make("vc_clothes"), variant)
    assert {r.camid for r in (*split.query, *split.gallery)} <= cameras
    assert len(split.train) == 2
