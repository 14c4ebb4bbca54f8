"""A tiny IRM, and weights that anybody can regenerate: each tensor is a function of its key and shape."""

import json
import re
import zlib
from pathlib import Path

import pytest
import torch

from irm.models import IRM, SentenceTokenizer

GOLDEN = Path(__file__).parents[2] / "golden"
NORM = re.compile(r"(^|[._])(norm\d*|LayerNorm)\.weight$")
SEED = 1


def generator_of(key):
    return torch.Generator().manual_seed((zlib.crc32(key.encode()) + 1_000_003 * SEED) % 2**31)


@pytest.fixture(scope="session")
def golden():
    """Figures that the authors' code computed with weights from ``fill`` and inputs from ``draw``."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def fill():
    def fill(key, shape):
        noise = torch.randn(tuple(shape), generator=generator_of(key))
        if key.endswith("gate"):
            return 0.5 * noise
        return 1 + 0.1 * noise if NORM.search(key) else 0.02 * noise

    return fill


@pytest.fixture(scope="session")
def draw():
    return lambda name, shape: torch.randn(tuple(shape), generator=generator_of(f"input:{name}"))


@pytest.fixture
def tiny_irm():
    """Builds a tiny IRM in evaluation mode, its gates open, so that instructions matter."""

    def build(*, necks=("a", "b"), opening=0.5, seed=0, **parts):
        torch.manual_seed(seed)
        parts.setdefault("backbone", {"name": "tiny", "image_size": [64, 32]})
        instruction = {
            "text": {"name": "tiny"},
            "image": {"name": "tiny", "image_size": [32, 32], "embed_dim": 48},
        }
        parts["instruction"] = instruction | parts.get("instruction", {})
        parts.setdefault("match", {"layers": 1})
        model = IRM(necks=list(necks), **parts)
        model.attach_tokenizer(SentenceTokenizer.characters())
        for name, parameter in model.named_parameters():
            if name.endswith(".gate"):
                parameter.data.fill_(opening)
        return model.eval()

    return build
