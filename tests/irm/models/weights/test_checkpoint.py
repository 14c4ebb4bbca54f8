"""Reading a stranger's file: nothing in it runs, and what is damaged is refused in a sentence."""

import argparse
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from irm.models.manifest import sha256_of
from irm.models.weights.checkpoint import read_checkpoint, unwrap


class Bomb:
    """What a malicious checkpoint is: an object whose unpickling calls a function."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), "w"))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.arange(2000.0), "b": torch.ones(3)}, path)
    return path


def test_tensors_come_back_from_both_of_torchs_formats_and_from_safetensors(tmp_path):
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}
    torch.save(tensors, tmp_path / "new.pth.tar")
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(tensors, tmp_path / "safe.safetensors")
    for name in ("new.pth.tar", "old.pth", "safe.safetensors"):
        read = read_checkpoint(tmp_path / name)
        assert read.keys() == tensors.keys() and all(torch.equal(read[key], tensors[key]) for key in read)


def test_what_training_scripts_save_beside_tensors_is_read_too(tmp_path):
    content = {
        "model": {"a": torch.ones(1)},
        "args": argparse.Namespace(lr=0.1),
        "loss": np.float64(0.5),
        "epoch": 7,
    }
    torch.save(content, tmp_path / "run.pth")
    assert read_checkpoint(tmp_path / "run.pth")["args"].lr == 0.1


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_named_and_never_run(tmp_path, zipped):
    trace, path = tmp_path / "trace", tmp_path / "bomb.pth"
    torch.save({"a": torch.ones(1), "b": Bomb(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError, match=r"contains more than tensors \((_?io|builtins)\.open\).*nothing in it was executed"
    ):
        read_checkpoint(path)
    assert not trace.exists()


def test_a_bare_pickle_with_code_is_never_run_either(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(ValueError, match=r"bomb\.pth"):
        read_checkpoint(path)
    assert not trace.exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(ValueError, match="contains more than tensors"):
        read_checkpoint(tmp_path / "module.pth")


@pytest.mark.parametrize("part", [0, 1, 10, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_refused(saved, part):
    content = saved.read_bytes()
    saved.write_bytes(content[: part if isinstance(part, int) else int(part * len(content))])
    with pytest.raises(ValueError, match="damaged"):
        read_checkpoint(saved)


def test_a_flipped_bit_is_seen_where_torch_itself_sees_none(saved):
    content = bytearray(saved.read_bytes())
    place = content.index(torch.arange(2000.0).numpy().tobytes()[400:480])
    content[place] ^= 1
    saved.write_bytes(content)
    assert not torch.equal(torch.load(saved, weights_only=True)["a"], torch.arange(2000.0))
    with pytest.raises(ValueError, match=r"damaged: .*fails the checksum"):
        read_checkpoint(saved)


def test_what_is_no_checkpoint_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "text.pth").write_text("<html>404</html>")
    (tmp_path / "text.safetensors").write_text("<html>404</html>")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/constants.pkl", b"")
    for name, sentence in (
        ("text.pth", "damaged"),
        ("text.safetensors", "damaged"),
        ("list.pth", "contains a list, not a dictionary"),
        ("script.pt", "TorchScript program"),
        ("nowhere.pth", "there is no checkpoint"),
    ):
        with pytest.raises(ValueError, match=sentence):
            read_checkpoint(tmp_path / name)


def test_another_file_than_the_one_asked_for_is_refused(saved):
    assert read_checkpoint(saved, sha256=sha256_of(saved).upper())
    with pytest.raises(ValueError, match="not the expected file"):
        read_checkpoint(saved, sha256="0" * 64)


def test_wrappings_come_off_and_nothing_else():
    inner = {"module.backbone.norm.weight": torch.ones(2), "module.x": torch.ones(1), "epoch": 3}
    content = {"student": {"module.y": torch.ones(1)}, "teacher": {"state_dict": inner}, "epoch": 3}
    bare = unwrap(content, wrappers=("teacher", "state_dict"), prefixes=("module.", "backbone."))
    assert list(bare) == ["norm.weight", "x"]
