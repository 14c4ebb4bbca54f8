"""Sheets load, round-trip, inherit, and refuse mistakes in one sentence that names the place."""

from pathlib import Path

import pytest
import yaml

from instructions.errors import InputError
from irm.config import PRESETS, _flat, differences, dump, read_run
from irm.schema import IRMRun
from omnireid.tasks import TASKS

SHEETS = sorted((Path(__file__).parents[2] / "configs" / "irm").glob("*.yaml"))
MARKET = "mixture: [{task: trad, dataset: market1501}]\n"


def sheet(folder, text=MARKET, name="sheet.yaml"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def market(tmp_path):
    return sheet(tmp_path)


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
def test_every_sheet_loads_and_its_dump_is_the_same_run(path, tmp_path):
    run = read_run(path)
    assert read_run(sheet(tmp_path, dump(run))) == run


def test_the_sheets_cover_the_papers_data_sets():
    assert {path.stem for path in SHEETS} >= {
        *("base", "omnireid", "tiny", "demo", "released", "market1501", "msmt17", "cuhk03", "ltcc", "prcc"),
        *("vc_clothes", "llcm", "cocas_ctcc", "cocas_li", "cuhk_pedes"),
    }


@pytest.mark.parametrize("name", ["omnireid", "tiny", "demo"])
def test_multi_task_sheets_train_and_evaluate_all_six_tasks(name):
    run = read_run(next(path for path in SHEETS if path.stem == name))
    assert {row.task for row in run.mixture} == {row.task for row in run.evaluation} == set(TASKS)


def test_the_base_sheet_says_every_setting_and_agrees_with_the_schema():
    base = next(path for path in SHEETS if path.stem == "base")
    said = set(_flat(yaml.safe_load(base.read_text())))
    default = IRMRun.model_validate({"mixture": ({"task": "trad", "dataset": "market1501"},)})
    known = set(_flat(default.model_dump(mode="json")))
    assert {key for key in known - said if not key.startswith("mixture.")} == {"evaluation"}
    assert differences(default, read_run(base)).keys() <= {
        f"evaluation{rest}"
        for rest in ("", *(f".0.{key}" for key in ("task", "dataset", "protocol", "variant", "source")))
    }


def test_every_setting_outside_the_rows_has_its_source():
    from pydantic import BaseModel

    from irm import schema

    for sheet_class in vars(schema).values():
        if isinstance(sheet_class, type) and issubclass(sheet_class, BaseModel):
            assert sheet_class.__doc__
            for name, field in sheet_class.model_fields.items():
                is_part = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
                is_row = name in {"mixture", "evaluation", "task", "dataset", "protocol", "variant", "source"}
                assert field.description or is_part or is_row, f"{sheet_class.__name__}.{name}"


def test_the_paper_preset_is_the_default():
    default = read_run(next(path for path in SHEETS if path.stem == "base")).model_dump(mode="json")
    assert _flat(PRESETS["paper"]).items() <= _flat(default).items()


def test_both_presets_say_the_same_settings():
    assert set(_flat(PRESETS["paper"])) == set(_flat(PRESETS["released"]))


def test_a_preset_overlays_its_base_and_yields_to_its_own_sheet(tmp_path):
    sheet(tmp_path, MARKET + "model: {gate: per_layer, tanh: false}\n", "parent.yaml")
    child = sheet(tmp_path, "base: parent.yaml\npreset: released\nmodel: {tanh: false}\n")
    run = read_run(child)
    assert (run.model.gate, run.model.tanh, run.losses.weights.adaptive_triplet) == ("per_head", False, 3.0)


def test_a_preset_on_the_command_line_yields_to_what_stands_beside_it(market):
    run = read_run(market, ["model.tanh=false", "preset=released"])
    assert (run.preset, run.model.tanh, run.model.share_kv) == ("released", False, True)
    assert PRESETS["released"]["model"]["tanh"] is True


def test_a_child_replaces_lists_and_merges_mappings(tmp_path):
    sheet(tmp_path, MARKET + "batch: {num_identities: 8, num_instances: 2}\n", "parent.yaml")
    (tmp_path / "deep").mkdir()
    child = tmp_path / "deep" / "child.yaml"
    child.write_text(
        "base: ../parent.yaml\nbatch: {num_instances: 3}\nmixture: [{task: cc, dataset: ltcc}]\n"
    )
    run = read_run(child)
    assert (run.batch.num_identities, run.batch.num_instances) == (8, 3)
    assert [row.task for row in run.mixture] == ["cc"]


def test_overrides_are_yaml_and_reach_into_lists(market):
    run = read_run(
        market,
        [
            "optimizer.lr=2e-5",
            "mixture.0.weight=2",
            "model.image_size=[384, 192]",
            "batch={num_identities: 4}",
            "seed=7",
        ],
    )
    assert (run.optimizer.lr, run.mixture[0].weight, run.seed) == (2e-5, 2.0, 7)
    assert run.model.image_size == (384, 192)
    assert (run.batch.num_identities, run.batch.num_instances) == (4, 4)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        (
            "optimizer.lrr=1",
            r"optimizer\.lrr is not a setting \(did you mean 'lr'\?\); known here: lr, weight_decay",
        ),
        ("optimiser.lr=1", r"optimiser is not a setting \(did you mean 'optimizer'\?\)"),
        ("mixture.0.wieght=1", r"mixture\.0\.wieght is not a setting \(did you mean 'weight'\?\)"),
        (
            "model.gate=per_heads",
            r"model\.gate is 'per_heads' \(did you mean 'per_head'\?\); allowed: per_layer, per_head",
        ),
        ("mixture.0.task=clothes", r"mixture\.0\.task: there is no task 'clothes'; known: trad, cc"),
        (
            "mixture.0.dataset=market",
            r"mixture\.0\.dataset: there is no data set 'market' \(did you mean 'market1501'\?\)",
        ),
        ("mixture.0.task=cc", r"mixture\.0: market1501 does not support task 'cc' \(it supports trad\)"),
        ("mixture.1.weight=2", r"mixture has 1 items, so there is no mixture\.1"),
        ("mixture=[]", r"mixture is \[\]; it should|mixture is \[\]; .*at least 1 item"),
        ("optimizer.lr=-1", r"optimizer\.lr is -1; it should be greater than 0"),
        ("optimizer.lr=.nan", r"optimizer\.lr is nan; it should be a finite number"),
        ("optimizer.lr=fast", r"optimizer\.lr is 'fast'; it should be a valid number"),
        ("optimizer.steps=0", r"optimizer\.steps is 0; it should be greater than or equal to 1"),
        ("optimizer.steps=1.5", r"optimizer\.steps is 1\.5"),
        ("model.editing=1", r"model\.editing is 1; it should be a valid boolean"),
        ("model=vit", r"model is 'vit'"),
        ("model.gate.deep=1", r"model\.gate is a single value, so it has no key 'deep'|model\.gate is \{"),
        ("seed", "'seed' is not an override; write key.path=value"),
        ("a..b=1", "is not an override"),
        ("seed=[", "is not valid YAML"),
        (
            "optimizer.schedule=steps",
            r"optimizer: schedule is steps, but milestones is empty",
        ),
        ("preset=nature", r"preset is 'nature'; allowed: paper, released"),
        (
            "evaluation=[{task: trad, dataset: market1501, protocol: markt}]",
            r"no protocol 'markt' \(did you mean 'market'\?\)",
        ),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_place(market, override, complaint):
    with pytest.raises(InputError, match=complaint) as raised:
        read_run(market, [override])
    assert "\n" not in str(raised.value)


def test_further_mistakes_are_counted(market):
    with pytest.raises(InputError, match="errors not shown: 1"):
        read_run(market, ["seed=-1", "optimizer.lr=-1"])


def test_the_same_row_twice_is_refused(tmp_path):
    row = "{task: trad, dataset: market1501}"
    with pytest.raises(InputError, match="lists trad/market1501 more than once"):
        read_run(sheet(tmp_path, f"mixture: [{row}, {row}]\n"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seed: 1\n", "mixture is missing"),
        ("- 1\n", "is not a run sheet"),
        ("", "is not a run sheet"),
        ("seed: [1\n", "is not valid YAML"),
        ("seed: 1\nseed: 2\n", "'seed' stands twice"),
        ("base: nowhere.yaml\n", r"there is no run sheet .*nowhere\.yaml"),
        ("base: sheet.yaml\n", "leads back"),
        ("base: [a.yaml, b.yaml]\n", "must be the path of one sheet"),
    ],
)
def test_a_broken_sheet_is_refused(tmp_path, text, complaint):
    with pytest.raises(InputError, match=complaint):
        read_run(sheet(tmp_path, text))


def test_a_missing_sheet_is_named_whole(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path / "none.yaml")):
        read_run(tmp_path / "none.yaml")


def test_differences_name_the_settings(market, tmp_path):
    old, new = read_run(market), read_run(market, ["optimizer.lr=2e-5", "mixture.0.weight=2"])
    assert differences(old, new) == {"optimizer.lr": (1e-5, 2e-5), "mixture.0.weight": (1.0, 2.0)}
    assert differences(old, read_run(sheet(tmp_path, dump(old)))) == {}
