"""A training step that has been started; its loss values may still be on their way from the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from irm.training.breakdown import LossBreakdown
from irm.training.logs import StepReport
from irm.training.ranks import this_rank
from omnireid.loading.batch import Batch


class NonFiniteLossError(ArithmeticError):
    """A loss or a gradient is not finite; the weights are those of the step before."""

    def __init__(self, step: int, batch: Batch, terms: dict[str, float]) -> None:
        super().__init__(f"step {step}, {batch.domain}: {terms}")
        self.step, self.batch, self.terms = step, batch, terms


@dataclass(frozen=True)
class PendingStep:
    """A started step; its values may still be on their way from the device."""

    step: int  # counted from zero
    lr: float
    batches: tuple[Batch, ...]
    terms: tuple[tuple[str, ...], ...]  # names of each batch's loss terms
    numbers: Float[Tensor, " F"]  # on the host: the gradient norm, then each batch's total and terms
    copied: torch.cuda.Event | None  # None: they are there
    is_non_finite: Bool[Tensor, ""]  # on the device: this step or one before it is not finite
    wait_seconds: float = 0.0

    def report(self) -> StepReport:
        """The step's values; waits until they have arrived.

        Raises:
            NonFiniteLossError: a loss or a gradient is not finite.
        """
        if self.copied is not None:
            self.copied.synchronize()
        values = iter(self.numbers.tolist())
        norm = next(values)
        found = [(next(values), {name: next(values) for name in names}) for names in self.terms]
        # The norm covers every loss and gradient of the step.
        if not norm < float("inf"):
            finite = [all(map(math.isfinite, (total, *terms.values()))) for total, terms in found]
            culprit = 0 if all(finite) else finite.index(False)
            raise NonFiniteLossError(self.step, self.batches[culprit], found[culprit][1])
        return StepReport(
            step=self.step + 1,
            lr=self.lr,
            losses={batch.domain: total for batch, (total, _) in zip(self.batches, found, strict=True)},
            terms={batch.domain: terms for batch, (_, terms) in zip(self.batches, found, strict=True)},
            gradient_norm=norm,
            images=sum(len(batch) for batch in self.batches) * this_rank().world,
            seconds=0.0,
            wait_seconds=self.wait_seconds,
        )


def copy_to_host(
    norm: Tensor, breakdowns: Sequence[LossBreakdown]
) -> tuple[Float[Tensor, " F"], torch.cuda.Event | None]:
    """A step's values, copied to the host at once without waiting, and the event of their arrival."""
    tensors = [norm, *(one for found in breakdowns for one in (found.total, *found.terms.values()))]
    numbers = torch.stack([one.to(norm) for one in tensors]).to("cpu", non_blocking=True)
    if not norm.is_cuda:
        return numbers, None
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()
    return numbers, copied
