"""Planned synthetic trees (nothing rendered): every layout and list is read like the published ones."""

from collections import Counter

import pytest

from omnireid.datasets import DATASETS, load_split
from omnireid.datasets.check import LoadedSplit, find_problems, load_every_way
from omnireid.datasets.counts import check_counts
from omnireid.datasets.list_table import LISTS
from omnireid.leakage import People, drop_test_people
from omnireid.synthetic.layouts import LAYOUTS
from omnireid.synthetic.plan import SyntheticSpec
from omnireid.synthetic.presets import PRESETS


@pytest.fixture(scope="module")
def plans():
    return {name: plan(SyntheticSpec(PRESETS["tiny"], 0)) for name, plan in LAYOUTS.items()}


@pytest.fixture(scope="module")
def root(plans, tmp_path_factory):
    """The tiny tree: text files as they are, images as empty files."""
    out = tmp_path_factory.mktemp("omnireid")
    for plan in plans.values():
        contents = {file.path: b"" for image in plan.images for file in image.files} | plan.texts
        for path, content in contents.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
    return out


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_way_of_reading_is_there_and_finds_the_counts_of_the_plan(root, plans, name):
    readings = list(load_every_way(name, root, named=False))
    assert all(isinstance(reading, LoadedSplit) for reading in readings)
    ways = {(reading.source, reading.task.name) for reading in readings}
    assert {("lists", task) for data, task in LISTS if data == name} <= ways
    if DATASETS[name].raw_tasks:
        assert ("raw", DATASETS[name].raw_tasks[0]) in ways
    findings = [finding for reading in readings for finding in find_problems(reading)]
    findings += check_counts(readings, {name: plans[name].summary})
    # Real2's raw tables have no clothes image for the gallery, as in the real download.
    assert [f for f in findings if "gallery images have no clothes image" not in f.message] == []


@pytest.mark.parametrize(
    ("name", "task"), [(n, t) for n, t in LISTS if t in ("trad", "cc", "vi") and (n, t) != ("msmt17", "trad")]
)
def test_lists_and_raw_layout_agree_on_the_test(root, name, task):
    def said(source, part):
        split = load_split(root, name, task, source=source)
        return Counter((r.image, r.pid, r.camid, r.modality) for r in getattr(split, part))

    for part in ("query", "gallery"):
        assert said("raw", part) == said("lists", part) != Counter()


def test_every_image_that_a_task_needs_is_in_the_tree(root):
    for name, entry in DATASETS.items():
        for task in entry.card.tasks:
            split = load_split(root, name, task)
            for record in (*split.train, *split.query, *split.gallery):
                assert (root / record.image).is_file(), record
                assert record.clothes is None or (root / record.clothes).is_file(), record


def test_the_images_that_cuhk_pedes_took_from_the_market_test_are_dropped(root, plans):
    pedes, market = load_split(root, "cuhk_pedes", "t2i"), load_split(root, "market1501", "trad")
    num_taken = {str(root / path) for path in plans["cuhk_pedes"].overlaps}
    assert num_taken and num_taken <= {record.image for record in pedes.train}
    (kept,), report = drop_test_people(
        [People("cuhk_pedes", pedes.train)], [People("market1501", (*market.query, *market.gallery))]
    )
    assert not num_taken & {record.image for record in kept.records}
    assert report.num_dropped == len(num_taken)
