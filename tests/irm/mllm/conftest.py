"""A multimodal model that fits a test: four layers of tower, two of language model, random."""

import pytest
import torch

from irm.mllm import VLM, DialogueEncoder, Tuning, Turn, load_parts, tune

SIZE = (64, 32)
TUNING = Tuning(rank=4, dropout=0.0)
WORDS = ["look at the image and go on", "a man in a red coat walks on", "She waits for the bus."]


@pytest.fixture
def make_vlm():
    def make(tuning=TUNING, **arguments):
        torch.manual_seed(0)
        parts = load_parts(vision="tiny", llm="tiny", corpus=WORDS)
        vlm = VLM(parts, **{"image_size": SIZE, **arguments})
        if tuning is not None:
            tune(vlm, tuning)
        return vlm

    return make


@pytest.fixture
def make_encoder():
    def make(vlm, template="minigpt4", **arguments):
        return DialogueEncoder(
            vlm.tokenizer,
            image_token_id=vlm.image_token_id,
            num_image_tokens=vlm.num_image_tokens,
            template=template,
            **arguments,
        )

    return make


@pytest.fixture
def images():
    return torch.randn(4, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def dialogues():
    first = "look at <image> and go on"
    return [
        [Turn(first, "a man in a red coat"), Turn("go on", "She waits.")],
        [Turn(first)],
        [Turn(first, "She waits for the bus.")],
        [Turn(first, "a red coat")],
    ]
