"""Converts the authors' released IRM checkpoints into an IRM that computes what their code does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from irm.models.bert import text_spec
from irm.models.irm import IRM
from irm.models.neck import module_key
from irm.models.weights.ledger import Account, Ledger
from irm.models.weights.vision_language import VisionLanguage, drop_training_extras, take_albef
from irm.models.weights.vit import Tower, take_vit

NECKS = {"edited": "feat_bn", "fused": "fusion_feat_bn"}
DROPPED = {
    r"visual_encoder\.fc\..*": "classifier of the pretraining",
    r"classifier(_f|_c)?\.weight": "classifiers of the training people",
    r"fusion\..*": "dead: the released code runs the backbone's first and last block instead",
    r"project\.weight": "of instructions for an editing transformer that the released model does not have",
    r"text_encoder\.cls\.predictions\..*": "head that predicts masked words, for training alone",
    r"(mrtd|prd)_head\..*": "head of a training task",
}


def convert_released(
    tensors: Mapping[str, Tensor], *, name: str, domain: str = "released"
) -> tuple[IRM, Account]:
    """A model in evaluation mode with a checkpoint's weights, and no tokenizer yet.

    Editing is off; E_f is the backbone's first and last block, in two streams that also attend to padding;
    the retrieval feature is both streams, not normalised (1536 numbers).

    Args:
        tensors: the state dict, unwrapped.
        name: the checkpoint's name in errors.
        domain: whose batch-norm statistics the file has; the released files are one per data set.

    Raises:
        ValueError: naming the first tensor that is missing, misshapen or unknown.
    """
    if any(key.startswith("py_model_clip.") for key in tensors):
        raise ValueError(f"{name} comes from the authors' first code (DeiT and CLIP), which is not supported")
    ledger = Ledger(tensors, name)
    vit = take_vit("pass", ledger, root="visual_encoder.")
    clothes = take_vit("albef", ledger, root="visual_encoder_m.")
    language = take_albef(ledger, tower=clothes, predicts_words=False)
    model = IRM(**_arguments(vit, language, domain))
    state = {f"editing_transformer.vit.{key}": tensor for key, tensor in vit.vit.state_dict().items()}
    state |= {f"instruction_encoder.image.{key}": t for key, t in clothes.vit.state_dict().items()}
    state |= {f"instruction_encoder.text.{key}": t for key, t in language.text.items()}
    state |= language.match
    own = model.state_dict()
    for feature, theirs in NECKS.items():
        root = f"necks.banks.{module_key(domain)}.{feature}."
        for key in [key for key in own if key.startswith(root)]:
            state[key] = ledger.take(f"{theirs}.{key.removeprefix(root)}", own[key].shape)
    for pattern, reason in DROPPED.items():
        ledger.drop(pattern, reason)
    drop_training_extras(ledger)
    account = ledger.settle()
    model.load_state_dict(state)
    return model.eval(), account


def _arguments(vit: Tower, language: VisionLanguage, domain: str) -> dict[str, Any]:
    """Those of IRM, as ``config.json`` holds them."""
    usual = text_spec(language.text_name)
    shape = {key: value for key, value in language.text_shape.items() if getattr(usual, key) != value}
    return {
        "backbone": {**_tower(vit), "drop_path": 0.1},
        "instruction": {
            "text": {"name": language.text_name, **shape},
            "image": _tower(language.tower),
            "freeze_text": False,
            "freeze_images": False,
        },
        "editing": {"editing": False},
        "fusion": {"streams": 2, "blocks": "backbone", "mask_padding": False},
        "match": {"layers": language.match_layers},
        "necks": [domain],
        "retrieval": {
            "feature": "fused",
            "normalise": False,
            "projection_dim": len(language.match["image_projection.bias"]),
        },
        "reading": {"albef": True, "pad_to_max": True},
    }


def _tower(tower: Tower) -> dict[str, Any]:
    """Arguments of ``build_backbone``."""
    return {"name": tower.name, "image_size": list(tower.vit.patch_embed.img_size), **tower.overrides}
