"""What of a VLM is trained and in which precision, as data; printed at the start (MLLM 3.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from irm.mllm.llava import VLM

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Tuning:
    """Which parts train; LoRA touches the language model alone (its layers' names are also the tower's)."""

    tower: Literal["full", "frozen"] = "full"
    projector: Literal["full", "frozen"] = "full"
    llm: Literal["lora", "full", "frozen"] = "lora"
    rank: int = 64
    alpha: float = 128.0
    dropout: float = 0.05
    targets: tuple[str, ...] = LINEAR_LAYERS


def tune(vlm: VLM, tuning: Tuning, *, frozen_dtype: torch.dtype = torch.float32) -> None:
    """Freeze, adapt and cast in place.

    What trains stays in float32: bfloat16 loses updates of 2e-6 whole. A language model that is not trained
    itself is cast to ``frozen_dtype``. Of the tower, what no loss reaches is frozen too: the norm after its
    last layer, and layers behind the one that is read.

    Raises:
        ValueError: when no layer of the language model has a name among ``targets``.
    """
    vlm.llava.requires_grad_(False)
    if tuning.llm != "full":
        # Parameters alone: the frequencies of the rotary positions, which are buffers, need their precision.
        for parameter in (*vlm.language_model.parameters(), *vlm.llava.lm_head.parameters()):
            parameter.data = parameter.data.to(frozen_dtype)
    if tuning.tower == "full":
        for part in _reached(vlm):
            part.requires_grad_(True)
        vlm.tower.embeddings.class_embedding.requires_grad_(True)
    vlm.projector.requires_grad_(tuning.projector == "full")
    if tuning.llm == "lora":
        _add_lora(vlm, tuning)
    elif tuning.llm == "full":
        vlm.language_model.requires_grad_(True)
        vlm.llava.lm_head.requires_grad_(True)


def _reached(vlm: VLM) -> Iterator[nn.Module]:
    """Parts of the tower that the hidden states in use depend on."""
    tower, layers = vlm.tower, vlm.llava.config.vision_feature_layer
    depth = len(tower.encoder.layers)
    used = [layers] if isinstance(layers, int) else list(layers)
    last = max(layer if layer >= 0 else depth + 1 + layer for layer in used)
    yield from (tower.embeddings, tower.pre_layrnorm, *tower.encoder.layers[:last])


def _add_lora(vlm: VLM, tuning: Tuning) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    names = "|".join(re.escape(target) for target in tuning.targets)
    config = LoraConfig(
        r=tuning.rank,
        lora_alpha=tuning.alpha,  # type: ignore[arg-type]
        lora_dropout=tuning.dropout,
        target_modules=rf".*\.({names})",
        bias="none",
    )
    trained = {name for name, parameter in vlm.llava.named_parameters() if parameter.requires_grad}
    try:
        inject_adapter_in_model(config, vlm.language_model)
    except ValueError as error:
        known = sorted({name.rpartition(".")[2] for name, part in _linear(vlm.language_model)})
        raise ValueError(
            f"no layer of the language model is named {', '.join(tuning.targets)} (it has {', '.join(known)})"
        ) from error
    for name, parameter in vlm.llava.named_parameters():
        is_adapter = ".lora_" in name
        parameter.requires_grad_(is_adapter or name in trained)
        if is_adapter:
            parameter.data = parameter.data.float()


def _linear(module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear)]


@dataclass(frozen=True)
class PartSize:
    """How large a part is, and how much of it trains."""

    name: str
    trained: int
    total: int
    dtypes: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.trained:,} of {self.total:,} parameters are trainable "
            f"({', '.join(self.dtypes)})"
        )


def sizes(vlm: VLM) -> tuple[PartSize, ...]:
    """Tower, projector, language model and LoRA, in numbers."""
    language = dict(vlm.language_model.named_parameters())
    head = {"lm_head": vlm.llava.lm_head.weight} if not _is_tied(vlm) else {}
    adapters = {name: each for name, each in language.items() if ".lora_" in name}
    plain = {name: each for name, each in language.items() if name not in adapters}
    groups: dict[str, dict[str, Any]] = {
        "vision tower": dict(vlm.tower.named_parameters()),
        "projector": dict(vlm.projector.named_parameters()),
        "language model": {**plain, **head},
        "LoRA": adapters,
    }
    return tuple(_size(name, list(group.values())) for name, group in groups.items() if group)


def _size(name: str, parameters: list[nn.Parameter]) -> PartSize:
    trained = sum(each.numel() for each in parameters if each.requires_grad)
    dtypes = dict.fromkeys(str(each.dtype).removeprefix("torch.") for each in parameters)
    return PartSize(name, trained, sum(each.numel() for each in parameters), tuple(dtypes))


def _is_tied(vlm: VLM) -> bool:
    return vlm.llava.lm_head.weight is vlm.llava.get_input_embeddings().weight


class TrainedPart(nn.Module):
    """The parameters of a VLM that train, and no others: what a checkpoint holds.

    They are the model's own, so that filling these fills the model; frozen ones come again from their source.
    """

    def __init__(self, vlm: VLM) -> None:
        super().__init__()
        for name, parameter in vlm.named_parameters():
            if parameter.requires_grad:
                self.register_parameter(name.replace(".", "/"), parameter)
