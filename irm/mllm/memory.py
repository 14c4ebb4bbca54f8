"""How much memory and arithmetic a training step takes, counted from a model's shapes, on any device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from irm.mllm.llava import VLM

GIB = 1024**3
HALF, FULL = 2, 4  # bytes of bfloat16 and float32


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes by purpose, and the floating-point operations of a step; an estimate within about a fifth."""

    rows: dict[str, int]
    flops: int  # of the model itself: what is computed a second time is not counted (MFU's convention)
    recomputed: int  # what checkpointing and chunks compute again

    @property
    def total(self) -> int:
        """Bytes of all rows."""
        return sum(self.rows.values())

    def sentences(self) -> tuple[str, ...]:
        """The plan in words, a line a row."""
        lines = [f"{name:<34}{size / GIB:8.2f} GiB" for name, size in self.rows.items()]
        again = f", and {self.recomputed / 1e12:.1f} recomputed" if self.recomputed else ""
        return (
            *lines,
            f"{'in all':<34}{self.total / GIB:8.2f} GiB",
            f"{self.flops / 1e12:.1f} TFLOP a step{again}",
        )


@dataclass(frozen=True)
class Stack:
    """A stack of transformer layers, as far as counting needs it."""

    parameters: int  # of its layers, adapters left out
    depth: int
    width: int
    inner: int  # width of its MLP
    matrices: int  # in the MLP: 2, or 3 where it is gated
    tokens: int  # per row
    is_trained: bool
    residual_bytes: int

    def layer_bytes(self) -> int:
        """What a layer keeps for its backward pass, per token: inputs of its products, in half."""
        attention = 5 * self.width  # normed input, queries, keys, values, result
        mlp = self.width + (self.matrices + 1) * self.inner  # normed input, hidden states, their activation
        return (attention + mlp) * HALF + 2 * self.width * self.residual_bytes

    def forward_flops(self) -> int:
        """Of one row."""
        return self.tokens * (2 * self.parameters + 4 * self.depth * self.width * self.tokens)


def plan_memory(
    vlm: VLM, *, batch: int, text_tokens: int, checkpointing: bool, chunk: int | None = None, sharers: int = 1
) -> MemoryPlan:
    """What a step of ``batch`` images needs under bfloat16 autocast and AdamW.

    Args:
        vlm: tuned; it may be on the meta device.
        batch: images a step.
        text_tokens: prompt and answers of one image.
        checkpointing: whether layers are computed again.
        chunk: rows at a time, where the batch is cut (GradCache).
        sharers: processes that each keep a part of every layer (FSDP); the one layer in use is not counted.
    """
    parameters = list(vlm.parameters())
    trained = sum(each.numel() for each in parameters if each.requires_grad)
    tower, language = _stacks(vlm, text_tokens)
    at_once = min(batch, chunk or batch)
    kept = 0
    for stack in (tower, language):
        boundaries = stack.depth * stack.width * stack.residual_bytes
        whole = boundaries + stack.layer_bytes() if checkpointing else stack.depth * stack.layer_bytes()
        kept += at_once * stack.tokens * whole
    vocabulary = vlm.llava.lm_head.weight.shape[0]
    rows = {
        "weights": sum(each.numel() * each.itemsize for each in parameters) // sharers,
        "gradients": trained * FULL // sharers,
        "AdamW's two moments": 2 * trained * FULL // sharers,
        "half-precision copies of weights": _largest_copies(vlm),
        "activations": kept,
        "logits of the answers": at_once * text_tokens // 2 * vocabulary * (HALF + 2 * FULL),
    }
    times = int(checkpointing) + int(at_once < batch)
    return MemoryPlan(
        rows,
        flops=_flops(batch, (tower, language), adapters=_adapter_size(vlm), head=vocabulary),
        recomputed=times * batch * (tower.forward_flops() + language.forward_flops()),
    )


def _stacks(vlm: VLM, text_tokens: int) -> tuple[Stack, Stack]:
    vision: Any = vlm.tower.config
    words: Any = vlm.llava.config.text_config
    images = vlm.num_image_tokens + (not vlm.keep_class_token)
    tower = Stack(
        parameters=_count(vlm.tower.encoder),
        depth=vision.num_hidden_layers,
        width=vision.hidden_size,
        inner=vision.intermediate_size,
        matrices=2,
        tokens=images,
        is_trained=any(each.requires_grad for each in vlm.tower.parameters()),
        residual_bytes=FULL,
    )
    table: Any = vlm.llava.get_input_embeddings()
    embeddings = table.weight.numel()
    language = Stack(
        parameters=_count(vlm.language_model) - embeddings - _adapter_size(vlm),
        depth=words.num_hidden_layers,
        width=words.hidden_size,
        inner=words.intermediate_size,
        matrices=3,
        tokens=vlm.num_image_tokens + text_tokens,
        is_trained=any(
            each.requires_grad for name, each in vlm.language_model.named_parameters() if ".lora_" not in name
        ),
        residual_bytes=HALF,
    )
    return tower, language


def _flops(batch: int, stacks: tuple[Stack, Stack], *, adapters: int, head: int) -> int:
    """Forward, gradients of inputs, and gradients of weights where they train."""
    tower, language = stacks
    whole = sum(stack.forward_flops() * (3 if stack.is_trained else 2) for stack in stacks)
    answers = (language.tokens - tower.tokens) // 2
    return batch * (whole + 6 * adapters * language.tokens + 4 * answers * head * language.width)


def _largest_copies(vlm: VLM) -> int:
    """Autocast keeps half-precision copies of trained float32 weights for the length of a forward pass."""
    return sum(each.numel() * HALF for each in vlm.parameters() if each.requires_grad and each.ndim > 1)


def _count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


def _adapter_size(vlm: VLM) -> int:
    return sum(each.numel() for name, each in vlm.language_model.named_parameters() if ".lora_" in name)
