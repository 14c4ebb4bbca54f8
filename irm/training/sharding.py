"""Models too large for one GPU: a rank keeps a shard of each layer and gathers the others when needed (FSDP).

Gradients are averaged over the ranks; each rank keeps those of its shard, and so does the optimizer.
Checkpoints hold whole tensors, so that any number of ranks can resume from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from irm.training.ranks import this_rank


def shard(model: nn.Module, layers: Iterable[nn.Module], device: torch.device) -> None:
    """Shard every parameter over the ranks.

    Args:
        model: equal on all ranks.
        layers: its layers, gathered one or two at a time; everything else stays gathered during a pass.
        device: of this rank.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (this_rank().world,))
    for part in (*layers, model):
        fully_shard(part, mesh=mesh)


def describe_shards(parameters: Iterable[nn.Parameter]) -> str:
    """How much of a sharded model this rank keeps, in words."""
    here, everywhere = 0, 0
    for parameter in parameters:
        everywhere += parameter.numel()
        part: Any = parameter
        here += part.to_local().numel() if is_sharded(part) else part.numel()
    return f"each of {this_rank().world} processes holds its shard: {here:,} of {everywhere:,} parameters"


def is_sharded(tensor: object) -> bool:
    """Whether it is a rank's shard of a tensor."""
    if this_rank().world == 1:
        return False
    from torch.distributed.tensor import DTensor  # takes 0.75 s to import

    return isinstance(tensor, DTensor)


def gather_full(tree: Any) -> Any:
    """The same dicts, lists and numbers, with whole tensors in place of shards; collective.

    Gathered tensors are on the CPU of the first rank, which writes them; None on the others.
    """
    if isinstance(tree, Mapping):
        return {name: gather_full(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [gather_full(value) for value in tree]
    if not is_sharded(tree):
        return tree
    found = tree.detach().full_tensor()
    return found.cpu() if this_rank().is_first else None


def shard_weights(weights: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Whole weights as a rank's ``load_state_dict`` expects them: sharded where the model is."""
    own = model.state_dict()
    return {
        name: _shard_like(tensor, own[name]) if name in own else tensor for name, tensor in weights.items()
    }


def shard_optimizer_state(saved: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """The same for an optimizer's state; its parameters are numbered in the order of its groups."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {
        row: {name: _shard_like(value, parameters[row]) for name, value in entry.items()}
        for row, entry in saved["state"].items()
    }
    return {**saved, "state": state}


def clip_gradients(parameters: Sequence[nn.Parameter], largest: float | None) -> Float[Tensor, ""]:
    """Clip the total norm of all gradients to ``largest``, if given; returns the norm before."""
    kinds = [[each for each in parameters if is_sharded(each) is kind] for kind in (False, True)]
    norms = torch.stack([_norm(kind) for kind in kinds if kind])
    norm = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(norms)
    if largest is not None:
        for kind in kinds:
            nn.utils.clip_grads_with_norm_(kind, largest, norm)
    return norm


def _norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    found: Any = nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
    whole_norm: Tensor = found.full_tensor() if is_sharded(found) else found
    return whole_norm


def _shard_like(tensor: Any, like: Any) -> Any:
    if not is_sharded(like) or not isinstance(tensor, Tensor) or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    moved = tensor.to(like.device, like.dtype)
    return distribute_tensor(moved, like.device_mesh, like.placements, src_data_rank=None)
