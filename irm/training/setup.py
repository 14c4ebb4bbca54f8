"""What a training run is set up with, in either paper: model, losses, optimizer and data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from irm.schema import OptimizerSheet
from irm.training.checkpoint import TrainingState
from irm.training.optimizer import build_optimizer, parameter_groups
from irm.training.ranks import this_rank
from omnireid.loading.batch import Batch
from omnireid.loading.mixture import Mixture, mixture_loader
from omnireid.records import Record


def optimizer_of(plan: OptimizerSheet, parameters: Iterable[tuple[str, nn.Parameter]]) -> Optimizer:
    """The optimizer that a sheet asks for, over named parameters."""
    groups = parameter_groups(
        parameters,
        weight_decay=plan.weight_decay,
        decay=plan.decay,
        lr_multipliers=plan.lr_multipliers,
        layer_decay=plan.layer_decay,
        bias_lr=plan.bias_lr,
    )
    return build_optimizer(
        groups, lr=plan.lr, fused=plan.fused, name=plan.name, momentum=plan.momentum, nesterov=plan.nesterov
    )


def schedule_warnings(plan: OptimizerSheet) -> list[str]:
    """Warnings about parts of a schedule that are never reached; harmless in a short trial."""
    warnings = []
    if 0 < plan.steps <= plan.warmup_steps:
        warnings.append(
            f"the warm-up of {plan.warmup_steps} steps is longer than this run of {plan.steps} steps, so "
            f"optimizer.lr {plan.lr:g} is never reached"
        )
    late = [step for step in plan.milestones if step >= plan.steps] if plan.schedule == "steps" else []
    if late:
        warnings.append(f"optimizer.milestones: step {late[0]} is beyond the {plan.steps} steps of this run")
    return warnings


@dataclass(frozen=True)
class TrainingSetup(ABC):
    """Everything a run trains with."""

    model: nn.Module
    objectives: nn.Module  # loss terms of a batch
    state: TrainingState  # the trained parts of both, and the optimizer, as checkpoints hold them
    mixture: Mixture
    weights: dict[str, float]  # of the losses, by domain
    fingerprint: str  # of the training data
    notes: tuple[str, ...]  # sentences to print at the start
    device: torch.device
    workers: int
    validate_every: int | None  # in steps; None where no people are held out

    def batches(self, start: int, stop: int) -> Iterator[tuple[Batch, ...]]:
        """The batches of steps start..stop-1; with several ranks, this rank's share of them."""
        ranks = this_rank()
        return mixture_loader(
            self.mixture, start, stop, self.workers, rank=ranks.rank, world=ranks.world, device=self.device
        )

    def records(self, domain: str) -> Sequence[Record]:
        """The records that `Batch.indices` of a domain refer to."""
        return self.mixture.sources[self.mixture.domains.index(domain)].records

    @abstractmethod
    def prepare(self) -> None:
        """Called once, when the weights of the run's start or checkpoint are in place."""

    def after_update(self) -> None:
        """Update whatever follows the weights, such as a moving average; called after each update."""
        if self.state.average is not None:
            self.state.average.update_parameters(self.model)

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Mean AP of the held-out people, by domain."""

    @abstractmethod
    def result(self) -> Callable[[Path], object]:
        """A function that writes the run's result to a folder; all ranks ask for it, one calls it."""
