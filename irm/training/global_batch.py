"""Joins the rows of a batch that was encoded in parts or on several ranks, for losses over the whole batch.

A triplet or contrastive loss is not a mean over rows, so it cannot be computed part by part. Rows are
therefore encoded part by part, and each part's activations are recomputed in the backward pass (Gao et al.,
Scaling deep contrastive learning batch size under memory limited setup, 2021); the loss is that of the whole
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from irm.losses import MatchPairs
from irm.models import InstructionTokens
from irm.training.ranks import from_first_rank, gather_rows, max_over_ranks, this_rank
from omnireid.loading.batch import Batch

R = TypeVar("R")
S = TypeVar("S", Tensor, list[Any])


def encode_rows(encode: Callable[[Batch], R], batch: Batch, parts: int) -> R:
    """A whole batch, encoded: the rows of all parts and all ranks.

    Args:
        encode: turns a batch into a frozen dataclass of tensors whose first axis is the rows.
        batch: this rank's share.
        parts: how many pieces are encoded one after another; 1 keeps all activations.
    """
    if parts == 1 or len(batch) < parts:
        encoded = encode(batch)
    else:
        bounds = torch.linspace(0, len(batch), parts + 1).round().int().tolist()
        pieces = [batch.part(start, stop) for start, stop in pairwise(bounds)]
        encoded = _joined([checkpoint(encode, piece, use_reentrant=False) for piece in pieces])
    return encoded if this_rank().world == 1 else _gathered(encoded)


def gather_batch(batch: Batch) -> Batch:
    """The batch of all ranks, as far as losses need it: labels, and outfits asked for, worn and shown."""
    if this_rank().world == 1:
        return batch
    given = batch.instruction
    if given is None:
        return replace(batch, labels=gather_rows(batch.labels))
    has_clothes = torch.isin(torch.arange(len(batch)), given.clothes_rows)
    marks = torch.stack([given.asked, batch.worn, given.bare.long(), has_clothes.long()], dim=1)
    asked, worn, bare, has_clothes = gather_rows(marks).unbind(dim=1)
    rows = has_clothes.nonzero()[:, 0]
    instruction = replace(given, asked=asked, bare=bare.bool(), clothes_rows=rows)
    return replace(batch, labels=gather_rows(batch.labels), worn=worn, instruction=instruction)


def local_rows(rows: S) -> S:
    """This rank's share of the rows of all ranks."""
    ranks = this_rank()
    share = len(rows) // ranks.world
    return rows[ranks.rank * share : (ranks.rank + 1) * share]


def local_pairs(pairs: MatchPairs) -> MatchPairs:
    """This rank's share of the pairs that the first rank drew; shares are equal, so that means agree."""
    ranks = this_rank()
    if ranks.world == 1:
        return pairs
    rows = from_first_rank(torch.stack([pairs.text_rows, pairs.image_rows]))
    text_rows, image_rows = rows.chunk(ranks.world, dim=1)[ranks.rank]
    return MatchPairs(text_rows, image_rows, pairs.matches.chunk(ranks.world)[ranks.rank])


def _joined(pieces: Sequence[Any]) -> Any:
    """Dataclasses of tensors as one, row after row."""
    first = pieces[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.cat(list(pieces))
    if isinstance(first, InstructionTokens):
        length = max(piece.tokens.shape[1] for piece in pieces)
        pieces = [piece.pad_to(length) for piece in pieces]
    names = [field.name for field in fields(first)]
    return replace(first, **{name: _joined([getattr(piece, name) for piece in pieces]) for name in names})


def _gathered(value: Any) -> Any:
    """A dataclass of tensors with the rows of all ranks."""
    if isinstance(value, Tensor):
        return gather_rows(value)
    if isinstance(value, InstructionTokens):
        value = value.pad_to(max_over_ranks(value.tokens.shape[1]))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: _gathered(getattr(value, field.name)) for field in fields(value)}
        )
    return value
