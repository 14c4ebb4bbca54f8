"""Several processes train as one would: same loss, same gradients, same batch norms."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from instructions.errors import InputError
from irm.training.ranks import Ranks, joined_ranks, this_rank

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("two_ranks.py")
TINY = str(ROOT / "configs" / "irm" / "tiny.yaml")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("two_ranks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def alone(script):
    return script.step(Ranks())


def torchrun(*arguments, **options):
    """Two processes; they find each other through a free port of this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def assert_same(found, expected):
    assert found["terms"] == pytest.approx(expected["terms"], rel=1e-6)
    assert found["gradients"].keys() == expected["gradients"].keys()
    for part in ("gradients", "buffers"):
        for name, value in expected[part].items():
            torch.testing.assert_close(found[part][name], value, rtol=1e-6, atol=1e-9, msg=name)


def test_two_processes_have_the_gradients_of_one(alone, tmp_path):
    """One of them has no clothes picture at all, so its clothes encoder learns from the other alone.

    With the released lessons: teacher, queue, hidden and replaced words.
    """
    process = torchrun(SCRIPT, tmp_path)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    for rank in (0, 1):
        assert_same(torch.load(tmp_path / f"rank{rank}.pt"), alone)
    assert any("instruction_encoder.image" in name for name in alone["gradients"])
    assert {"hidden_words", "replaced_words", "contrastive", "matching"} < set(alone["terms"])
    (queued,) = [value for name, value in alone["buffers"].items() if name.endswith("cuhk_pedes.labels")]
    assert queued.tolist() == [2, 2, 3, 3, 2, 2, 3, 3, 0, 0, 1, 1], "sixteen rows went round twelve places"


def test_a_batch_encoded_in_parts_has_the_gradients_of_the_whole(script, alone):
    assert_same(script.step(Ranks(), parts=3), alone)


def test_a_program_started_alone_is_the_only_rank(monkeypatch):
    with joined_ranks(torch.device("cpu")) as ranks:
        assert ranks == Ranks() == this_rank()
        assert ranks.is_first
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match="with torchrun"), joined_ranks(torch.device("cpu")):
        pass


def rows(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [
        {"losses": row["losses"], "norm": row["gradient_norm"], "images": row["images"]}
        for row in map(json.loads, lines)
    ]


@pytest.mark.slow
def test_two_processes_train_stop_and_resume_as_one_trains(tmp_path, tiny_root):
    sheet = [TINY, f"data={tiny_root}", "model.drop_path=0", "losses.weights.matching=0", "optimizer.steps=4"]
    one = subprocess.run(
        [sys.executable, "-m", "tools.train", *sheet, "--out", tmp_path / "one"], cwd=ROOT, check=True
    )
    assert one.returncode == 0
    two = torchrun("-m", "tools.train", *sheet, "--out", tmp_path / "two")
    log = tmp_path / "two" / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not (log.exists() and log.read_text().count("\n") >= 1):
        time.sleep(0.02)
    two.send_signal(signal.SIGTERM)
    two.communicate(timeout=300)  # torchrun itself ends with 1 after a signal, whatever its processes did
    saved = sorted(path.name for path in (tmp_path / "two" / "checkpoints").iterdir())
    assert [name for name in saved if not re.fullmatch(r"step-0000000\d", name)] == []
    resumed = torchrun("-m", "tools.train", *sheet, "--out", tmp_path / "two", "--resume")
    told, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, told
    assert told.count("the model is in") == 1
    for ours, theirs in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-3)
        assert ours["norm"] == pytest.approx(theirs["norm"], rel=1e-3)
        assert ours["images"] == theirs["images"]
