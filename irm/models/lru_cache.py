"""A least-recently-used cache of what was computed for sentences, valid while the weights do not change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from torch import Tensor

V = TypeVar("V")


class LRUCache(Generic[V]):
    """One value per sentence; the least recently used one is dropped first."""

    def __init__(self, capacity: int) -> None:
        """Start empty; never keep more than ``capacity`` values."""
        self.capacity = capacity
        self._kept: OrderedDict[str, V] = OrderedDict()
        self._weights: Hashable = None

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Drop all values."""
        self._kept.clear()

    def clear_if_changed(self, weights: Hashable) -> bool:
        """Drop all values if other weights computed them (``weight_versions``); returns whether they did."""
        are_others = weights != self._weights
        if are_others:
            self.clear()
            self._weights = weights
        return are_others

    def put(self, sentence: str, value: V) -> None:
        """Store a value."""
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
        self.put(sentence, value)
        return value


def weight_versions(weights: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    """Address and version counter of each weight; fused optimizers do not raise the counter."""
    return tuple((weight.data_ptr(), weight._version) for weight in weights)
