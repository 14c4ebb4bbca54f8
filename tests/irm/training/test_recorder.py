"""When the figures of a step are read: on a GPU as late as what follows the step allows."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from irm.config import read_run
from irm.training.recorder import Recorder
from irm.training.signals import StopRequest

CHANGES = ("optimizer.steps=20", "logging.checkpoint_every=5")


def recorder(device, validate_every):
    """Of a run of 20 steps."""
    run = read_run(Path("configs/irm/tiny.yaml"), CHANGES)
    setup = SimpleNamespace(device=torch.device(device), validate_every=validate_every)
    return Recorder(run, Path("unused"), setup, StopRequest(), log=None, progress=None, step=0)


@pytest.mark.parametrize(
    ("validate_every", "expected"), [(None, {5, 10, 15, 20}), (7, {5, 7, 10, 14, 15, 20})]
)
def test_on_a_gpu_only_steps_that_something_is_saved_after_are_waited_for(validate_every, expected):
    found = recorder("cuda", validate_every)
    assert {step for step in range(1, 21) if found.must_wait(step)} == expected


def test_elsewhere_every_step_is_waited_for():
    assert all(map(recorder("cpu", None).must_wait, range(1, 21)))


def test_a_signal_is_heeded_after_the_step_in_progress():
    found = recorder("cuda", None)
    assert not found.must_wait(1)
    found.stop.requested = True
    assert found.must_wait(2)
