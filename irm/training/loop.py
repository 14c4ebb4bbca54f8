"""The training loop: a batch of each task per step, gradients summed by the tasks' weights, one update."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from irm.training.breakdown import LossBreakdown
from irm.training.logs import StepReport
from irm.training.optimizer import set_learning_rate
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


class NonFiniteLossError(ArithmeticError):
    """A loss or a gradient is not finite; the weights are those of the step before."""

    def __init__(self, step: int, batch: Batch, terms: dict[str, float]) -> None:
        super().__init__(f"step {step}, {batch.domain}: {terms}")
        self.step, self.batch, self.terms = step, batch, terms


def train(
    model: nn.Module,
    objective: Callable[[nn.Module, Batch], LossBreakdown],
    optimizer: Optimizer,
    steps: Iterable[tuple[Batch, ...]],
    *,
    start: int,
    settings: LoopSettings,
    after_step: Callable[[StepReport], bool],
) -> int:
    """Train until the steps run out or `after_step` asks to stop.

    Args:
        model: in training mode afterwards.
        objective: loss terms of one batch.
        optimizer: its groups carry `lr_scale`.
        steps: the batches of each step, beginning with step `start`.
        start: finished steps so far.
        settings: see there.
        after_step: called after every step with its figures; True ends the training.

    Returns:
        The number of finished steps.

    Raises:
        NonFiniteLossError: before the weights are touched by the bad step.
    """
    model.train()
    finished = start
    source = iter(steps)
    while True:
        begun = time.perf_counter()
        batches = next(source, None)
        if batches is None:
            return finished
        waited = time.perf_counter() - begun
        report = _step(model, objective, optimizer, batches, finished, settings)
        finished += 1
        seconds = time.perf_counter() - begun
        if after_step(replace(report, seconds=seconds, wait_seconds=waited)):
            return finished


def _step(
    model: nn.Module,
    objective: Callable[[nn.Module, Batch], LossBreakdown],
    optimizer: Optimizer,
    batches: tuple[Batch, ...],
    step: int,
    settings: LoopSettings,
) -> StepReport:
    ranks = this_rank()
    seed_step(settings.seed, step, ranks.rank)
    lr = settings.learning_rate(step)
    set_learning_rate(optimizer, lr)
    optimizer.zero_grad(set_to_none=True)
    whole = sum(settings.weights[batch.domain] for batch in batches)
    breakdowns = []
    for batch in batches:
        with torch.autocast(settings.device.type, settings.autocast, enabled=settings.autocast is not None):
            breakdown = objective(model, moved(batch, settings.device))
        torch.autograd.backward(breakdown.total * (settings.weights[batch.domain] / whole))
        breakdowns.append(breakdown.detach().averaged())
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    average_gradients([parameter for parameter in parameters if not is_sharded(parameter)])
    norm, figures = _figures(clip_gradients(parameters, settings.clip_grad_norm), breakdowns)
    # The norm covers every loss and gradient of the step.
    if not norm < float("inf"):
        culprit = next((row for row, found in enumerate(breakdowns) if not found.is_finite()), 0)
        raise NonFiniteLossError(step, batches[culprit], breakdowns[culprit].items())
    optimizer.step()
    return StepReport(
        step=step + 1,
        lr=lr,
        losses={batch.domain: total for batch, (total, _) in zip(batches, figures, strict=True)},
        terms={batch.domain: terms for batch, (_, terms) in zip(batches, figures, strict=True)},
        gradient_norm=norm,
        images=sum(len(batch) for batch in batches) * ranks.world,
        seconds=0.0,
        wait_seconds=0.0,
    )


def _figures(
    norm: Tensor, breakdowns: Sequence[LossBreakdown]
) -> tuple[float, list[tuple[float, dict[str, float]]]]:
    """The gradient norm and each batch's total and terms as Python numbers, in one wait for the device."""
    tensors = [norm, *(one for found in breakdowns for one in (found.total, *found.terms.values()))]
    numbers = iter(torch.stack([one.to(norm) for one in tensors]).tolist())
    read = next(numbers)
    return read, [(next(numbers), {name: next(numbers) for name in found.terms}) for found in breakdowns]


def moved(value: Any, device: torch.device) -> Any:
    """A (nested) frozen dataclass with its tensors on a device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if is_dataclass(value) and not isinstance(value, type):
        kept = getattr(value, "ON_HOST", ())
        names = [field.name for field in fields(value) if field.name not in kept]
        return replace(value, **{name: moved(getattr(value, name), device) for name in names})
    return value
