"""What was computed for the sentences used last, as long as the weights that computed it stay as they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from torch import Tensor

V = TypeVar("V")


class Latest(Generic[V]):
    """A value a sentence; the one unused for longest goes first."""

    def __init__(self, capacity: int) -> None:
        """Keep nothing yet, and never more than ``capacity`` values."""
        self.capacity = capacity
        self._kept: OrderedDict[str, V] = OrderedDict()
        self._weights: Hashable = None

    def __len__(self) -> int:
        return len(self._kept)

    def forget(self) -> None:
        """Keep nothing."""
        self._kept.clear()

    def forget_unless(self, weights: Hashable) -> bool:
        """Keep nothing that other weights computed (``versions_of``); whether they were others."""
        are_others = weights != self._weights
        if are_others:
            self.forget()
            self._weights = weights
        return are_others

    def keep(self, sentence: str, value: V) -> None:
        """Take a value in."""
        self._kept[sentence] = value
        self._kept.move_to_end(sentence)
        if len(self._kept) > self.capacity:
            self._kept.popitem(last=False)

    def get(self, sentence: str, compute: Callable[[str], V]) -> V:
        """The value of a sentence, computed if it is not kept."""
        if sentence in self._kept:
            self._kept.move_to_end(sentence)
            return self._kept[sentence]
        value = compute(sentence)
        self.keep(sentence, value)
        return value


def versions_of(weights: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    """Where each weight lies and how often it was written to; a fused optimizer's writes are not counted."""
    return tuple((weight.data_ptr(), weight._version) for weight in weights)
