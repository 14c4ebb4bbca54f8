"""The image of two models' ranked lists: choice of queries, summary, frames."""

import dataclasses
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from instructions.errors import InputError
from omnireid.case_study import Model, case_study, check_queries, most_different, summary
from omnireid.evaluation import Evaluation
from omnireid.records import Record, Split
from omnireid.sheet import _RIGHT, _WRONG

RIGHT, WRONG = _RIGHT, _WRONG


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("people") / "person.png")
    Image.new("RGB", (32, 64), (0, 0, 255)).save(path)
    query = tuple(Record(path, pid, 0) for pid in (1, 1, 2, 3, 4))
    gallery = tuple(Record(path, pid, 1) for pid in (1, 2, 3, 4))
    return Split("tiny_set", query=query, gallery=gallery)


def evaluation(precision, shown_right=None):
    """An evaluation of five queries whose lists show the gallery in its order."""
    values = {field.name: 0 for field in dataclasses.fields(Evaluation)}
    right = np.zeros((5, 4), dtype=bool) if shown_right is None else np.array(shown_right)
    values |= {"task": "trad", "dataset": "tiny_set", "protocol": "market", "title": "Market-1501 rule"}
    values |= {"mean_ap": float(np.nanmean(precision)), "rank_1": 0.25, "shown_right": right}
    values |= {"average_precision": np.array(precision), "shown": np.tile(np.arange(4), (5, 1))}
    return Evaluation(**values)


BEFORE = [0.1, 0.2, 0.5, np.nan, 0.9]
AFTER = [0.9, 0.9, 0.1, np.nan, 0.5]  # differences 0.8, 0.7, -0.4, none, -0.4


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (2, [0, 2]), (9, [0, 2, 4])])
def test_queries_are_those_that_differ_most_one_a_person_whoever_wins(split, count, expected):
    assert most_different(evaluation(BEFORE), evaluation(AFTER), split, count) == expected
    assert most_different(evaluation(AFTER), evaluation(BEFORE), split, count) == expected


def test_the_summary_counts_all_queries():
    said = summary(Model("baseline", evaluation(BEFORE)), Model("ours", evaluation(AFTER)))
    assert said == (
        "baseline mAP 42.5 R1 25.0, ours mAP 60.0 R1 25.0; "
        "of 4 queries ours is better at 2, worse at 2, equal at 0"
    )


def test_a_query_that_cannot_be_shown_is_refused():
    check_queries([0, 4], evaluation(BEFORE))
    with pytest.raises(InputError, match="there is no query 5; they are 0 to 4"):
        check_queries([0, 5], evaluation(BEFORE))
    with pytest.raises(InputError, match="query 3 has no true match"):
        check_queries([3], evaluation(BEFORE))


def frames(image):
    """Colours of the frames along each strip: each frame shows its left and its right edge."""
    pixels = np.array(image)
    kinds = (pixels == RIGHT).all(axis=-1) + 2 * (pixels == WRONG).all(axis=-1)
    edges = [tuple(line[1:][(line[1:] != line[:-1]) & (line[1:] > 0)].tolist()) for line in kinds]
    strips = [(line, len(list(rows))) for line, rows in groupby(edges)]
    tall = [line for line, height in strips if line and height > 100]  # letters are not as tall
    return [[{1: RIGHT, 2: WRONG}[edge] for edge in line[::2]] for line in tall]


def test_each_strip_frames_its_own_answers(split):
    first = evaluation(BEFORE, [[True, False, False, True]] * 5)
    second = evaluation(AFTER, [[True, True, False, False]] * 5)
    image = case_study(Model("baseline", first), Model("ours", second), split, None, [0])
    assert frames(image) == [[RIGHT, WRONG, WRONG, RIGHT], [RIGHT, RIGHT, WRONG, WRONG]]


def test_more_queries_make_a_longer_image_of_one_width(split):
    images = [
        case_study(Model("a", evaluation(BEFORE)), Model("b", evaluation(AFTER)), split, None, rows)
        for rows in ([0], [0, 2])
    ]
    assert images[0].width == images[1].width
    assert images[0].height < images[1].height
