"""Tokens and their handling: instruction tokens (F_T of IRM, section 4.2), prefixes, patches, positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class InstructionTokens:
    """Encoded instructions of a batch: the tokens F_T of eq. 1, and the pooled vector that eq. 6 compares."""

    tokens: Float[Tensor, "B L E"]
    mask: Bool[Tensor, "B L"]  # True where a token is real, False where it is padding
    pooled: Float[Tensor, "B E"]
    words: Float[Tensor, "B L E"] | None = None  # word embeddings, where a match head starts from those

    @property
    def match_states(self) -> Float[Tensor, "B L E"]:
        """Input of a match head: the word embeddings (BLIP), or the encoder's states (ALBEF)."""
        return self.tokens if self.words is None else self.words

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: Int[Tensor, " M"]) -> InstructionTokens:
        """The instructions of some rows, in the order given; a row may come twice."""
        words = None if self.words is None else self.words[rows]
        return InstructionTokens(self.tokens[rows], self.mask[rows], self.pooled[rows], words)

    def pad_to(self, length: int) -> InstructionTokens:
        """The same instructions with at least ``length`` tokens each, the new ones being padding."""
        missing = length - self.tokens.shape[1]
        if missing <= 0:
            return self
        return InstructionTokens(
            F.pad(self.tokens, (0, 0, 0, missing)),
            F.pad(self.mask, (0, missing), value=False),
            self.pooled,
            None if self.words is None else F.pad(self.words, (0, 0, 0, missing)),
        )


@dataclass(frozen=True)
class InstructionKV:
    """An instruction as one layer attends to it: K' and V' of eq. 3, the gate multiplied into V'."""

    keys: Float[Tensor, "b h L d"]  # one row, or one for each image
    values: Float[Tensor, "b h L d"]
    mask: Bool[Tensor, "b 1 1 L"] | None  # None: every token is real


@dataclass(frozen=True)
class SharedInstruction(InstructionTokens):
    """One instruction for all images (rows expanded, not copied), with its K' and V' in every layer."""

    layers: tuple[InstructionKV, ...] = ()


def merge_rows(groups: Sequence[tuple[InstructionTokens, Int[Tensor, " _"]]]) -> InstructionTokens:
    """One batch out of several groups: row i of a group becomes row ``rows[i]`` of the batch.

    Sentences and clothes images have different lengths; all are padded to the longest. ``words`` are left
    out: a batch of instructions for images is not matched.

    Raises:
        ValueError: when the rows of all groups together are not 0..B-1, each once.
    """
    rows = torch.cat([rows for _, rows in groups])
    order = torch.argsort(rows)
    if not torch.equal(rows[order], torch.arange(len(rows), device=rows.device)):
        raise ValueError(
            f"the rows of the instructions are {rows.tolist()}; they must be 0..{len(rows) - 1}, each "
            "exactly once"
        )
    length = max(group.tokens.shape[1] for group, _ in groups)
    padded = [group.pad_to(length) for group, _ in groups]
    order = order.to(padded[0].tokens.device, non_blocking=True)
    return InstructionTokens(
        tokens=torch.cat([group.tokens for group in padded])[order],
        mask=torch.cat([group.mask for group in padded])[order],
        pooled=torch.cat([group.pooled for group in padded])[order],
    )


def class_token(tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
    """The first token."""
    return tokens[:, 0]


def patch_tokens(tokens: Float[Tensor, "B N D"], num_prefix_tokens: int) -> Float[Tensor, "B P D"]:
    """What follows the class token and the registers."""
    return tokens[:, num_prefix_tokens:]


def resize_positions(
    positions: Float[Tensor, "1 N D"],
    *,
    old_grid: tuple[int, int],
    new_grid: tuple[int, int],
    num_prefix_tokens: int,
    mode: Literal["bicubic", "bilinear"] = "bicubic",
) -> Float[Tensor, "1 M D"]:
    """Learned positions of another image size; those of prefix tokens stay as they are.

    Neither antialiasing nor aligned corners, as ALBEF (bicubic) and PASS (bilinear) resize theirs: timm's own
    function antialiases, which moves the features of those checkpoints by 1e-2.

    Args:
        positions: prefix tokens first, then the grid row by row.
        old_grid: rows and columns of the patches that ``positions`` has.
        new_grid: rows and columns wanted.
        num_prefix_tokens: how many of ``positions`` belong to no patch.
        mode: how to interpolate.
    """
    if old_grid == new_grid:
        return positions
    prefix, grid = positions[:, :num_prefix_tokens], positions[:, num_prefix_tokens:]
    grid = rearrange(grid, "1 (h w) d -> 1 d h w", h=old_grid[0], w=old_grid[1])
    grid = F.interpolate(grid.float(), size=new_grid, mode=mode, align_corners=False).to(positions.dtype)
    return torch.cat([prefix, rearrange(grid, "1 d h w -> 1 (h w) d")], dim=1)
