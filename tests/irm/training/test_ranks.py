"""Several processes train as one would: same loss, same gradients, same batch norms."""

import importlib.util
import re
import signal
from pathlib import Path

import pytest
import torch
from rich.console import Console

from instructions.errors import InputError
from irm.config import read_run
from irm.training.ranks import Ranks, process_group, this_rank
from irm.training.run import train_run
from tests.processes import ended, num_rows, torchrun, trace, wait_until

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("two_ranks.py")
TINY = ROOT / "configs" / "irm" / "tiny.yaml"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("two_ranks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def alone(script):
    return script.steps(Ranks())


def assert_same(found, expected):
    for kind, step in expected.items():
        assert found[kind]["terms"] == pytest.approx(step["terms"], rel=1e-6)
        assert found[kind]["gradients"].keys() == step["gradients"].keys()
        for part in ("gradients", "buffers"):
            for name, value in step[part].items():
                torch.testing.assert_close(found[kind][part][name], value, rtol=1e-6, atol=1e-9, msg=name)


def test_two_processes_have_the_gradients_of_one(alone, tmp_path):
    """One of them has no clothes image at all, so its clothes encoder learns from the other alone.

    As the paper has it, and with the released lessons: teacher, queue, hidden and replaced words.
    """
    ended(torchrun(SCRIPT, tmp_path))
    for rank in (0, 1):
        assert_same(torch.load(tmp_path / f"rank{rank}.pt"), alone)
    released = alone["released"]
    assert any("instruction_encoder.image" in name for name in released["gradients"])
    assert {"hidden_words", "replaced_words", "contrastive", "matching"} < set(released["terms"])
    (queued,) = [value for name, value in released["buffers"].items() if name.endswith("cuhk_pedes.labels")]
    assert queued.tolist() == [2, 2, 3, 3, 2, 2, 3, 3, 0, 0, 1, 1], "sixteen rows went round twelve places"


def test_a_batch_encoded_in_parts_has_the_gradients_of_the_whole(script, alone):
    assert_same(script.steps(Ranks(), parts=3), alone)


def test_a_program_started_alone_is_the_only_rank(monkeypatch):
    with process_group(torch.device("cpu")) as ranks:
        assert ranks == Ranks() == this_rank()
        assert ranks.is_first
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match="with torchrun"), process_group(torch.device("cpu")):
        pass


@pytest.mark.slow
def test_two_processes_train_stop_and_resume_as_one_trains(tmp_path, tiny_root):
    sheet = [TINY, f"data={tiny_root}", "model.drop_path=0", "losses.weights.matching=0", "optimizer.steps=4"]
    train_run(read_run(sheet[0], sheet[1:]), tmp_path / "one", resume=False, console=Console(quiet=True))
    two = torchrun("-m", "tools.train", *sheet, "--out", tmp_path / "two")
    assert wait_until(lambda: num_rows(tmp_path / "two") >= 1)
    two.send_signal(signal.SIGTERM)
    two.communicate(timeout=300)  # torchrun itself ends with 1 after a signal, whatever its processes did
    saved = sorted(path.name for path in (tmp_path / "two" / "checkpoints").iterdir())
    assert [name for name in saved if not re.fullmatch(r"step-0000000\d", name)] == []
    told = ended(torchrun("-m", "tools.train", *sheet, "--out", tmp_path / "two", "--resume"))
    assert told.count("saved the model in") == 1
    for ours, theirs in zip(trace(tmp_path / "two"), trace(tmp_path / "one"), strict=True):
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-3)
        assert ours["gradient_norm"] == pytest.approx(theirs["gradient_norm"], rel=1e-3)
        assert ours["images"] == theirs["images"]
