"""Reusable memory for batches of images, recycled as soon as nothing references the last batch in it."""

from __future__ import annotations

import math
import threading
import weakref

import numpy as np
import torch
from jaxtyping import Shaped, UInt8
from torch import Tensor


class BufferPool:
    """Hands out tensors whose memory is recycled when the last tensor that shares it is freed.

    Otherwise the operating system clears and maps 50 MB for each batch of 128 images, which takes longer than
    all other processing of the decoded images together.
    """

    def __init__(self) -> None:
        self._blocks: list[tuple[UInt8[np.ndarray, " n"], weakref.ref[np.ndarray]]] = []
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[BufferPool], tuple[()]]:
        return BufferPool, ()  # a spawned process has memory of its own

    @property
    def num_bytes(self) -> int:
        """Bytes held, in use or not."""
        return sum(block.nbytes for block, _ in self._blocks)

    def take(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Shaped[Tensor, ...]:
        """An uninitialised tensor of this shape."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            free = [place for place, (_, user) in enumerate(self._blocks) if user() is None]
            fitting = [place for place in free if self._size(place) >= size]
            if fitting:
                block = self._blocks.pop(min(fitting, key=self._size))[0]
            else:
                # A block that is too small is replaced, so that no more blocks are held than were in use.
                if free:
                    self._blocks.pop(min(free, key=self._size))
                block = np.empty(size, dtype=np.uint8)
            view = block[:size]  # the tensor holds this very object, so its end marks the end of use
            self._blocks.append((block, weakref.ref(view)))
            return torch.from_numpy(view).view(dtype).reshape(shape)

    def _size(self, place: int) -> int:
        return self._blocks[place][0].size
