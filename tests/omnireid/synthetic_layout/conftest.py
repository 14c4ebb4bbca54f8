"""The plans of the tiny preset (nothing rendered), and a preset so small that it renders in seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from omnireid.synthetic.layouts import LAYOUTS
from omnireid.synthetic.lists import ListLine
from omnireid.synthetic.plan import Plan, SyntheticSpec
from omnireid.synthetic.presets import PRESETS, Counts, Preset
from omnireid.synthetic.sites import SITES


@pytest.fixture(scope="session")
def spec() -> SyntheticSpec:
    return SyntheticSpec(PRESETS["tiny"], seed=5)


@pytest.fixture(scope="session")
def plans(spec: SyntheticSpec) -> dict[str, Plan]:
    return {name: plan(spec) for name, plan in LAYOUTS.items()}


@pytest.fixture(scope="session")
def crumb() -> Preset:
    counts = {name: Counts(2, 2, 2, 1, 1, outfits=2) for name in LAYOUTS}
    counts["market1501"] = replace(counts["market1501"], outfits=1, distractors=1, junk=1)
    counts["cuhk_pedes"] = replace(counts["cuhk_pedes"], outfits=1, overlap_ids=1)
    counts["cocas_real2"] = replace(counts["cocas_real2"], train_ids=0)
    return Preset("crumb", image_size=(32, 16), clothes_size=16, counts=counts)


def _files(plan: Plan) -> list[str]:
    return [file.path for image in plan.images for file in image.files]


def _lists(plan: Plan) -> dict[str, list[str]]:
    folder = SITES[plan.dataset].folder
    names = {path.removeprefix(f"{folder}/"): content for path, content in plan.texts.items()}
    official = [name for name in names if re.fullmatch(r"(datalist/)?[^/]+\.txt", name)]
    return {name: names[name].decode("ascii").splitlines() for name in official}


@pytest.fixture(scope="session")
def files() -> Callable[[Plan], list[str]]:
    """Every image path of a plan."""
    return _files


@pytest.fixture(scope="session")
def lists() -> Callable[[Plan], dict[str, list[str]]]:
    """The official lists of a plan: path below the data set's folder to lines."""
    return _lists


@pytest.fixture(scope="session")
def parsed() -> Callable[[Plan, str], list[ListLine]]:
    """One official list, line by line."""
    return lambda plan, name: [ListLine.parse(line) for line in _lists(plan)[name]]
