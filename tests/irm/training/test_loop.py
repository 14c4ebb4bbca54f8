"""The loop on a model of one layer: shares of tasks, exact resumption, and what stops it."""

import copy
import os
import signal
from dataclasses import replace

import pytest
import torch
from torch import nn

from irm.training.breakdown import LossBreakdown
from irm.training.loop import LoopSettings, every_step, train
from irm.training.optimizer import build_optimizer, parameter_groups
from irm.training.pending_step import NonFiniteLossError
from irm.training.signals import StopRequest
from omnireid.loading.batch import Batch

DOMAINS = ("trad/one", "cc/two")


class FakeMixture:
    """Two tasks; a step's batches depend on the step alone, as the real mixture's do."""

    def step(self, step):
        rng = torch.Generator().manual_seed(step)
        rows = torch.arange(4)
        return tuple(
            Batch(
                task=domain.partition("/")[0],
                domain=domain,
                images=torch.randn(4, 3, 2, 2, generator=rng),
                instruction=None,
                texts=None,
                pids=rows,
                labels=rows,
                camids=rows,
                indices=rows + step,
                worn=rows,
            )
            for domain in DOMAINS
        )

    def steps(self, start, stop):
        return (self.step(step) for step in range(start, stop))


def objective(model, batch):
    """Cross entropy of a dropped-out linear classifier: random within the step, as the real model is."""
    term = nn.functional.cross_entropy(model(batch.images), batch.labels)
    return LossBreakdown({"identification": term}, term)


class Run:
    def __init__(self, weights=(1.0, 1.0), *, fused=None):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(12, 4))
        groups = parameter_groups(
            self.model.named_parameters(), weight_decay=0.1, decay="weights", lr_multipliers={}
        )
        self.optimizer = build_optimizer(groups, lr=0.1, fused=fused)
        self.settings = LoopSettings(
            seed=3,
            device=torch.device("cpu"),
            autocast=None,
            weights=dict(zip(DOMAINS, weights, strict=True)),
            learning_rate=lambda step: 0.1 / (step + 1),
            clip_grad_norm=1.0,
        )
        self.trace = []

    def go(self, start, stop, objective=objective, steps=None, until=lambda _: False, must_wait=every_step):
        def after_step(report):
            self.trace.append(report.losses)
            return until(report)

        steps = FakeMixture().steps(start, stop) if steps is None else steps
        return train(
            self.model,
            objective,
            self.optimizer,
            steps,
            start=start,
            settings=self.settings,
            after_step=after_step,
            must_wait=must_wait,
        )


def test_a_resumed_run_has_the_losses_of_one_that_never_stopped():
    whole, first, second = Run(), Run(), Run()
    assert whole.go(0, 8) == 8
    assert first.go(0, 8, until=lambda report: report.step == 5) == 5
    second.model.load_state_dict(copy.deepcopy(first.model.state_dict()))
    second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
    torch.rand(17)  # whoever else draws numbers in between changes nothing
    second.go(5, 8)
    assert first.trace + second.trace == whole.trace
    torch.testing.assert_close(second.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)


def test_a_tasks_gradient_is_scaled_by_its_share_of_the_weights():
    both, alone = Run(weights=(3.0, 1.0)), Run()
    seen = {}

    def record(model, batch):
        breakdown = objective(model, batch)
        if breakdown.total.requires_grad:
            breakdown.total.register_hook(lambda gradient: seen.__setitem__(batch.domain, gradient.item()))
        return breakdown

    both.go(0, 1, record)
    assert seen == {"trad/one": 0.75, "cc/two": 0.25}
    alone.go(0, 1, record, steps=[FakeMixture().step(0)[1:]])
    assert seen["cc/two"] == 1.0


def poisoned(model, batch):
    """A loss that is not a number in the third step."""
    breakdown = objective(model, batch)
    if batch.domain == "cc/two" and batch.indices[0] == 2:
        return LossBreakdown(breakdown.terms, breakdown.total * float("nan"))
    return breakdown


