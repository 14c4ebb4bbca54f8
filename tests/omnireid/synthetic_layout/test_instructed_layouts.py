"""COCAS+, CUHK-PEDES, SYNTH-PEDES: each instruction describes its own target."""

import json
import re
from collections import Counter
from itertools import pairwise

import pytest

from omnireid.synthetic.lists import GALLERY_KEY


def test_real2_queries_name_what_the_target_wears(plans, parsed):
    plan = plans["cocas_real2"]
    gallery = parsed(plan, "datalist/gallery_attr.txt")
    captions = json.loads(plan.texts["real2/datalist/runner_real2_v1_gpt.json"])
    targets = {line.instruction: line for line in gallery}
    assert targets.keys() == captions.keys()
    asked = parsed(plan, "datalist/query_attr.txt")
    for line in asked:
        target = targets[line.instruction]
        assert (target.pid, target.clothes_id) == (line.pid, line.clothes_id)
    for by_template, by_caption in zip(parsed(plan, "datalist/query.txt"), asked, strict=True):
        assert (by_template.image, by_template.clothes_id) == (by_caption.image, by_caption.clothes_id)
        template = re.fullmatch(r".*/templates/(\d{4})_(\d)\.jpg", by_template.instruction)
        assert (int(template[1]), int(template[2]) - 1) == (by_template.pid, by_template.clothes_id % 3)


def test_most_real2_queries_ask_for_other_clothes_than_they_show(plans, parsed):
    asked = parsed(plans["cocas_real2"], "datalist/query.txt")
    shown = [int(line.image.rsplit("/", 1)[1].split("_")[1]) - 1 for line in asked]
    other = sum(line.clothes_id % 3 != outfit for line, outfit in zip(asked, shown, strict=True))
    assert 0.5 < other / len(asked) < 1


def test_real2_sides_have_no_camera_in_common(plans, parsed):
    query = {line.camid for line in parsed(plans["cocas_real2"], "datalist/query.txt")}
    gallery = {line.camid for line in parsed(plans["cocas_real2"], "datalist/gallery.txt")}
    assert not query & gallery


def test_raw_cocas_lists_have_their_columns(plans, files):
    for root, dataset in (("real2/real_reid_image_face_blur", "cocas_real2"), ("real1/COCAS", "cocas_real1")):
        there = set(files(plans[dataset]))
        for line in plans[dataset].texts[f"{root}/query.txt"].decode().splitlines():
            image, template, *numbers = line.split(" ")
            assert f"{root}/{image}" in there
            assert f"{root}/{template}" in there
            assert len(numbers) == 3
        for line in plans[dataset].texts[f"{root}/gallery.txt"].decode().splitlines():
            image, *numbers = line.split(" ")
            assert f"{root}/{image}" in there
            assert len(numbers) == 3


@pytest.mark.parametrize(
    ("dataset", "name"), [("cocas_real1", "datalist/train_ctcc.txt"), ("ltcc", "datalist/train_ctcc.txt")]
)
def test_ctcc_training_lines_alternate_template_and_own_crop_of_the_worn_outfit(plans, dataset, name, parsed):
    lines = parsed(plans[dataset], name)
    assert ["templates/" in line.instruction for line in lines] == [row % 2 == 0 for row in range(len(lines))]
    for line in lines:
        shown, named = (path.rsplit("/", 1)[1] for path in (line.image, line.instruction))
        assert named == shown or named.split(".")[0] == "_".join(shown.split("_")[:2])


def test_real1_captions_are_of_their_own_image(plans, parsed):
    captions = json.loads(plans["cocas_real1"].texts["real1/datalist/runner_real1_v1_gpt.json"])
    lines = parsed(plans["cocas_real1"], "datalist/train_attr.txt")
    assert [line.instruction for line in lines] == [line.image.rsplit("/", 1)[1] for line in lines]
    assert {line.instruction for line in lines} == captions.keys()


def test_cuhk_pedes_ids_run_through_the_splits_from_one(plans):
    rows = json.loads(plans["cuhk_pedes"].texts["CUHK-Pedes/reid_raw.json"])
    assert [
        split for split, following in pairwise([row["split"] for row in rows] + [""]) if split != following
    ] == [
        "train",
        "val",
        "test",
    ]
    ids = [row["id"] for row in rows]
    assert ids == sorted(ids)
    assert set(ids) == set(range(1, max(ids) + 1))
    assert all(len(row["captions"]) == len(row["processed_tokens"]) == 2 for row in rows)
    assert all(
        re.fullmatch(r"[a-z0-9-]+", token)
        for row in rows
        for tokens in row["processed_tokens"]
        for token in tokens
    )


def test_cuhk_pedes_lists_have_a_line_for_each_caption_and_one_for_each_gallery_image(plans, parsed):
    plan = plans["cuhk_pedes"]
    captions = json.loads(plan.texts["CUHK-Pedes/caption_t2i_v2.json"])
    query, gallery = parsed(plan, "query_t2i_v2.txt"), parsed(plan, "gallery_t2i_v2.txt")
    assert Counter(line.image for line in query) == {line.image: 2 for line in gallery}
    assert {line.instruction for line in gallery} == {GALLERY_KEY}
    keys = [line.instruction for line in (*parsed(plan, "train_t2i_v2.txt"), *query)]
    assert {*keys, GALLERY_KEY} == captions.keys()
    assert len(set(keys)) == len(keys)


def test_cuhk_pedes_takes_over_market_test_people_and_the_official_list_drops_them(plans, parsed):
    plan, market = plans["cuhk_pedes"], plans["market1501"]
    num_taken = {file.path: image.key for image in market.images for file in image.files}
    shown = {file.path: image.key for image in plan.images for file in image.files}
    assert plan.overlaps
    for copy, original in plan.overlaps.items():
        assert copy.rsplit("/", 1)[1] == original.rsplit("/", 1)[1]
        assert shown[copy] == num_taken[original]
    assert {path for path in shown if "/Market/" in path} == plan.overlaps.keys()
    raw = {row["file_path"]: row for row in json.loads(plan.texts["CUHK-Pedes/reid_raw.json"])}
    overlapping = [raw[path.removeprefix("CUHK-Pedes/imgs/")] for path in plan.overlaps]
    assert {row["split"] for row in overlapping} == {"train"}
    assert len({row["id"] for row in overlapping}) == 2
    assert not any("/Market/" in line.image for line in parsed(plan, "train_t2i_v2.txt"))


def test_synth_pedes_rows_have_six_fields_two_captions_and_a_prompt(plans, files):
    rows = json.loads(plans["synth_pedes"].texts["PLIP/synthpedes_dataset.json"])
    for row in rows:
        (fields,), (prompt,) = row["attributes"], row["prompt_caption"]
        assert len(fields.split(",")) == 6
        assert len(row["captions"]) == 2
        assert prompt.startswith("A photo of a ")
        assert f"PLIP/{row['file_path']}" in set(files(plans["synth_pedes"]))
