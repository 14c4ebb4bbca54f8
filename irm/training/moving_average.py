"""A moving average of weights: of a run's model (`optimizer.average`), or of ALBEF's momentum teacher."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class MovingAverage(AveragedModel):
    """torch's exponential moving average, but the host waits for the device at the first update only.

    torch's own asks the device at each update how many there have been.
    """

    def __init__(self, model: nn.Module, momentum: float, *, use_buffers: bool = False) -> None:
        """Begin with a copy of the model.

        Args:
            model: whose weights are averaged.
            momentum: share of the average that an update keeps.
            use_buffers: average buffers too; otherwise they are the model's.
        """
        rule = get_ema_multi_avg_fn(momentum)  # type: ignore[no-untyped-call]
        super().__init__(model, multi_avg_fn=rule, use_buffers=use_buffers)
        self._rule, self._is_begun = rule, False

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Update the average towards a model; the very first update copies it."""
        if not self._is_begun:
            super().update_parameters(model)
            self._is_begun = True
            return
        pairs: list[tuple[Tensor, Tensor]] = list(
            zip(self.module.parameters(), model.parameters(), strict=True)
        )
        buffers = zip(self.module.buffers(), model.buffers(), strict=True)
        if self.use_buffers:
            pairs += buffers
        else:
            for own, new in buffers:
                own.copy_(new)
        for is_float in (True, False):  # counts are whole numbers, which are averaged in another way
            same = [pair for pair in pairs if pair[0].is_floating_point() is is_float]
            if same:
                self._rule([own for own, _ in same], [new for _, new in same], None)
        self.n_averaged += 1
