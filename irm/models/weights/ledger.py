"""Accounting for a checkpoint: every tensor is used, dropped for a reason, or an error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

COUNT = "num_batches_tracked"  # of a batch norm: the only whole number among a network's tensors


class UnrecordedError(ValueError):
    """A checkpoint does not record what is needed; ``option`` names what the caller can say instead."""

    def __init__(self, sentence: str, *, option: str) -> None:
        """Say what is missing, and that it can be given.

        Args:
            sentence: for whoever calls the library; a program adds how its own option is spelt.
            option: a field of ``convert.Options``.
        """
        super().__init__(sentence)
        self.option = option


@dataclass(frozen=True)
class Account:
    """What became of a checkpoint's tensors."""

    used: tuple[str, ...]
    dropped: dict[str, tuple[str, ...]]  # keys by the reason for dropping them

    def as_json(self) -> dict[str, Any]:
        """Plain values: how many tensors were used, and which were dropped for which reason."""
        return {"used": len(self.used), "dropped": {why: list(keys) for why, keys in self.dropped.items()}}


class Ledger:
    """Hands out a checkpoint's tensors and records which were taken or dropped."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str) -> None:
        """Start with nothing taken.

        Args:
            tensors: the checkpoint.
            name: the checkpoint's name in errors.
        """
        self.tensors, self.name = tensors, name
        self._used: dict[str, None] = {}
        self._dropped: dict[str, tuple[str, ...]] = {}

    def take(self, key: str, shape: Sequence[int] | None = None) -> Tensor:
        """Take one tensor, as float32 unless it is a count.

        Raises:
            ValueError: naming the key when it is missing, has another shape, holds whole numbers in place of
                weights (a quantised file), or is not finite.
        """
        if key not in self.tensors:
            raise ValueError(f"{self.name} has no {key!r}")
        tensor = self.tensors[key]
        if shape is not None and tuple(tensor.shape) != tuple(shape):
            raise ValueError(
                f"{key!r} of {self.name} has shape {tuple(tensor.shape)}; it should be {tuple(shape)}"
            )
        if not key.endswith(COUNT):
            if not tensor.is_floating_point():
                kind = str(tensor.dtype).removeprefix("torch.")
                raise ValueError(
                    f"{key!r} of {self.name} holds {kind}, but weights are floating-point numbers; give "
                    "the checkpoint as it was before it was quantised"
                )
            tensor = tensor.float()
            if not tensor.isfinite().all():
                raise ValueError(f"{key!r} of {self.name} contains NaN or infinity")
        self._used[key] = None
        return tensor

    def drop(self, pattern: str, reason: str) -> None:
        """Drop the tensors that were not taken and whose full key matches."""
        compiled = re.compile(pattern)
        keys = tuple(key for key in self._open() if compiled.fullmatch(key))
        if keys:
            self._dropped[reason] = self._dropped.get(reason, ()) + keys

    def settle(self) -> Account:
        """The final account.

        Raises:
            ValueError: naming the first tensor that was neither used nor dropped.
        """
        left = self._open()
        if left:
            more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
            raise ValueError(
                f"{self.name} contains {left[0]!r}, which does not belong to this kind of model{more}"
            )
        return Account(tuple(self._used), dict(self._dropped))

    def _open(self) -> list[str]:
        dropped = {key for keys in self._dropped.values() for key in keys}
        return [key for key in self.tensors if key not in self._used and key not in dropped]
