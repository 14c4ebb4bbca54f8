"""One seed becomes every generator's; each training step has its own, so the resume state is one number."""

import random

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and PyTorch; called once, before anything is built."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def seed_step(seed: int, step: int) -> None:
    """Seed PyTorch (dropout, drop path, drawn negatives) for one step.

    A step's randomness depends on (seed, step) alone. A resumed run needs no stored generator state, and
    whatever else draws numbers between two steps changes nothing.
    """
    words = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
    torch.manual_seed(int(words[0]))
