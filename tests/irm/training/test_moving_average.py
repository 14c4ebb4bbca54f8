"""The moving average is torch's own to the bit, and later updates ask the device nothing."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from irm.training.moving_average import MovingAverage


class Model(nn.Module):
    """Parameters, float buffers and a count: batch norm has them all."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))

    def change(self, step):
        """As an optimizer's step and a pass in training mode would."""
        with torch.no_grad():
            for row, tensor in enumerate((*self.parameters(), *self.buffers())):
                tensor += step + row


@pytest.mark.parametrize("use_buffers", [False, True])
def test_its_weights_are_those_of_torchs_own_to_the_bit(use_buffers):
    model = Model()
    ours = MovingAverage(model, 0.9, use_buffers=use_buffers)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=use_buffers)
    for step in range(4):
        model.change(step)
        ours.update_parameters(model)
        theirs.update_parameters(model)
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_one_that_a_checkpoint_filled_goes_on():
    model = Model()
    whole = MovingAverage(model, 0.9)
    whole.update_parameters(model)
    again = MovingAverage(Model(), 0.9)
    again.load_state_dict(copy.deepcopy(whole.state_dict()))
    model.change(1)
    for average in (whole, again):
        average.update_parameters(model)
    torch.testing.assert_close(again.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_later_updates_need_no_number_of_the_device():
    """A device without numbers refuses to tell the first update how many there have been."""
    model = Model()
    average = MovingAverage(model, 0.9)
    average.update_parameters(model)
    average.to("meta").update_parameters(model.to("meta"))
    with pytest.raises((RuntimeError, NotImplementedError), match=r"[Mm]eta"):
        MovingAverage(model, 0.9).to("meta").update_parameters(model)
