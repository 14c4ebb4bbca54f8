"""A run may begin with the weights of another: all of them, none by accident, and what is new is said."""

import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console

from instructions.errors import InputError
from irm.build import build_irm
from irm.config import read_run
from irm.models import IRM
from irm.models.tokens import resize_positions
from irm.training.run import train_run

TINY = Path(__file__).parents[2] / "configs" / "irm" / "tiny.yaml"


def build(*overrides):
    torch.manual_seed(1)
    return build_irm(read_run(TINY, overrides))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model of all six tasks, with every tensor drawn anew, in a folder."""
    torch.manual_seed(9)
    model, _ = build_irm(read_run(TINY))
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.normal_()
    folder = tmp_path_factory.mktemp("saved") / "model"
    model.save_pretrained(folder)
    return folder


def test_every_tensor_is_the_earlier_models(saved):
    model, notes = build(f"model.start={saved}")
    theirs = IRM.from_pretrained(saved).state_dict()
    assert theirs.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in model.state_dict().items())
    assert notes == ()
    assert model.encode_sentences(["ignore clothes"]).mask.any(), "it has the tokenizer too"


def test_weights_that_the_sheet_names_are_not_asked_for(saved):
    names = ("model.backbone=weights/pass", "model.instruction.text_weights=weights/albef")
    model, _ = build(f"model.start={saved}", *names)
    assert len(model.editing_transformer.vit.blocks) == 2


def test_another_data_set_begins_with_a_neck_of_its_own(saved):
    model, notes = build(f"model.start={saved}", "mixture=[{task: trad, dataset: msmt17}]")
    assert torch.equal(model.necks.banks["trad/msmt17"]["edited"].running_mean, torch.zeros(32))
    assert f"newly initialised, not found in {saved}: the neck of trad/msmt17" in notes
    assert notes[1].startswith(f"not taken from {saved}: the match head, the neck of trad/market1501, ")


def test_larger_images_resize_the_positions(saved):
    model, _ = build(f"model.start={saved}", "model.image_size=[96, 48]")
    before = IRM.from_pretrained(saved).editing_transformer.vit
    expected = resize_positions(
        before.pos_embed,
        old_grid=before.patch_embed.grid_size,
        new_grid=(6, 3),
        num_prefix_tokens=before.num_prefix_tokens,
        mode=model.image_spec.position_resize,
    )
    assert model.editing_transformer.vit.patch_embed.grid_size == (6, 3)
    assert torch.equal(model.editing_transformer.vit.pos_embed, expected)


def test_cameras_follow_their_data_set_and_not_their_number(tmp_path):
    both = "mixture=[{task: trad, dataset: market1501}, {task: trad, dataset: msmt17}]"
    first, _ = build(both, "model.camera_embedding=3.0")
    first.save_pretrained(tmp_path / "model")
    alone = "mixture=[{task: trad, dataset: msmt17}]"
    second, notes = build(alone, "model.camera_embedding=3.0", f"model.start={tmp_path / 'model'}")
    assert torch.equal(second.cameras.tables[0], first.cameras.tables[1])
    assert "the camera embedding of trad/market1501" in notes[0]


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("model.gate=per_head", "gate' is .* set model.* as .* was trained"),
        ("model.fusion.layers=2", "has 'fusion.blocks.1.* but .* does not"),
    ],
)
def test_a_model_of_other_settings_is_refused(saved, override, complaint):
    with pytest.raises(InputError, match=complaint):
        build(f"model.start={saved}", override)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run or model folder"):
        build(f"model.start={tmp_path / 'gone'}")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="does not describe an IRM"):
        build(f"model.start={tmp_path}")
    (tmp_path / "config.yaml").touch()
    with pytest.raises(InputError, match="has no final model yet"):
        build(f"model.start={tmp_path}")
    (tmp_path / "state.json").touch()
    with pytest.raises(InputError, match=r"is a checkpoint, .*; finish its run with --resume"):
        build(f"model.start={tmp_path}")


@pytest.mark.parametrize("damage", [{"backbone": 3}, {"instruction": {}}, {"instruction": 7}])
def test_a_config_that_describes_no_model_is_refused(saved, tmp_path, damage):
    folder = shutil.copytree(saved, tmp_path / "model")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **damage}))
    with pytest.raises(InputError, match=r"config\.json does not describe an IRM"):
        build(f"model.start={folder}")


def test_a_model_whose_tokenizer_is_lost_or_damaged_is_refused(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "model")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"the tokenizer in .*model is damaged or truncated"):
        build(f"model.start={folder}")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="does not contain a tokenizer"):
        build(f"model.start={folder}")


def test_a_run_goes_on_where_another_run_ended(tiny_root, tmp_path):
    rows = ("mixture=[{task: trad, dataset: market1501}]", "evaluation=[]", f"data={tiny_root}")
    quiet = Console(file=io.StringIO())
    train_run(read_run(TINY, [*rows, "optimizer.steps=2"]), tmp_path / "a", resume=False, console=quiet)
    still = (
        "optimizer.steps=1",
        "optimizer.lr=1e-30",
        "optimizer.warmup_from=0",
        f"model.start={tmp_path / 'a'}",
    )
    train_run(read_run(TINY, [*rows, *still]), tmp_path / "b", resume=False, console=quiet)
    first, second = (dict(IRM.from_pretrained(tmp_path / name / "model").named_parameters()) for name in "ab")
    assert all(torch.equal(first[key], tensor) for key, tensor in second.items())
