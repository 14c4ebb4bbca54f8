"""Seeding: each training step has a seed of its own, so that resuming needs no generator state."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and PyTorch; called once, before anything is built."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seed_step(seed: int, step: int, rank: int = 0) -> None:
    """Seed PyTorch (dropout, drop path, drawn negatives) for one step.

    A step's randomness depends on (seed, step) alone, and on the rank where several train together. A
    resumed run needs no stored generator state, and random numbers drawn between two steps have no effect.
    """
    address = [seed, step, rank] if rank else [seed, step]
    words = np.random.SeedSequence(address).generate_state(1, np.uint64)
    torch.manual_seed(int(words[0]))


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Deterministic results on a CPU, for any fixed number of threads.

    Without it, threads add up the gradient of indexing in any order. On a GPU nothing is changed:
    deterministic kernels are slower, and bit equality is promised for CPUs only.
    """
    is_on = torch.are_deterministic_algorithms_enabled()
    is_mild = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Its own default also writes NaN into every new tensor, which finds bugs and costs time.
        memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(is_on, warn_only=is_mild)
        memory.fill_uninitialized_memory = fills
