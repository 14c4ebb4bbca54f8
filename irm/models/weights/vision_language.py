"""Converts ALBEF and BLIP into our parts: sentence encoder, image tower, match head (IRM, section 5.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from irm.models.bert import CrossLayers, TextLayers, text_spec
from irm.models.weights.ledger import Account, Ledger
from irm.models.weights.vit import HEAD_WIDTH, Tower, take_vit

MOMENTUM = "momentum copy, for training alone"
QUEUE = "queue of older features, for training alone"


@dataclass(frozen=True)
class VisionLanguage:
    """A vision-language model, its tensors named as in IRM."""

    text_name: str  # the key of TEXT_ENCODERS
    text_shape: dict[str, int]  # arguments of TextLayers
    text: dict[str, Tensor]  # of InstructionEncoder.text
    tower: Tower  # InstructionEncoder.image, at the size it was trained at
    match_layers: int
    match: dict[str, Tensor]  # of IRM: match_head., image_projection., text_projection., log_temperature
    words: dict[str, Tensor]  # of WordHead; empty where the checkpoint predicts no words


def convert_albef(
    tensors: Mapping[str, Tensor], *, name: str, tower: Literal["momentum", "live"] | None = None
) -> tuple[VisionLanguage, Account]:
    """ALBEF's pretrained checkpoint, or one that was fine-tuned for retrieval.

    Args:
        tensors: the state dict, unwrapped.
        name: the checkpoint's name in errors.
        tower: which image tower: the momentum copy, which the released IRM encodes instructions with, or the
            trained one; by default the first of them that is there.

    Raises:
        ValueError: naming the first tensor that is missing, misshapen or unknown.
    """
    ledger = Ledger(tensors, name)
    has_copy = any(key.startswith("visual_encoder_m.") for key in tensors)
    chosen = tower or ("momentum" if has_copy else "live")
    root, other = "visual_encoder.", "visual_encoder_m."
    if chosen == "momentum":
        root, other = other, root
    model = take_albef(ledger, tower=take_vit("albef", ledger, root=root))
    ledger.drop(re.escape(other) + ".*", f"the other image tower; the {chosen} one was requested")
    drop_training_extras(ledger)
    return model, ledger.settle()


def take_albef(ledger: Ledger, *, tower: Tower, predicts_words: bool = True) -> VisionLanguage:
    """Take text encoder, match head and projections from a ledger that has them under ALBEF's names.

    Args:
        ledger: not settled yet.
        tower: the image tower, taken before.
        predicts_words: also take the head of masked language modelling, if there is one.
    """
    keys = ledger.tensors
    root = "text_encoder."
    if any(key.startswith("text_encoder.bert.") for key in keys):
        root = "text_encoder.bert."  # with a head that predicts words around it
    crossing = _indices(keys, re.escape(root) + r"encoder\.layer\.(\d+)\.crossattention\..*")
    if not crossing:
        raise ValueError(
            f"{ledger.name} has no {root + 'encoder.layer.6.crossattention.self.query.weight'!r}"
        )
    shape = _text_shape(ledger, root, depth=min(crossing))
    text = _take_text(ledger, shape, _under(root))
    last = max(max(crossing), _least_layers(shape["embed_dim"]) - 1)
    depth = last + 1 - min(crossing)
    match = _take_match(ledger, shape, depth, root, first=min(crossing))
    match["log_temperature"] = ledger.take("temp", ()).log()
    words = {}
    if root == "text_encoder.bert." and predicts_words:
        words = _take_words(ledger, shape["embed_dim"], shape["vocab_size"])
    ledger.drop(re.escape(root) + r"embeddings\.position_ids", "0, 1, 2, ...")
    return VisionLanguage("albef_base", shape, text, tower, depth, match, words)


def drop_training_extras(ledger: Ledger) -> None:
    """Drop what ALBEF, RaSa and the released IRM keep for training only."""
    ledger.drop(r"(text_encoder|text_proj|vision_proj|visual_encoder)_m\..*", MOMENTUM)
    ledger.drop(r"(image|text|idx)_queue|queue_ptr|ptr_queue", QUEUE)


def convert_blip(tensors: Mapping[str, Tensor], *, name: str) -> tuple[VisionLanguage, Account]:
    """BLIP for retrieval, as ``transformers.BlipForImageTextRetrieval`` names its tensors.

    Its one BERT runs either without an image or with cross-attention to one in every layer: the first use
    becomes the sentence encoder, the second the match head.

    Raises:
        ValueError: naming the first tensor that is missing, misshapen or unknown.
    """
    ledger, root = Ledger(tensors, name), "text_encoder."
    tower = take_vit("blip", ledger, root="vision_model.")
    crossing = _indices(tensors, r"text_encoder\.encoder\.layer\.(\d+)\.crossattention\..*")
    if not crossing:
        raise ValueError(f"{name} has no 'text_encoder.encoder.layer.0.crossattention.self.query.weight'")
    width = ledger.take(f"{root}embeddings.word_embeddings.weight").shape[-1]
    shape = _text_shape(ledger, root, depth=max(max(crossing) + 1, _least_layers(width)))
    kinds = torch.zeros(2, shape["embed_dim"])  # BLIP has no token types, so ours add zero
    text = _take_text(ledger, shape, _under(root), {"embeddings.token_type_embeddings.weight": kinds})
    match = _take_match(ledger, shape, shape["depth"], root, first=0)
    match["log_temperature"] = torch.tensor(0.07).log()  # from its training; the library drops it
    ledger.drop(r".*\.position_ids", "0, 1, 2, ...")
    model = VisionLanguage("blip_base", shape, text, tower, shape["depth"], match, {})
    return model, ledger.settle()


def _indices(keys: Mapping[str, Tensor], pattern: str) -> list[int]:
    compiled = re.compile(pattern)
    return [int(found[1]) for key in keys if (found := compiled.fullmatch(key))]


def _least_layers(width: int) -> int:
    """Of a BERT of this width: a file that lacks whole layers at the end is not taken for a shallow one."""
    usual = text_spec("blip_base")
    return usual.depth if width == usual.embed_dim else 0


def _under(root: str) -> Callable[[str], str]:
    """Maps our names of text layers to BERT's, below a root."""
    return lambda key: f"{root}{'' if key.startswith('embeddings.') else 'encoder.'}{key}"


