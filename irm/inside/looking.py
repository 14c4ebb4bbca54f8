"""One image under one instruction, seen from inside: where, to which words and how loud (section 4.2)."""

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
    LayerView,
    by_word,
    gates_of,
    looks_at_words,
    on_grid,
    rolled_out,
    stretched,
    watching,
)
from irm.retrieval.model import SearchModel
from irm.retrieval.views import VIEWS, sentence_of
from omnireid.tasks import TASKS, Asking

Pixels = UInt8[np.ndarray, "_H _W 3"]


@dataclass(frozen=True, eq=False)
class Listening:
    """What became of the instruction; heat is 0..1."""

    heard: Float[np.ndarray, "h w"]  # where in the image the instruction is loud, mean over layers
    layers: tuple[Float[np.ndarray, "h w"], ...]  # the same in each layer, mean over heads
    gates: Float[np.ndarray, "layers heads"]  # what V' is multiplied with
    loudness: Float[np.ndarray, "layers heads"]  # of the class token: |g softmax(S') V'| / |softmax(S) V|
    words: tuple[
        tuple[str, float], ...
    ]  # share of the class token's look at each word, where it is a sentence
    clothes: Float[np.ndarray, "c d"] | None  # the same over the clothes image, where it is one
    turned: float  # degrees between the retrieval feature with it and without any


@dataclass(frozen=True, eq=False)
class Inside:
    """One forward pass, as an image needs it."""

    image: Pixels
    clothes: Pixels | None
    task: str
    says: str  # the instruction, in words
    domain: str  # whose batch-norm statistics
    rollout: Float[np.ndarray, "h w"]  # attention of the class token through all layers
    layers: tuple[
        Float[np.ndarray, "h w"], ...
    ]  # attention of the class token in each layer, mean over heads
    listening: Listening | None


def look_inside(
    model: SearchModel,
    image: Pixels,
    *,
    task: str | None = None,
    text: str | None = None,
    clothes: Pixels | None = None,
) -> Inside:
    """Embed an image and keep what the layers did.

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
    with model.lock, watching(transformer) as layers:
        feature = model.embed(pixels, view, domain, given, [clothes])[0]
    prefix, grid = transformer.num_prefix_tokens, transformer.vit.patch_embed.grid_size
    maps = [reduce(layer.attention[:, 0], "h n -> n", "mean") for layer in layers]
    listening = None
    if instruction is not None and all(layer.told is not None for layer in layers):
        alone = _alone(model, pixels, domain)
        listening = _listening(model, layers, instruction, _degrees(feature, alone))
    return Inside(
        image=pixels[0],
        clothes=clothes,
        task=task,
        says="" if instruction is None else instruction.sentence or "an image of clothes",
        domain=domain,
        rollout=rolled_out(layers, prefix, grid),
        layers=tuple(stretched(on_grid(one, prefix, grid)) for one in maps),
        listening=listening,
    )


def _task(model: SearchModel, text: str | None, clothes: Pixels | None) -> str:
    if clothes is not None:
        return "ctcc"
    if text is not None:
        return "li"
    return next((task for task in model.tasks if TASKS[task].bank is not None), model.tasks[0])


def _instruction(task: str, text: str | None, clothes: Pixels | None, asking: Asking) -> Instruction | None:
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
    said = sentence_of(task, asking)
    return NEUTRAL if said is None else Instruction(sentence=said, source="bank")


def _alone(model: SearchModel, pixels: UInt8[np.ndarray, "1 H W 3"], domain: str) -> Float[np.ndarray, " D"]:
    """The feature without any instruction, behind the same necks."""
    images = model.preprocessing.normalise(torch.from_numpy(pixels))
    return model.embedder.model.embed(images, view=domain)[0].float().cpu().numpy()


def _degrees(one: Float[np.ndarray, " D"], other: Float[np.ndarray, " D"]) -> float:
    cosine = float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _listening(
    model: SearchModel, layers: list[LayerView], instruction: Instruction, turned: float
) -> Listening:
    inner = model.embedder.model
    transformer = inner.editing_transformer
    prefix, grid = transformer.num_prefix_tokens, transformer.vit.patch_embed.grid_size
    told = [layer.told for layer in layers if layer.told is not None]
    loudness = torch.stack([one.loudness for one in told])  # layers, heads, tokens
    to_words = looks_at_words(told)
    words: tuple[tuple[str, float], ...] = ()
    clothes = None
    if instruction.sentence is not None:
        assert inner.tokenizer is not None
        words = by_word(inner.tokenizer, instruction.sentence, to_words)
    else:
        tower = inner.instruction_encoder.image
        clothes = stretched(on_grid(to_words, tower.num_prefix_tokens, tower.patch_embed.grid_size))
    return Listening(
        heard=stretched(on_grid(loudness.mean(dim=(0, 1)), prefix, grid)),
        layers=tuple(stretched(on_grid(one, prefix, grid)) for one in loudness.mean(dim=1)),
        gates=np.stack(gates_of(transformer)),
        loudness=loudness[:, :, 0].cpu().numpy(),
        words=words,
        clothes=clothes,
        turned=turned,
    )
