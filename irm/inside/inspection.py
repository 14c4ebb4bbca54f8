"""One image under one instruction: where the model looks, at which words, and how strongly (section 4.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from einops import reduce
from jaxtyping import Float, UInt8

from instructions.errors import InputError
from instructions.instruction import NEUTRAL, Instruction
from irm.inside.attention import (
    LayerAttention,
    attention_rollout,
    gates_of,
    merge_word_pieces,
    record_attention,
    rescaled,
    to_grid,
    word_attention,
)
from irm.retrieval.model import SearchModel
from irm.retrieval.views import VIEWS, sentence_of
from omnireid.tasks import TASKS, InstructionSettings

Pixels = UInt8[np.ndarray, "_H _W 3"]


@dataclass(frozen=True, eq=False)
class InstructionEffect:
    """The effect of the instruction on one image; maps are scaled to 0..1."""

    influence_map: Float[np.ndarray, "h w"]  # influence on each patch, mean over layers
    layers: tuple[Float[np.ndarray, "h w"], ...]  # the same in each layer, mean over heads
    gates: Float[np.ndarray, "layers heads"]  # what V' is multiplied with
    influence: Float[np.ndarray, "layers heads"]  # of the class token: |g softmax(S') V'| / |softmax(S) V|
    words: tuple[tuple[str, float], ...]  # share of the class token's attention to each word of a sentence
    clothes: Float[np.ndarray, "c d"] | None  # the same over the clothes image, where it is one
    angle: float  # degrees between the retrieval feature with it and without any


@dataclass(frozen=True, eq=False)
class Inspection:
    """One forward pass, with all that the figure shows."""

    image: Pixels
    clothes: Pixels | None
    task: str
    instruction: str  # the instruction, in words
    domain: str  # whose batch-norm statistics
    rollout: Float[np.ndarray, "h w"]  # attention of the class token through all layers
    layers: tuple[
        Float[np.ndarray, "h w"], ...
    ]  # attention of the class token in each layer, mean over heads
    effect: InstructionEffect | None


def inspect_image(
    model: SearchModel,
    image: Pixels,
    *,
    task: str | None = None,
    text: str | None = None,
    clothes: Pixels | None = None,
) -> Inspection:
    """Embed an image and record the attention of each layer.

    Args:
        model: of a run.
        image: decoded, of any size.
        task: by default li with a text, ctcc with clothes, else the first one with a bank of sentences.
        text: the instruction.
        clothes: the instruction, as an image of clothes.

    Raises:
        InputError: what is asked does not fit together, or the model was not trained for it.
    """
    task = task or _task(model, text, clothes)
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}; known: {', '.join(TASKS)}")
    view = next(view for view in VIEWS.values() if view.task == task)
    domain = model.domain(view)
    instruction = _instruction(task, text, clothes, model.asking)
    pixels = model.resized([image])
    transformer = model.embedder.model.editing_transformer
    given = None if instruction is None else [instruction]
    with model.lock, record_attention(transformer) as layers:
        feature = model.embed(pixels, view, domain, given, [clothes])[0]
    prefix, grid = transformer.num_prefix_tokens, transformer.vit.patch_embed.grid_size
    maps = [reduce(layer.attention[:, 0], "h n -> n", "mean") for layer in layers]
    effect = None
    if instruction is not None and all(layer.instruction is not None for layer in layers):
        alone = _alone(model, pixels, domain)
        effect = _instruction_effect(model, layers, instruction, _degrees(feature, alone))
    return Inspection(
        image=pixels[0],
        clothes=clothes,
        task=task,
        instruction="" if instruction is None else instruction.sentence or "an image of clothes",
        domain=domain,
        rollout=attention_rollout(layers, prefix, grid),
        layers=tuple(rescaled(to_grid(one, prefix, grid)) for one in maps),
        effect=effect,
    )


def _task(model: SearchModel, text: str | None, clothes: Pixels | None) -> str:
    if clothes is not None:
        return "ctcc"
    if text is not None:
        return "li"
    return next((task for task in model.tasks if TASKS[task].bank is not None), model.tasks[0])


def _instruction(
    task: str, text: str | None, clothes: Pixels | None, settings: InstructionSettings
) -> Instruction | None:
    """What stands beside the image; a neutral sentence where nothing was given.

    Raises:
        InputError: two instructions at once, an empty one, or one where the task has none.
    """
    if text is not None and clothes is not None:
        raise InputError("an instruction is either a text or a clothes image; omit --text or --clothes")
    if text is not None and not text.strip():
        raise InputError("--text is empty; write an instruction, or omit --text")
    if TASKS[task].instruction == "none":
        if text is not None or clothes is not None:
            raise InputError(f"task {task} takes no instruction with an image; omit --text and --clothes")
        return None
    if clothes is not None:
        return Instruction(clothes="clothes", source="user")
    if text is not None:
        return Instruction(sentence=text, source="user")
    said = sentence_of(task, settings)
    return NEUTRAL if said is None else Instruction(sentence=said, source="bank")


def _alone(model: SearchModel, pixels: UInt8[np.ndarray, "1 H W 3"], domain: str) -> Float[np.ndarray, " D"]:
    """The feature without any instruction, behind the same necks."""
    images = model.preprocessing.normalise(torch.from_numpy(pixels))
    return model.embedder.model.embed(images, view=domain)[0].float().cpu().numpy()


def _degrees(one: Float[np.ndarray, " D"], other: Float[np.ndarray, " D"]) -> float:
    cosine = float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _instruction_effect(
    model: SearchModel, layers: list[LayerAttention], instruction: Instruction, angle: float
) -> InstructionEffect:
    inner = model.embedder.model
    transformer = inner.editing_transformer
    prefix, grid = transformer.num_prefix_tokens, transformer.vit.patch_embed.grid_size
    told = [layer.instruction for layer in layers if layer.instruction is not None]
    influence = torch.stack([one.influence for one in told])  # layers, heads, tokens
    to_words = word_attention(told)
    words: tuple[tuple[str, float], ...] = ()
    clothes = None
    if instruction.sentence is not None:
        assert inner.tokenizer is not None
        words = merge_word_pieces(inner.tokenizer, instruction.sentence, to_words)
    else:
        tower = inner.instruction_encoder.image
        clothes = rescaled(to_grid(to_words, tower.num_prefix_tokens, tower.patch_embed.grid_size))
    return InstructionEffect(
        influence_map=rescaled(to_grid(influence.mean(dim=(0, 1)), prefix, grid)),
        layers=tuple(rescaled(to_grid(one, prefix, grid)) for one in influence.mean(dim=1)),
        gates=np.stack(gates_of(transformer)),
        influence=influence[:, :, 0].cpu().numpy(),
        words=words,
        clothes=clothes,
        angle=angle,
    )
