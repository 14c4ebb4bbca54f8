"""A checkpoint is whole or absent; a damaged one is named and passed over."""

import hashlib
import json
import pickle
from dataclasses import replace

import pytest
import torch
from torch import nn

from instructions.errors import InputError
from irm.training import checkpoint
from irm.training.checkpoint import TrainingState, find_checkpoint, load_checkpoint, save_checkpoint


def fresh(seed, width=3, **kernel):
    torch.manual_seed(seed)
    model, objectives = nn.Linear(width, 2), nn.Linear(2, 4)
    optimizer = torch.optim.AdamW(
        [{"params": model.parameters()}, {"params": objectives.parameters()}], lr=0.1, **kernel
    )
    objectives(model(torch.ones(1, width))).sum().backward()
    optimizer.step()
    return TrainingState(model, objectives, optimizer)


def save(root, step, state, keep=2):
    return save_checkpoint(
        root, step, state.contents(), sheet="seed: 1\n", facts={"world": "tiny"}, keep=keep
    )


def names(root):
    return sorted(path.name for path in root.iterdir())


def test_what_was_saved_is_loaded(tmp_path):
    saved, other = fresh(0), fresh(1)
    folder = save(tmp_path, 7, saved)
    assert find_checkpoint(tmp_path) == checkpoint.Found(folder, ())
    assert load_checkpoint(folder, other) == {"step": 7, "world": "tiny"}
    torch.testing.assert_close(other.model.state_dict(), saved.model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(other.objectives.state_dict(), saved.objectives.state_dict(), rtol=0, atol=0)
    old, new = saved.optimizer.state_dict()["state"], other.optimizer.state_dict()["state"]
    assert all(torch.equal(old[row][key], new[row][key]) for row in old for key in old[row])
    assert (folder / "config.yaml").read_text() == "seed: 1\n"


@pytest.mark.parametrize("fused", [True, None], ids=["CPU to GPU", "GPU to CPU"])
def test_a_run_goes_on_with_the_kernel_of_its_new_device(tmp_path, fused):
    kept = save(tmp_path, 1, fresh(0, fused=None if fused else True))
    state = fresh(1, fused=fused)
    load_checkpoint(kept, state)
    assert {group["fused"] for group in state.optimizer.param_groups} == {fused}
    weight = state.model.weight.clone()
    if fused:  # only a fused step can be told to skip itself, which training on a GPU relies on
        state.optimizer.found_inf = torch.ones(())
    state.optimizer.step()
    assert torch.equal(state.model.weight, weight) is bool(fused)


def test_classifiers_are_not_in_the_models_file(tmp_path):
    from safetensors.torch import load_file

    folder = save(tmp_path, 1, fresh(0))
    assert sorted(load_file(folder / "model.safetensors")) == ["bias", "weight"]


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 2, 3, 10):
        save(tmp_path, step, fresh(0))
    assert names(tmp_path) == ["step-00000003", "step-00000010"]


@pytest.mark.parametrize(
    "file", ["model.safetensors", "training.pt", "state.json", "manifest.json", "config.yaml"]
)
def test_a_truncated_file_is_named_and_the_previous_checkpoint_found(tmp_path, file):
    first = save(tmp_path, 1, fresh(0))
    path = save(tmp_path, 2, fresh(1)) / file
    path.write_bytes(path.read_bytes()[:-3])
    found = find_checkpoint(tmp_path)
    assert found.folder == first
    assert len(found.complaints) == 1
    assert file in found.complaints[0]


def test_a_missing_file_is_named(tmp_path):
    (save(tmp_path, 2, fresh(1)) / "training.pt").unlink()
    found = find_checkpoint(tmp_path)
    assert found.folder is None
    assert "training.pt is missing" in found.complaints[0]


@pytest.mark.parametrize("stage", ["torch.save", "os.replace", "sha256_of"])
def test_a_save_that_is_cut_off_leaves_the_previous_checkpoint(tmp_path, monkeypatch, stage):
    first = save(tmp_path, 1, fresh(0))

    def cut(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"irm.training.checkpoint.{stage}", cut)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, 2, fresh(1))
    assert find_checkpoint(tmp_path).folder == first
    save(tmp_path, 2, fresh(1))
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_a_full_disk_is_one_sentence_and_leaves_no_rubbish(tmp_path, monkeypatch):
    save(tmp_path, 1, fresh(0))

    def full(*_, **__):
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr("irm.training.checkpoint.torch.save", full)
    with pytest.raises(InputError, match="step 2 could not be written"):
        save(tmp_path, 2, fresh(1))
    assert names(tmp_path) == ["step-00000001"]


def test_a_damaged_checkpoint_is_replaced_when_its_step_comes_again(tmp_path):
    folder = save(tmp_path, 2, fresh(1))
    (folder / "state.json").write_text("{}")
    save(tmp_path, 2, fresh(1))
    assert find_checkpoint(tmp_path) == checkpoint.Found(folder, ())
    assert names(tmp_path) == ["step-00000002"]


def test_another_models_checkpoint_is_refused(tmp_path):
    folder = save(tmp_path, 2, fresh(1))
    with pytest.raises(InputError, match="a different model"):
        load_checkpoint(folder, fresh(1, width=4))


class Trap:
    """Code that a pickle would run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def sealed(folder):
    """A manifest that vouches for the files as they are now, as whoever planted them would write it."""
    hashes = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }
    (folder / "manifest.json").write_text(json.dumps(hashes))


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))]
)
def test_code_in_a_checkpoint_is_never_run(tmp_path, write):
    state = fresh(1)
    folder = save(tmp_path / "run", 2, state)
    write({"objectives": Trap(tmp_path / "sprung"), "optimizer": {}}, folder / "training.pt")
    sealed(folder)
    assert find_checkpoint(tmp_path / "run").folder == folder
    with pytest.raises(InputError, match="step-00000002 contains more than tensors") as refused:
        load_checkpoint(folder, state)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "sprung").exists()


def test_weights_that_are_no_weights_are_refused_in_a_sentence(tmp_path):
    folder = save(tmp_path, 2, fresh(1))
    (folder / "model.safetensors").write_bytes(b"these are no tensors")
    sealed(folder)
    with pytest.raises(InputError, match="step-00000002 belongs to a different model"):
        load_checkpoint(folder, fresh(1))


def test_what_tells_of_the_model_is_part_of_the_checkpoint(tmp_path):
    def describe(folder):
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    first = save(tmp_path, 1, replace(fresh(0), describe=describe))
    second = save(tmp_path, 2, replace(fresh(1), describe=describe))
    assert find_checkpoint(tmp_path).folder == second
    (checkpoint.network_of(second) / "config.json").write_text("{ }")
    assert find_checkpoint(tmp_path).folder == first
    assert checkpoint.network_of(save(tmp_path, 3, fresh(1))) is None


def test_a_folder_without_checkpoints_has_none(tmp_path):
    assert find_checkpoint(tmp_path / "nowhere") == checkpoint.Found(None, ())


def test_the_manifest_lists_every_file(tmp_path):
    folder = save(tmp_path, 1, fresh(0))
    assert set(json.loads((folder / "manifest.json").read_text())) == set(names(folder)) - {"manifest.json"}
