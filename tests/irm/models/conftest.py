"""A tiny IRM with reproducible weights: each tensor is a function of its key and shape."""

import json
from pathlib import Path

import pytest
import torch

from irm.models import IRM, SentenceTokenizer
from tests import checkpoints

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="session")
def golden():
    """Figures that the authors' code computed with weights from ``fill`` and inputs from ``draw``."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def fill():
    return checkpoints.fill


@pytest.fixture(scope="session")
def draw():
    return checkpoints.draw


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
