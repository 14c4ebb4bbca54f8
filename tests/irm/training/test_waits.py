"""A training step never waits for its device: shown on one that has no numbers to wait for.

Tensors on torch's "meta" device have shapes and no values, take the paths that a GPU takes, and fail where
the host asks for a value: ``.item()``, ``if tensor``, rows picked by a mask. What would not fail there but
would make the host wait for a GPU, a copy that blocks, is noted beside it.
"""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib import import_module

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from irm.training import loop
from irm.training.breakdown import LossBreakdown
from irm.training.image_text import ImageTextObjective
from irm.training.lessons import LessonRule, Lessons
from irm.training.loop import LoopSettings, to_device
from irm.training.optimizer import build_optimizer
from tests.irm.training.test_objectives import build, described, identity, image_batch, image_text

META = torch.device("meta")
TO_COPY, COPY = torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default


class Watch(TorchDispatchMode):
    """Notes where numbers of the host's meet the device's in a way that a GPU would have to be waited for."""

    def __init__(self):
        super().__init__()
        self.must_wait = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is TO_COPY and kwargs.get("non_blocking") and kwargs["device"].type == "cpu":
            return torch.ones(args[0].shape)  # numbers sent to the host, which does not wait for them
        result = func(*args, **kwargs)
        tensors = [one for one in tree_leaves((args, kwargs, result)) if isinstance(one, torch.Tensor)]
        of_host = [one for one in tensors if one.device != META and one.dim() > 0]
        is_async = kwargs.get("non_blocking") or (func is COPY and args[2:3] == (True,))
        meets = bool(of_host) and any(one.device == META for one in tensors)
        if meets and not (func in (TO_COPY, COPY) and is_async):
            self.must_wait.append(str(func))
        return result


class Literals(TorchFunctionMode):
    """Notes ``torch.tensor(..., device=...)``, whose copy blocks and which the other does not see."""

    def __init__(self, must_wait):
        super().__init__()
        self.must_wait = must_wait

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.tensor and result.device == META:
            self.must_wait.append("torch.tensor")
        return result


@pytest.fixture
def meta(monkeypatch):
    """Autocast and fused optimizers refuse this device; neither decides on waiting."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(
        import_module("torch.optim.adam"), "_device_dtype_check_for_fused", lambda *_, **__: None
    )
    return META


def launcher(model, objective, batch, device, **kind):
    """The loop's own step on a device, asked for by its number and the step before it."""
    model.to(device)
    objective.to(device)
    model.encode_sentences(batch.texts or batch.instruction.sentences)  # as a run reads them ahead
    parameters = [one for one in (*model.parameters(), *objective.parameters()) if one.requires_grad]
    optimizer = build_optimizer([{"params": parameters, "lr_scale": 1.0}], lr=1e-3, fused=True)
    weights = {batch.domain: 1.0}
    settings = LoopSettings(0, device, None, weights, lambda _: 1e-3, clip_grad_norm=1.0)
    given = (to_device(batch, device),)
    return partial(loop.start_step, model, objective, optimizer, given, settings=replace(settings, **kind))


def step(model, objective, batch, device):
    """Two steps; the terms of their loss, and what a GPU would have been waited for."""
    start_step, before = launcher(model, objective, batch, device), None
    with Watch() as watch, Literals(watch.must_wait):
        for number in range(2):  # the second finds the optimizer's state, and a step still on its way
            before = start_step(step=number, before=before)
    (terms,) = before.terms
    return terms, watch.must_wait


def test_equation_7_with_clothes_and_outfits_waits_for_nothing(meta):
    objective = identity(build(), weights={"composition": 1.0, "outfit": 1.0})
    found, must_wait = step(build(), objective, image_batch(), meta)
    assert {"adaptive_triplet", "adaptive_triplet_fused", "composition", "outfit"} <= set(found)
    assert must_wait == []


def test_equation_8_waits_for_nothing(meta):
    found, must_wait = step(build(), image_text(), described(), meta)
    assert set(found) == {"contrastive", "matching"}
    assert must_wait == []


def test_a_trained_sentence_encoder_waits_for_nothing(meta):
    assert step(build("model.instruction.freeze_text=false"), image_text(), described(), meta)[1] == []


def test_the_released_lessons_wait_for_nothing(meta):
    model = build()
    weights = {"contrastive": 1.0, "matching": 1.0, "hidden_words": 1.0, "replaced_words": 1.0}
    lessons = Lessons(model, LessonRule(queue=12), domains=("t2i/cuhk_pedes",))
    found, must_wait = step(model, ImageTextObjective(weights=weights, lessons=lessons), described(), meta)
    assert {"hidden_words", "replaced_words"} <= set(found)
    assert must_wait == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("objective", "batch"),
    [(identity, image_batch), (lambda _: image_text(), described)],
    ids=["eq. 7", "eq. 8"],
)
def test_on_a_gpu_no_step_waits(objective, batch):
    """CUDA itself tells, once everything that is made on first use is there."""
    model = build()
    start_step = launcher(model, objective(model), batch(), torch.device("cuda"), autocast=torch.bfloat16)
    before = start_step(step=0, before=None)
    torch.cuda.set_sync_debug_mode("error")
    try:
        after = start_step(step=1, before=before)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert after.report().step == 2


class Careless(torch.nn.Module):
    """Equation 8, and a remark on its value."""

    def __init__(self, remark):
        super().__init__()
        self.careful, self.remark = image_text(), remark

    def forward(self, model, batch):
        found = self.careful(model, batch)
        return LossBreakdown(found.terms, found.total + self.remark(found.total))


@pytest.mark.parametrize(
    "remark",
    [lambda total: total.item(), lambda total: 0 if total > 3 else 1, lambda total: total[total > 3].sum()],
    ids=["item", "if", "mask"],
)
def test_a_loss_that_looks_at_its_value_is_caught(meta, remark):
    with pytest.raises((RuntimeError, NotImplementedError), match=r"[Mm]eta|fake"):
        step(build(), Careless(remark), described(), meta)


@pytest.mark.parametrize(
    "remark",
    [
        lambda total: torch.ones(3).to(total.device).sum(),
        lambda total: torch.tensor([1.0], device=total.device).sum(),
        lambda total: torch.ones(4, device=total.device)[torch.tensor([0, 2])].sum(),
    ],
    ids=["copy", "tensor", "rows"],
)
def test_a_copy_that_blocks_is_caught(meta, remark):
    assert len(step(build(), Careless(remark), described(), meta)[1]) == 2  # once in each step