@pytest.mark.parametrize("must_wait", [lambda _: True, lambda _: False], ids=["waiting", "one ahead"])
@pytest.mark.parametrize("fused", [False, True])
def test_a_loss_that_is_not_a_number_stops_before_the_weights_change(fused, must_wait):
    """Ahead, a fourth step has been launched before anybody knows; a fused update has skipped it too."""
    run, untouched = Run(fused=fused), Run(fused=fused)
    untouched.go(0, 2)
    with pytest.raises(NonFiniteLossError) as stopped:
        run.go(0, 8, poisoned, must_wait=must_wait)
    assert stopped.value.step == 2
    assert stopped.value.batch.domain == "cc/two"
    assert stopped.value.batch.indices.tolist() == [2, 3, 4, 5]
    torch.testing.assert_close(run.model.state_dict(), untouched.model.state_dict(), rtol=0, atol=0)


def test_one_ahead_the_losses_and_weights_are_the_same():
    waiting, ahead = Run(fused=True), Run(fused=True)
    assert waiting.go(0, 6) == ahead.go(0, 6, must_wait=lambda _: False) == 6
    assert ahead.trace == waiting.trace
    torch.testing.assert_close(ahead.model.state_dict(), waiting.model.state_dict(), rtol=0, atol=0)


def test_a_step_that_is_waited_for_is_reported_with_its_own_weights():
    run, seen = Run(fused=True), {}
    run.go(
        0,
        6,
        until=lambda report: seen.update({report.step: copy.deepcopy(run.model.state_dict())}),
        must_wait=lambda step: step == 4,
    )
    assert list(seen) == [1, 2, 3, 4, 5, 6]
    for step, is_its_own in ((3, False), (4, True), (5, False)):
        alone = Run(fused=True)
        alone.go(0, step)
        assert torch.equal(seen[step]["2.weight"], alone.model.state_dict()["2.weight"]) is is_its_own


def test_a_step_is_reported_though_the_data_of_the_next_fail():
    def failing():
        yield FakeMixture().step(0)
        raise OSError("the disk is gone")

    run = Run(fused=True)
    with pytest.raises(OSError, match="gone"):
        run.go(0, 2, steps=failing(), must_wait=lambda _: False)
    assert len(run.trace) == 1


@pytest.mark.parametrize("limit", [None, 0.01, 1e6])
def test_a_long_gradient_is_shortened_to_the_limit_and_told_as_it_was(limit):
    """One step of plain descent moves the weights by the gradient itself."""
    run, told = Run(), []
    parameters = list(run.model.parameters())
    run.optimizer = torch.optim.SGD([{"params": parameters, "lr_scale": 1.0}], lr=1.0)
    run.settings = replace(run.settings, clip_grad_norm=limit, learning_rate=lambda _: 1.0)
    before = [parameter.detach().clone() for parameter in parameters]
    run.go(0, 1, until=lambda report: told.append(report.gradient_norm))
    to_device = torch.cat(
        [(new.detach() - old).flatten() for new, old in zip(parameters, before, strict=True)]
    )
    assert told[0] > 0.1
    assert to_device.norm().item() == pytest.approx(min(told[0], limit or 1e6), rel=1e-4)


def test_the_loss_falls():
    run = Run()
    run.settings = LoopSettings(**{**vars(run.settings), "learning_rate": lambda _: 0.05})
    run.go(0, 60, steps=(FakeMixture().step(0) for _ in range(60)))
    assert run.trace[-1]["trad/one"] < 0.5 * run.trace[0]["trad/one"]


def test_bf16_on_the_cpu_trains_too():
    run = Run()
    run.settings = LoopSettings(**{**vars(run.settings), "autocast": torch.bfloat16})
    run.go(0, 2)
    assert all(torch.isfinite(torch.tensor(list(losses.values()))).all() for losses in run.trace)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_step_end(number):
    run = Run()
    before = signal.getsignal(number)
    with StopRequest() as stop:

        def until(report):
            if report.step == 2:
                os.kill(os.getpid(), number)
            return stop.requested

        assert run.go(0, 8, until=until) == 2
    assert signal.getsignal(number) is before


def test_a_second_interrupt_stops_at_once():
    with pytest.raises(KeyboardInterrupt), StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
