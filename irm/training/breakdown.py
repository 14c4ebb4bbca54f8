"""A loss as its terms and their weighted sum, for the loop, the log and error reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from irm.training.ranks import mean_over_ranks, this_rank


@dataclass(frozen=True)
class LossBreakdown:
    """The terms of a loss as their equations have them, and the weighted sum that is minimised."""

    terms: dict[str, Tensor]
    total: Tensor

    def detach(self) -> LossBreakdown:
        """The same numbers without their autograd graph."""
        return LossBreakdown({name: term.detach() for name, term in self.terms.items()}, self.total.detach())

    def averaged(self) -> LossBreakdown:
        """The means over ranks, which are the numbers of the whole batch."""
        if this_rank().world == 1:
            return self
        means = mean_over_ranks(torch.stack([*self.terms.values(), self.total])).unbind()
        return LossBreakdown(dict(zip(self.terms, means, strict=False)), means[-1])


def weigh(terms: dict[str, Tensor], weights: Mapping[str, float]) -> LossBreakdown:
    """The breakdown of terms, each weighted by the factor of its name."""
    return LossBreakdown(terms, torch.stack([weights[name] * term for name, term in terms.items()]).sum())