def _text_shape(ledger: Ledger, root: str, *, depth: int) -> dict[str, int]:
    words = ledger.take(f"{root}embeddings.word_embeddings.weight")
    width = words.shape[-1]
    usual = text_spec("albef_base")
    if width != usual.embed_dim and width % HEAD_WIDTH:
        raise ValueError(f"{ledger.name} has a BERT of width {width}, whose number of heads is unknown")
    return {
        "embed_dim": width,
        "depth": depth,
        "num_heads": width // HEAD_WIDTH,
        "hidden_dim": ledger.take(f"{root}encoder.layer.0.intermediate.dense.weight").shape[0],
        "vocab_size": words.shape[0],
        "max_positions": ledger.take(f"{root}embeddings.position_embeddings.weight").shape[0],
    }


def _take_text(
    ledger: Ledger,
    shape: dict[str, int],
    source: Callable[[str], str],
    given: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    with torch.device("meta"):
        layers = TextLayers(**shape)
    given = given or {}
    return {
        key: given[key] if key in given else ledger.take(source(key), tensor.shape)
        for key, tensor in layers.state_dict().items()
    }


def _take_match(
    ledger: Ledger, shape: Mapping[str, int], depth: int, root: str, *, first: int
) -> dict[str, Tensor]:
    """Cross-attention layers, the matching head, and the projections into the shared space."""
    width = shape["embed_dim"]
    with torch.device("meta"):
        layers = CrossLayers(
            embed_dim=width, depth=depth, num_heads=shape["num_heads"], hidden_dim=shape["hidden_dim"]
        )
    match = {}
    for key, tensor in layers.state_dict().items():
        _, index, rest = key.split(".", 2)
        source = f"{root}encoder.layer.{int(index) + first}.{rest}"
        match[f"match_head.cross.{key}"] = ledger.take(source, tensor.shape)
    joint = ledger.take("text_proj.weight").shape[0]
    for ours, theirs, rows in (
        ("match_head.head", "itm_head", 2),
        ("image_projection", "vision_proj", joint),
        ("text_projection", "text_proj", joint),
    ):
        match[f"{ours}.weight"] = ledger.take(f"{theirs}.weight", (rows, width))
        match[f"{ours}.bias"] = ledger.take(f"{theirs}.bias", (rows,))
    return match


def _take_words(ledger: Ledger, width: int, vocab_size: int) -> dict[str, Tensor]:
    """The head of masked language modelling; its matrix is tied to the word embeddings, as in every BERT."""
    root = "text_encoder.cls.predictions."
    tied = {
        f"{root}decoder.weight": "text_encoder.bert.embeddings.word_embeddings.weight",
        f"{root}decoder.bias": f"{root}bias",
    }
    for copy, original in tied.items():
        if copy in ledger.tensors and not torch.equal(ledger.tensors[copy], ledger.tensors[original]):
            raise ValueError(f"{copy!r} of {ledger.name} differs from {original!r}, which it should equal")
    ledger.drop(re.escape(f"{root}decoder.") + "(weight|bias)", "tied: the same as another tensor")
    return {
        "dense.weight": ledger.take(f"{root}transform.dense.weight", (width, width)),
        "dense.bias": ledger.take(f"{root}transform.dense.bias", (width,)),
        "norm.weight": ledger.take(f"{root}transform.LayerNorm.weight", (width,)),
        "norm.bias": ledger.take(f"{root}transform.LayerNorm.bias", (width,)),
        "bias": ledger.take(f"{root}bias", (vocab_size,)),
    }
