"""Every tensor of a checkpoint is used, left behind for a reason, or an error; none is made up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Account:
    """What became of a checkpoint's tensors."""

    used: tuple[str, ...]
    dropped: dict[str, tuple[str, ...]]  # keys by the reason for which they were left behind

    def as_json(self) -> dict[str, Any]:
        """For the folder: how many were used, and which were left behind, why."""
        return {"used": len(self.used), "dropped": {why: list(keys) for why, keys in self.dropped.items()}}


class Ledger:
    """Hands out a checkpoint's tensors and keeps account of them."""

    def __init__(self, tensors: Mapping[str, Tensor], name: str) -> None:
        """Open the books.

        Args:
            tensors: the checkpoint.
            name: what it is called in an error.
        """
        self.tensors, self.name = tensors, name
        self._used: dict[str, None] = {}
        self._dropped: dict[str, tuple[str, ...]] = {}

    def take(self, key: str, shape: Sequence[int] | None = None) -> Tensor:
        """One tensor, in float32 where it is a floating one.

        Raises:
            ValueError: naming the key when it is missing, misshapen, or holds what is no number.
        """
        if key not in self.tensors:
            raise ValueError(f"{self.name} has no {key!r}")
        tensor = self.tensors[key]
        if shape is not None and tuple(tensor.shape) != tuple(shape):
            raise ValueError(f"{key!r} of {self.name} is {tuple(tensor.shape)}; it should be {tuple(shape)}")
        if tensor.is_floating_point():
            tensor = tensor.float()
            if not tensor.isfinite().all():
                raise ValueError(f"{key!r} of {self.name} holds NaN or infinity")
        self._used[key] = None
        return tensor

    def drop(self, pattern: str, reason: str) -> None:
        """Leave behind what nobody took and whose whole key matches."""
        compiled = re.compile(pattern)
        keys = tuple(key for key in self._open() if compiled.fullmatch(key))
        if keys:
            self._dropped[reason] = self._dropped.get(reason, ()) + keys

    def settle(self) -> Account:
        """Close the books.

        Raises:
            ValueError: naming the first tensor that was neither used nor dropped.
        """
        left = self._open()
        if left:
            more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
            raise ValueError(f"{self.name} has {left[0]!r}, which has no place in this kind of model{more}")
        return Account(tuple(self._used), dict(self._dropped))

    def _open(self) -> list[str]:
        dropped = {key for keys in self._dropped.values() for key in keys}
        return [key for key in self.tensors if key not in self._used and key not in dropped]
