"""Processes that train one model together, as `torchrun` starts them: one batch, one loss, one update.

Each rank encodes its share of a batch. The rows are then gathered, so that triplet and contrastive losses and
batch norms see the whole batch, and every rank computes the whole loss. Averaged over ranks, the gradients
are those of a single process: gradients of a gathered row are summed over the ranks that used it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather

from instructions.errors import InputError

BUCKET = 32 * 2**20  # numbers that are averaged in one go
# How long ranks wait for one that validates or writes alone; if a rank dies, torchrun ends all of them.
TIMEOUT = timedelta(hours=6)


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0  # the rank on this machine, which is the number of its GPU

    @property
    def is_first(self) -> bool:
        """Whether this rank shows progress, logs and saves."""
        return self.rank == 0


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, if it did; a program started alone is the only rank.

    Raises:
        InputError: the environment is not one that `torchrun` makes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    try:
        ranks = Ranks(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    except KeyError as error:
        raise InputError(
            f"WORLD_SIZE is set but {error} is not; launch the processes with torchrun"
        ) from None
    if device.type == "cuda":
        torch.cuda.set_device(ranks.local_rank)
    # Small messages between hosts (who stops, how long texts are) must not wait for the GPU.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()


def this_rank() -> Ranks:
    """The rank of this process."""
    if not distributed.is_initialized():
        return Ranks()
    return Ranks(distributed.get_rank(), distributed.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))


def gather_rows(rows: Shaped[Tensor, "_b ..."]) -> Shaped[Tensor, "_B ..."]:
    """The rows of all ranks in their order, with gradients; alone, the rows themselves."""
    if this_rank().world == 1:
        return rows
    if rows.is_floating_point():
        # The backward pass communicates too, so a rank whose rows need no gradient must still take part.
        if max_over_ranks(int(rows.requires_grad)) and not rows.requires_grad:
            rows = rows.detach().requires_grad_()
        return torch.cat(all_gather(rows.contiguous()))  # type: ignore[no-untyped-call]
    parts = [torch.empty_like(rows) for _ in range(this_rank().world)]
    distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def max_over_ranks(number: int) -> int:
    """The largest of the ranks' numbers; of zeros and ones, whether any rank says 1."""
    if this_rank().world == 1:
        return number
    found = torch.tensor(number)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return int(found)


def from_first_rank(tensor: Tensor) -> Tensor:
    """The first rank's tensor, broadcast to all; shapes must agree."""
    if this_rank().world > 1:
        distributed.broadcast(tensor, src=0)
    return tensor


def mean_over_ranks(tensor: Tensor) -> Tensor:
    """The mean of the ranks' tensors; alone, the tensor itself."""
    world = this_rank().world
    if world == 1:
        return tensor
    summed = tensor.clone()
    distributed.all_reduce(summed)
    return summed / world


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Replace each gradient by its mean over ranks; a parameter that no rank used keeps none.

    Sharded parameters must not be among them: FSDP averages their gradients itself.
    """
    world = this_rank().world
    if world == 1:
        return
    used = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.uint8)
    distributed.all_reduce(used, distributed.ReduceOp.MAX)
    gradients = []
    for parameter, somebody in zip(parameters, used.tolist(), strict=True):
        if somebody and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if parameter.grad is not None:
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        distributed.all_reduce(flat)
        flat /= world
        means = torch.split(flat, [one.numel() for one in bucket])
        for gradient, mean in zip(bucket, means, strict=True):
            gradient.copy_(mean.reshape(gradient.shape))


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Groups of gradients of one type, each not much larger than a bucket."""
    for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
        bucket: list[Tensor] = []
        for gradient in gradients:
            if gradient.dtype != dtype:
                continue
            bucket.append(gradient)
            if sum(one.numel() for one in bucket) >= BUCKET:
                yield bucket
                bucket = []
        if bucket:
            yield bucket
