"""People held out for model selection: each is found by other images than those that query."""

import dataclasses

import pytest

from instructions.errors import InputError
from omnireid.loading.held_out import hold_out
from omnireid.loading.source_loader import Source
from omnireid.records import Record
from omnireid.tasks import TASKS


def source(images_each, camid):
    records = tuple(
        Record(image=f"{pid}_{number}.jpg", pid=pid, camid=camid)
        for pid in range(8)
        for number in range(images_each)
    )
    return Source(TASKS["trad"], "market1501", records)


@pytest.mark.parametrize("camid", [1, -1])
def test_with_one_camera_other_images_of_that_camera_are_matches(camid):
    _, (held_out,) = hold_out([source(2, camid)], 0.5, seed=0)
    query, gallery = (
        {record.image for record in side} for side in (held_out.split.query, held_out.split.gallery)
    )
    assert len(query) == len(gallery) == 4
    assert not query & gallery


def test_people_with_one_image_each_are_refused():
    with pytest.raises(InputError, match=r"has a second image to be retrieved; set validation\.share=0"):
        hold_out([source(1, 1)], 0.5, seed=0)


def test_two_cameras_are_enough_for_one_image_each():
    one, other = source(1, 1), source(1, 2)
    both = dataclasses.replace(one, records=(*one.records, *other.records))
    _, (held_out,) = hold_out([both], 0.5, seed=0)
    assert len(held_out.split.query) == len(held_out.split.gallery) == 8
