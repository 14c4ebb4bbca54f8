"""The memory plan of the paper's model, from shapes alone."""

import pytest
import torch

from irm.mllm import VLM, Tuning, load_parts, plan_memory, tune
from irm.mllm.memory import GIB
from irm.mllm.tuning import sizes


@pytest.fixture(scope="module")
def papers_model():
    with torch.device("meta"):
        parts = load_parts(
            vision="openai/clip-vit-large-patch14",
            llm="meta-llama/Llama-2-7b-chat-hf",
            random=True,
            llm_dtype=torch.bfloat16,
        )
        vlm = VLM(parts, image_size=(256, 128), checkpointing=True)
        tune(vlm, Tuning(rank=16), frozen_dtype=torch.bfloat16)
    return vlm


def test_the_papers_model_has_its_published_size_on_no_device(papers_model):
    told = {size.name: size for size in sizes(papers_model)}
    assert told["vision tower"].total == 303_179_776
    assert told["language model"].total == 6_738_415_616
    assert told["projector"].total == 4_198_400
    assert told["LoRA"].total == 39_976_960
    assert {parameter.device.type for parameter in papers_model.parameters()} == {"meta"}
    assert papers_model.num_image_tokens == 162


def test_a_step_of_64_images_fits_one_card_with_checkpointing(papers_model):
    plan = plan_memory(papers_model, batch=64, text_tokens=70, checkpointing=True)
    # Traced tensor by tensor under FakeTensorMode, the step peaks at 25.7 GiB, without checkpointing at 120.
    assert 0.8 * 25.7 < plan.total / GIB < 1.2 * 25.7
    whole = plan_memory(papers_model, batch=64, text_tokens=70, checkpointing=False)
    assert 0.8 * 120 < whole.total / GIB < 1.2 * 120
    # Four operations a parameter and token, as frozen weights need no gradient; six with the second forward.
    assert plan.flops == whole.flops == pytest.approx(64 * 232 * 4 * 6.6e9, rel=0.1)
    assert plan.flops + plan.recomputed == pytest.approx(64 * 232 * 6 * 6.6e9, rel=0.1)
    assert whole.recomputed == 0


def test_chunks_need_the_activations_of_one_chunk(papers_model):
    plans = [
        plan_memory(papers_model, batch=batch, text_tokens=70, checkpointing=True, chunk=chunk)
        for batch, chunk in ((64, 8), (8, None))
    ]
    assert plans[0].rows == plans[1].rows
    assert plans[0].flops == 8 * plans[1].flops
    assert plans[0].recomputed == 2 * 8 * plans[1].recomputed  # once for the chunk, once for its layers
    assert plans[0].sentences()[-2].startswith("in all")
