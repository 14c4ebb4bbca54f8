"""The sheets of tables 5 and 6: each reads, says one thing that its base does not, and can be built whole."""

import re
from pathlib import Path
from statistics import mean

import pytest
import torch

from irm.build import build_irm
from irm.config import differences, read_run

SHEETS = Path(__file__).parents[2] / "configs" / "irm"
SETS = {
    *("market1501", "msmt17", "cuhk03", "ltcc", "prcc", "vc_clothes", "llcm"),
    *("cocas_ctcc", "cocas_li", "cuhk_pedes", "omnireid"),
}
# What a row of the tables changes.
ROWS = {
    "without_editing": {"model.editing": False},
    "without_adaptive_triplet": {"losses.adaptive_triplet.adaptive": False},
    "deit": {"model.backbone": "deit_base", "model.pretrained": True},
    "albef": {"model.backbone": "weights/albef"},
    "hap": {"model.backbone": "weights/hap"},
    "pass_384": {
        "model.image_size.0": 384,
        "model.image_size.1": 192,
        "model.instruction.image_size.0": 192,
        "model.instruction.image_size.1": 192,
    },
}
# Without the published weights, which are not on this disk.
RANDOM = (
    "model.pretrained=false",
    "model.instruction.text_weights=null",
    "model.instruction.image=albef_vit_base",
)
# The column "Avg." of table 5: whether its eleven figures were copied as they stand.
AVERAGES = {
    ("without_editing", "one task"): 61.5,
    ("without_editing", "all six tasks"): 64.5,
    ("without_adaptive_triplet", "one task"): 61.3,
    ("without_adaptive_triplet", "all six tasks"): 64.8,
}


def sheets(row):
    return {path.stem: path for path in sorted((SHEETS / "ablations" / row).glob("*.yaml"))}


def figures(path):
    """The paper's mAP in a sheet's comment."""
    comment = " ".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    paper = re.sub(r"Market1501|MSMT17|CUHK03", "", comment.partition("(paper:")[2])
    return [float(number) for number in re.findall(r"\d+\.\d", paper)]


def test_every_row_has_its_sheets():
    assert {path.name for path in (SHEETS / "ablations").iterdir()} == set(ROWS)
    for row in ROWS:
        no_triplet = {"cuhk_pedes"} if row == "without_adaptive_triplet" else set()  # a dash in table 5
        assert set(sheets(row)) == SETS - no_triplet


@pytest.mark.parametrize("row", ROWS)
def test_a_sheet_is_its_base_but_for_what_the_row_says(row):
    for name, path in sheets(row).items():
        changed = differences(read_run(SHEETS / f"{name}.yaml"), read_run(path))
        assert {key: new for key, (_, new) in changed.items()} == ROWS[row]
        assert len(path.read_text().splitlines()) <= 6
        assert len(figures(path)) == {"llcm": 2, "omnireid": 11}.get(name, 1)


@pytest.mark.parametrize(("row", "scenario"), AVERAGES)
def test_the_figures_of_table_5_have_its_average(row, scenario):
    found = [
        number for path in sheets(row).values() if scenario in path.read_text() for number in figures(path)
    ]
    assert mean(found) == pytest.approx(AVERAGES[row, scenario], abs=0.051)


@pytest.mark.parametrize("row", ROWS)
def test_the_multi_task_model_of_a_row_can_be_built(row):
    named = {
        "weights/pass": "pass_vit_base",
        "weights/hap": "hap_vit_base",
        "weights/albef": "albef_vit_base",
    }
    backbone = read_run(sheets(row)["omnireid"]).model.backbone
    overrides = [f"model.backbone={named.get(backbone, backbone)}", *RANDOM]
    run = read_run(sheets(row)["omnireid"], overrides)
    with torch.device("meta"):
        model, _ = build_irm(run)
    parameters = sum(each.numel() for each in model.editing_transformer.vit.parameters())
    assert parameters > 85e6, "a ViT-Base"
    height, width = run.model.image_size
    assert model.editing_transformer.vit.patch_embed.num_patches == height * width // 256
    assert len(model.necks.names) == 9 and model.match_head is not None


def test_the_guide_to_the_tables_names_every_sheet_of_them():
    guide = (SHEETS.parents[1] / "docs" / "reproduce.md").read_text()
    tables = guide.partition("## Beyond the paper")[0]
    assert set(re.findall(r"`configs/irm/(\w+)\.yaml`", tables)) - {"released"} == SETS
    assert set(re.findall(r"`configs/irm/ablations/(\w+)/`", tables)) == set(ROWS)
