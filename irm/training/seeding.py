"""One seed becomes every generator's; each training step has its own, so the resume state is one number."""

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
    resumed run needs no stored generator state, and whatever else draws numbers between two steps changes
    nothing.
    """
    address = [seed, step, rank] if rank else [seed, step]
    words = np.random.SeedSequence(address).generate_state(1, np.uint64)
    torch.manual_seed(int(words[0]))


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a CPU the same numbers every time, with any fixed number of threads.

    Without it the gradient of picking rows is added up by all threads at once, in whatever order they come.
    On a GPU nothing is changed: repeatable kernels are slower, and bit equality is promised for CPUs alone.
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
