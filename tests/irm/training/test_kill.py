"""Killed at any moment a run keeps a whole checkpoint and goes on as if nothing had been; SIGTERM is free."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from irm.training.checkpoint import find_checkpoint
from tests.processes import ROOT, num_rows, trace, wait_until

HELPER = Path(__file__).with_name("train_again.py")
STEPS, EVERY = 12, 2
ROW = "mixture=[{task: trad, dataset: market1501}]"
SHEET = [
    str(ROOT / "configs" / "irm" / "tiny.yaml"),
    *(ROW, "evaluation=[]", f"optimizer.steps={STEPS}", f"logging.checkpoint_every={EVERY}"),
]


@pytest.fixture(scope="module")
def helper():
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(HELPER)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


class Run:
    """`tools.train` into one folder, as often as it takes."""

    def __init__(self, helper, root, out):
        self.helper, self.out = helper, out
        self.command = [*SHEET, "--data", str(root), "--out", str(out), "--resume"]

    def begin(self):
        self.helper.stdin.write(json.dumps(self.command) + "\n")
        self.helper.stdin.flush()
        self.pid = int(self.helper.stdout.readline())

    def end(self):
        """The signal that ended it, or minus its exit code."""
        status = int(self.helper.stdout.readline())
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)

    def checkpoint(self):
        """The newest checkpoint's step; no checkpoint that bears its name is ever broken."""
        found = find_checkpoint(self.out / "checkpoints")
        assert found.complaints == ()
        return 0 if found.folder is None else int(found.folder.name.removeprefix("step-"))

    def writes(self, file=None):
        """Whether a checkpoint is being written, and has come as far as this file."""
        root = self.out / "checkpoints"
        with suppress(FileNotFoundError):
            return any(
                file is None or (root / name / file).exists()
                for name in os.listdir(root)  # noqa: PTH208 (a hundredth of a second is long here)
                if name.startswith(".tmp-step-")
            )
        return False


@pytest.fixture(scope="module")
def whole(helper, tiny_root, tmp_path_factory):
    run = Run(helper, tiny_root, tmp_path_factory.mktemp("kill") / "whole")
    run.begin()
    assert run.end() == 0
    return run


def moments(run):
    """When to kill: between steps, inside of a checkpoint's writing, and at random."""
    rng = random.Random(5)
    yield "while building", lambda: time.sleep(0.05) or True
    yield "after a step", lambda: num_rows(run.out) >= 1
    yield "a checkpoint begins", run.writes
    yield "a checkpoint has its weights", lambda: run.writes("model.safetensors")
    yield "a checkpoint has all but its manifest", lambda: run.writes("state.json")
    for _ in range(2):
        until = num_rows(run.out) + 1
        delay = 0.1 * rng.random()
        yield (
            "at random",
            lambda until=until, delay=delay: num_rows(run.out) >= until and not time.sleep(delay),
        )


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_one_that_never_was(helper, tiny_root, tmp_path, whole):
    run, cut = Run(helper, tiny_root, tmp_path / "killed"), 0
    for moment, has_come in moments(run):
        run.begin()
        assert wait_until(has_come), moment
        os.kill(run.pid, signal.SIGKILL)
        if run.end() == 0:
            break  # it was faster
        cut += run.writes()
        steps, kept = num_rows(run.out), run.checkpoint()
        assert steps - EVERY <= kept <= steps, moment
    assert cut, "no checkpoint was cut off in the middle; the moments are badly chosen"
    run.begin()
    assert run.end() == 0
    assert trace(run.out) == trace(whole.out)
    assert [row["step"] for row in trace(run.out)] == list(range(1, STEPS + 1))
    ours, theirs = (each.out / "model" / "model.safetensors" for each in (run, whole))
    assert ours.read_bytes() == theirs.read_bytes()
    assert not run.writes(), "what a cut-off checkpoint left is cleared away"


@pytest.mark.slow
def test_a_terminated_run_loses_no_step(helper, tiny_root, tmp_path, whole):
    run = Run(helper, tiny_root, tmp_path / "terminated")
    run.command.insert(1, "logging.checkpoint_every=100")
    run.begin()
    assert wait_until(lambda: num_rows(run.out) >= 3)
    os.kill(run.pid, signal.SIGTERM)
    assert run.end() == 0
    assert run.checkpoint() == num_rows(run.out) >= 3
    run.begin()
    assert run.end() == 0
    assert trace(run.out) == trace(whole.out)
