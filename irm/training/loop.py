"""The training loop: a batch of each task per step, gradients summed by the tasks' weights, one update."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from irm.training.breakdown import LossBreakdown
from irm.training.logs import StepReport
from irm.training.optimizer import set_learning_rate
from irm.training.pending_step import PendingStep, copy_to_host
from irm.training.ranks import average_gradients, this_rank
from irm.training.seeding import seed_step
from irm.training.sharding import clip_gradients, is_sharded
from omnireid.loading.batch import Batch


@dataclass(frozen=True)
class LoopSettings:
    """What a step needs besides the data."""

    seed: int
    device: torch.device
    autocast: torch.dtype | None  # bfloat16, or None for float32 throughout
    weights: Mapping[str, float]  # by domain; a step's shares are w / sum of w over the step's batches
    learning_rate: Callable[[int], float]
    clip_grad_norm: float | None


def every_step(step: int) -> bool:  # noqa: ARG001  one signature for all rules
    """Read the figures of each step before the next one begins."""
    return True


def train(
    model: nn.Module,
    objective: Callable[[nn.Module, Batch], LossBreakdown],
    optimizer: Optimizer,
    steps: Iterable[tuple[Batch, ...]],
    *,
    start: int,
    settings: LoopSettings,
    after_step: Callable[[StepReport], bool],
    must_wait: Callable[[int], bool] = every_step,
) -> int:
    """Train until the steps run out or `after_step` asks to stop.

    Args:
        model: in training mode afterwards.
        objective: loss terms of one batch.
        optimizer: its groups carry `lr_scale`.
        steps: the batches of each step, beginning with step `start`.
        start: finished steps so far.
        settings: see there.
        after_step: called with the figures of every step, in order; True ends the training.
        must_wait: asked with the number of started steps. True: `after_step` is called before the next step
            and finds the weights of this one. False: after the next step has started, so that a GPU is busy.

    Returns:
        The number of finished steps.

    Raises:
        NonFiniteLossError: the weights are those before the bad step.
    """
    model.train()
    finished, source, report = start, iter(steps), _Reporting(after_step)
    pending: PendingStep | None = None
    while True:
        batches, waited, error = _next_batches(source)
        if batches is None:
            report(pending)
            if error is not None:
                raise error
            return finished
        started = start_step(model, objective, optimizer, batches, finished, settings, pending)
        finished += 1
        is_over = report(pending)
        pending = replace(started, wait_seconds=waited)
        if is_over or must_wait(finished):
            is_over = report(pending) or is_over
            pending = None
        if is_over:
            return finished


def _next_batches(
    source: Iterator[tuple[Batch, ...]],
) -> tuple[tuple[Batch, ...] | None, float, Exception | None]:
    """The next batches, the seconds waited for them, and the error if the data failed; None at the end."""
    begun = time.perf_counter()
    try:
        return next(source, None), time.perf_counter() - begun, None
    except Exception as error:
        return None, 0.0, error


class _Reporting:
    """Reports steps in order, with the seconds since the one before was dealt with."""

    def __init__(self, after_step: Callable[[StepReport], bool]) -> None:
        self._after_step, self._mark = after_step, time.perf_counter()

    def __call__(self, step: PendingStep | None) -> bool:
        """Report a step, if there is one; True ends the training."""
        if step is None:
            return False
        found = step.report()
        is_over = self._after_step(replace(found, seconds=time.perf_counter() - self._mark))
        self._mark = time.perf_counter()
        return is_over


def start_step(
    model: nn.Module,
    objective: Callable[[nn.Module, Batch], LossBreakdown],
    optimizer: Optimizer,
    batches: tuple[Batch, ...],
    step: int,
    settings: LoopSettings,
    before: PendingStep | None,
) -> PendingStep:
    """A step: forward, backward, update; with a fused optimizer the host waits for nothing."""
    seed_step(settings.seed, step, this_rank().rank)
    lr = settings.learning_rate(step)
    set_learning_rate(optimizer, lr)
    optimizer.zero_grad(set_to_none=True)
    whole = sum(settings.weights[batch.domain] for batch in batches)
    breakdowns = []
    for batch in batches:
        with torch.autocast(settings.device.type, settings.autocast, enabled=settings.autocast is not None):
            breakdown = objective(model, to_device(batch, settings.device))
        torch.autograd.backward(breakdown.total * (settings.weights[batch.domain] / whole))
        breakdowns.append(breakdown.detach().averaged())
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    average_gradients([parameter for parameter in parameters if not is_sharded(parameter)])
    norm = clip_gradients(parameters, settings.clip_grad_norm)
    is_non_finite = ~(norm < float("inf"))
    if before is not None:
        is_non_finite = is_non_finite | before.is_non_finite
    pending = PendingStep(
        step,
        lr,
        batches,
        tuple(tuple(found.terms) for found in breakdowns),
        *copy_to_host(norm, breakdowns),
        is_non_finite,
    )
    if optimizer.defaults.get("fused") and not any(map(is_sharded, parameters)):
        optimizer.found_inf = is_non_finite.float()  # type: ignore[attr-defined]  # 1: the kernel skips its update
    else:
        pending.report()  # raises before the update
    optimizer.step()
    return pending


def to_device(value: Any, device: torch.device) -> Any:
    """A (nested) frozen dataclass with its tensors on a device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if is_dataclass(value) and not isinstance(value, type):
        kept = getattr(value, "ON_HOST", ())
        names = [field.name for field in fields(value) if field.name not in kept]
        return replace(value, **{name: to_device(getattr(value, name), device) for name in names})
    return value
