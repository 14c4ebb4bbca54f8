"""Parameter groups, optimizers, and the learning rate as a pure function of the step (IRM, section 5.1)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from instructions.errors import InputError

Schedule = Literal["cosine", "constant", "released", "steps"]
Name = Literal["adamw", "adam", "sgd"]

# Parameters without weight decay, whatever their shape: ours, those of timm's towers, and those of
# transformers' text encoders and CLIP towers.
UNDECAYED = frozenset(
    {"gate", "cls_token", "reg_token", "pos_embed"}
    | {"position_embeddings", "token_type_embeddings", "position_embedding"}
)


_BACKBONE = "editing_transformer.vit."
_BLOCK = re.compile(re.escape(_BACKBONE) + r"blocks\.(\d+)\.")
_NEW = re.compile(r"\.(gate|instruction_kv)(\.|$)")


def learning_rate(
    step: int,
    *,
    lr: float,
    warmup_from: float,
    warmup_steps: int,
    steps: int,
    schedule: Schedule,
    lr_end: float = 0.0,
    milestones: Sequence[int] = (),
) -> float:
    """Learning rate of a step, counted from zero: a straight line up to `lr`, then the schedule to `steps`.

    "cosine" is at `lr` when the warm-up ends and at `lr_end` at `steps`; "released" is the authors' product
    of the warm-up with one cosine over all steps; "steps" falls to a tenth at each milestone (CLIP-ReID).

    >>> learning_rate(0, lr=1e-5, warmup_from=1e-7, warmup_steps=1000, steps=24000, schedule="cosine")
    1e-07
    """
    warm = lr if step >= warmup_steps else warmup_from + (lr - warmup_from) * step / warmup_steps
    if schedule == "constant":
        return warm
    if schedule == "steps":
        return warm * 0.1 ** sum(step >= milestone for milestone in milestones)
    if schedule == "released":
        return warm * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))
    if step < warmup_steps:
        return warm
    progress = min((step - warmup_steps) / max(steps - warmup_steps, 1), 1.0)
    return lr_end + (lr - lr_end) * 0.5 * (1 + math.cos(math.pi * progress))


def is_decayed(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: to matrices and kernels, but not to gates, tokens or positions."""
    return parameter.ndim >= 2 and UNDECAYED.isdisjoint(name.split("."))


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    *,
    weight_decay: float,
    decay: Literal["weights", "all"],
    lr_multipliers: Mapping[str, float],
    layer_decay: float = 1.0,
    bias_lr: float = 1.0,
) -> list[dict[str, Any]]:
    """Trainable parameters by (decay, factor of the learning rate), in the order in which they first occur.

    Args:
        named: dotted names and parameters; frozen ones are left out.
        weight_decay: of the decayed groups.
        decay: "weights" decays what `is_decayed` names, "all" decays everything.
        lr_multipliers: prefix of a dotted name to factor; the longest matching prefix wins, none means 1.
        layer_decay: factor of each layer of the backbone relative to the next; see `layer_scales`.
        bias_lr: another factor, for biases.

    Raises:
        InputError: for a prefix that fits no trainable parameter.
    """
    named = list(named)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    used: set[str] = set()
    by_layer = layer_scales([name for name, _ in named], layer_decay)
    for name, parameter in named:
        if not parameter.requires_grad:
            continue
        fitting = [prefix for prefix in lr_multipliers if f"{name}.".startswith(f"{prefix}.")]
        used.update(fitting)
        scale = (lr_multipliers[max(fitting, key=len)] if fitting else 1.0) * by_layer[name]
        scale *= bias_lr if name.endswith(".bias") else 1.0
        own_decay = weight_decay if decay == "all" or is_decayed(name, parameter) else 0.0
        group = groups.setdefault(
            (own_decay, scale), {"params": [], "weight_decay": own_decay, "lr_scale": scale}
        )
        group["params"].append(parameter)
    for prefix in lr_multipliers:
        if prefix not in used:
            raise InputError(
                f"optimizer.lr_multipliers: no trainable parameter's name begins with {prefix!r}"
            )
    if not groups:
        raise InputError("there is nothing to train: every parameter is frozen")
    return list(groups.values())


def layer_scales(names: Sequence[str], decay: float) -> dict[str, float]:
    """Learning-rate factors of parameters by depth (Bao et al., BEiT, 2022): 1 at the end of the backbone.

    Block i (from 0) of L has ``decay ** (L - i)``, and what comes before the blocks ``decay ** (L + 1)``.
    Gates and k', v' are new, so they learn at the full rate, like everything outside the backbone.
    """
    depths = [int(found[1]) for name in names if (found := _BLOCK.search(name))]
    num_blocks = max(depths, default=-1) + 1
    scales = {}
    for name in names:
        block = _BLOCK.search(name)
        is_new = _NEW.search(name) is not None or _BACKBONE not in name or f"{_BACKBONE}norm." in name
        depth = num_blocks + 1 if is_new else 0 if block is None else int(block[1]) + 1
        scales[name] = decay ** (num_blocks + 1 - depth)
    return scales


def build_optimizer(
    groups: list[dict[str, Any]],
    *,
    lr: float,
    fused: bool | None = None,
    name: Name = "adamw",
    momentum: float = 0.9,
    nesterov: bool = False,
) -> Optimizer:
    """The optimizer over the groups; betas and epsilon are PyTorch's, as in the released code.

    Args:
        groups: as `parameter_groups` makes them.
        lr: learning rate of a group of scale 1.
        fused: one kernel for all parameters; None decides by whether they are on a GPU.
        name: AdamW decouples weight decay from the gradient, Adam and SGD do not.
        momentum: of SGD.
        nesterov: of SGD.
    """
    if fused is None:
        fused = groups[0]["params"][0].is_cuda
    kernel = {"fused": True} if fused else {}
    if name == "sgd":
        return SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, **kernel)
    return {"adamw": AdamW, "adam": Adam}[name](groups, lr=lr, **kernel)


def with_own_kernels(saved: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """A saved optimizer state for an optimizer that may be fused where the saved one was not.

    A group's ``fused`` says how a device updates, not what was learnt, but PyTorch restores it with the rest:
    a run from a CPU would go on unfused on a GPU.
    """
    groups = zip(saved["param_groups"], optimizer.param_groups, strict=True)
    return {**saved, "param_groups": [{**group, "fused": own.get("fused")} for group, own in groups]}


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Set every group's learning rate: the step's, times the group's scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]
