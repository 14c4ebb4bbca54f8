"""A plan has as many images as its row of the preset."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from omnireid.synthetic.layouts import LAYOUTS
from omnireid.synthetic.manifest import Manifest
from omnireid.synthetic.people import num_outfits
from omnireid.synthetic.plan import SyntheticSpec
from omnireid.synthetic.presets import PRESETS

DOCUMENT = Path(__file__).parents[3] / "docs" / "synthetic.md"


def person_images(plan):
    return sum(image.shows_person for image in plan.images)


def test_every_preset_has_a_row_for_every_data_set():
    assert all(list(preset.counts) == list(LAYOUTS) for preset in PRESETS.values())
    assert list(PRESETS) == ["tiny", "demo", "mllm", "large"]


@pytest.mark.parametrize("dataset", ["market1501", "msmt17", "cuhk03", "vc_clothes"])
def test_parts_are_as_large_as_the_row_says(plans, dataset):
    row, summary = PRESETS["tiny"].counts[dataset], plans[dataset].summary
    assert summary["train_ids"] == row.train_ids
    assert summary["test_ids"] == row.test_ids
    assert summary["train"] == row.train_ids * row.cameras * row.shots
    assert summary["query"] == row.test_ids * row.cameras
    assert summary["gallery"] == row.test_ids * row.cameras * row.gallery_shots + row.distractors + row.junk
    assert person_images(plans[dataset]) == sum(
        summary.get(p, 0) for p in ("train", "val", "query", "gallery")
    )


def test_real2_is_as_large_as_its_row_says(plans):
    row, summary = PRESETS["tiny"].counts["cocas_real2"], plans["cocas_real2"].summary
    outfits = sum(num_outfits(pid, row.outfits) for pid in range(1, row.test_ids + 1))
    assert summary["query"] == outfits * row.cameras
    assert summary["gallery"] == outfits * row.cameras * row.gallery_shots


def test_cuhk_pedes_is_as_large_as_its_row_says(plans):
    row, summary = PRESETS["tiny"].counts["cuhk_pedes"], plans["cuhk_pedes"].summary
    assert summary["train"] == row.train_ids * row.shots
    assert summary["gallery"] == row.test_ids * row.gallery_shots
    assert summary["query"] == 2 * summary["gallery"]


def test_the_large_preset_has_a_hundred_thousand_images_in_six_data_sets_alone():
    rows = PRESETS["large"].counts
    simple = ("market1501", "msmt17", "cuhk03", "vc_clothes")
    num = sum(
        r.cameras * (r.train_ids * r.shots + r.test_ids * (1 + r.gallery_shots))
        for r in map(rows.get, simple)
    )
    num += rows["cuhk_pedes"].train_ids * rows["cuhk_pedes"].shots
    num += rows["synth_pedes"].train_ids * rows["synth_pedes"].shots
    assert num > 100_000


@pytest.mark.parametrize("preset", ["tiny", "mllm", pytest.param("demo", marks=pytest.mark.slow)])
def test_the_document_prints_the_counts_of_the_preset(preset):
    section = DOCUMENT.read_text(encoding="utf-8").split(f"### `{preset}`")[1].split("###")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", section, flags=re.MULTILINE)
    printed = {name: [int(n.replace(",", "")) for n in cells.split("|")] for name, cells in rows}
    spec = SyntheticSpec(PRESETS[preset], seed=0)
    for name, plan in LAYOUTS.items():
        summary = plan(spec).summary
        wanted = [
            summary.get(k, 0) for k in ("train_ids", "test_ids", "train", "query", "gallery", "cameras")
        ]
        assert printed[name] == wanted, f"| `{name}` | {' | '.join(f'{count:,}' for count in wanted)} |"


def test_captions_describe_training_images_only_where_the_preset_shares_people(plans):
    """As MLLMReID needs them: CUHK-PEDES on Market-1501, ICFG-PEDES and RSTPReid on MSMT17."""
    spec = SyntheticSpec(PRESETS["mllm"], seed=0)
    for name, whose in (("cuhk_pedes", "market1501"), ("icfg_pedes", "msmt17"), ("rstpreid", "msmt17")):
        trained = training_takes(LAYOUTS[whose](spec))
        shared = {image.key for image in LAYOUTS[name](spec).images} & trained
        people = {key.person for key in shared}
        assert len(people) == PRESETS["mllm"].counts[name].shared_ids
        assert len(shared) == sum(key.person in people for key in trained) // 2
        assert not {image.key for image in plans[name].images} & training_takes(plans[whose])


def training_takes(plan):
    return {image.key for image in plan.images if "train/" in image.files[0].path}


def test_trees_drawn_before_people_were_shared_keep_their_fingerprint():
    assert Manifest.of(PRESETS["tiny"], 0).fingerprint == "2a5b44b6107729c2"
    shared = replace(PRESETS["tiny"].counts["cuhk_pedes"], shared_ids=1)
    other = replace(PRESETS["tiny"], counts={**PRESETS["tiny"].counts, "cuhk_pedes": shared})
    assert Manifest.of(other, 0).fingerprint != "2a5b44b6107729c2"
