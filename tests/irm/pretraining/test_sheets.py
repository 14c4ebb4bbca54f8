"""Every sheet of configs/mllm reads, and the ablation of table 5 differs by what it removes."""

from pathlib import Path

import pytest

from instructions.errors import InputError
from irm.config import differences, read_run
from irm.pretraining.run import read_pretrain

SHEETS = Path(__file__).parents[3] / "configs" / "mllm"
JOINT = sorted(path.name for path in SHEETS.glob("*.yaml") if not path.name.startswith("reid_"))
REID = sorted(path.name for path in SHEETS.glob("reid_*.yaml"))


@pytest.mark.parametrize("name", JOINT)
def test_a_joint_sheet_reads(name):
    assert read_pretrain(SHEETS / name).tune.tower == "full"


@pytest.mark.parametrize("name", REID)
def test_a_reid_sheet_is_irm_without_editing(name):
    sheet = read_run(SHEETS / name)
    assert not sheet.model.editing
    assert [row.dataset for row in sheet.evaluation][1:] != []  # other sets too: table 4


def test_table_5_differs_by_what_it_removes():
    ours = read_pretrain(SHEETS / "msmt17.yaml")
    removed = {"sync": {"words.instruction"}, "common": {"losses.lambda_value"}}
    removed["baseline"] = removed["sync"] | removed["common"]
    for name, expected in removed.items():
        assert set(differences(ours, read_pretrain(SHEETS / f"{name}.yaml"))) == expected


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("tune.tower=frozen", "this training exists to train the tower"),
        ("mixture=[{task: t2i, dataset: cuhk_pedes}]", "the joint stage trains task trad, not 't2i'"),
        ("batch.sampling=graph", "batch.sampling: graph is for the second stage, tools.train; set random"),
        ("losses.lambda_value=1.0", "no row of the mixture has words"),
        ("losses.lamda_value=1.0", "losses.lamda_value is not a setting (did you mean 'lambda_value'?)"),
        ("model.pool=mad", "model.pool is 'mad' (did you mean 'max'?)"),
    ],
)
def test_a_mistake_in_a_sheet_is_one_sentence(override, complaint):
    with pytest.raises(InputError) as refused:
        read_pretrain(SHEETS / "tiny.yaml", [override])
    assert complaint in str(refused.value)
