"""Vision tower, linear projector and language model as one LLaVA; one pass for both losses (MLLM 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from transformers import LlavaConfig, LlavaForConditionalGeneration

from irm.losses.precision import full_precision
from irm.mllm.dialogue import IGNORED, DialogueBatch
from irm.mllm.parts import FeatureLayer, Parts, add_image_token

Pool = Literal["mean", "last", "max", "class"]
TOWER = "model.vision_tower."  # where parameters of the tower begin in a LLaVA of transformers


class LinearProjector(nn.Module):
    """One matrix from tower features to word embeddings (MLLM, section 3.1); LLaVA's own is a small MLP."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        layers = config.vision_feature_layer
        num_layers = 1 if isinstance(layers, int) else len(layers)
        self.linear = nn.Linear(
            config.vision_config.hidden_size * num_layers,
            config.text_config.hidden_size,
            bias=config.multimodal_projector_bias,
        )

    def forward(self, features: Float[Tensor, "B n V"]) -> Float[Tensor, "B n E"]:
        """Words of the image."""
        return self.linear(features)


@dataclass(frozen=True)
class VLMOutput:
    """What one forward pass gives both losses."""

    negative_log_likelihood: Float[Tensor, ""]  # summed over the answer tokens
    latent: Float[Tensor, "B E"]  # pooled image slots of the last layer, float32


class VLM(nn.Module):
    """A LLaVA that reads person-shaped images and also hands out the images' latent features."""

    def __init__(
        self,
        parts: Parts,
        *,
        image_size: tuple[int, int] = (256, 128),
        feature_layer: FeatureLayer = -1,
        keep_class_token: bool = False,
        projector: Literal["linear", "mlp2x_gelu"] = "linear",
        pool: Pool = "mean",
        checkpointing: bool = False,
        chunk: int | None = None,
    ) -> None:
        """Put the parts together; a projector that is not among them starts at random.

        Args:
            parts: from ``load_parts``.
            image_size: height and width of the images, of which whole patches are read.
            feature_layer: hidden state(s) of the tower: -1 after, -2 before its last layer (section 3.1).
            keep_class_token: hand the class token to the language model beside the patches.
            projector: the paper's matrix, or LLaVA-1.5's two layers.
            pool: how the image slots become one vector; "class" takes that of the class token.
            checkpointing: compute layers again in the backward pass.
            chunk: compute so many rows at a time, again in the backward pass (GradCache; the same gradients).

        Raises:
            ValueError: when the tower has too few layers, or the parts do not fit each other.
        """
        super().__init__()
        if pool == "class" and not keep_class_token:
            raise ValueError("pool is class, so the class token must be kept: set keep_class_token=true")
        self.pool, self.chunk, self.keep_class_token = pool, chunk, keep_class_token
        self.projector_layer = parts.feature_layer  # that a projector which comes along was taught to read
        self.tokenizer = parts.tokenizer
        language_model: Any = parts.language_model
        self.image_token_id = add_image_token(parts.tokenizer, language_model)
        config = LlavaConfig(
            vision_config=parts.tower.config,  # type: ignore[arg-type]
            text_config=language_model.config,
            image_token_index=self.image_token_id,
            vision_feature_layer=feature_layer if isinstance(feature_layer, int) else list(feature_layer),
            vision_feature_select_strategy="full" if keep_class_token else "default",
        )
        self.llava = _assembled(config, parts, language_model, projector)
        self.image_size = whole_patches(image_size, self.tower.config.patch_size)
        _check_layers(feature_layer, self.tower.config.num_hidden_layers)
        _check_projector(self.projector, config)
        if checkpointing:
            _checkpoint_layers(self.llava)

    @property
    def tower(self) -> Any:
        """The vision tower, which is what the training is for."""
        return self.llava.model.vision_tower

    @property
    def projector(self) -> nn.Module:
        """From tower features to word embeddings."""
        return self.llava.model.multi_modal_projector

    @property
    def language_model(self) -> nn.Module:
        """The language model without its head."""
        return self.llava.model.language_model

    @property
    def layers(self) -> Iterator[nn.Module]:
        """Where nearly all of its parameters are: the tower's layers and the language model's."""
        language: Any = self.language_model
        yield from (*self.tower.encoder.layers, *language.layers)

    @property
    def embed_dim(self) -> int:
        """Width E of the latent features."""
        words: Any = self.llava.config.text_config
        return int(words.hidden_size)

    @property
    def num_image_tokens(self) -> int:
        """Slots that one image fills."""
        height, width = self.image_size
        patch = self.tower.config.patch_size
        return (height // patch) * (width // patch) + self.keep_class_token

    def forward(self, images: Float[Tensor, "B 3 H W"], dialogue: DialogueBatch) -> VLMOutput:
        """Likelihood of the answers and latent features of the images.

        Raises:
            ValueError: when a dialogue has not as many image slots as the tower gives tokens.
        """
        self._check_slots(images, dialogue)
        if self.chunk is None or self.chunk >= len(images):
            return VLMOutput(*self._run(images, dialogue.input_ids, dialogue.attention_mask, dialogue.labels))
        parts = []
        for rows in torch.split(torch.arange(len(images)), self.chunk):
            inputs = (images[rows], *(tensor[rows] for tensor in dialogue.tensors()))
            parts.append(checkpoint(self._run, *inputs, use_reentrant=False))
        return VLMOutput(torch.stack([nll for nll, _ in parts]).sum(), torch.cat([v for _, v in parts]))

    def _run(self, images: Tensor, ids: Tensor, mask: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        core = self.llava.model
        # Asked for apart, because the whole model's forward cannot be told to resize positions.
        features = core.get_image_features(pixel_values=images, interpolate_pos_encoding=True)
        states = core(
            input_ids=ids, attention_mask=mask, mm_encoder_outputs={"image": features}, use_cache=False
        ).last_hidden_state
        targets = labels[:, 1:]
        is_answer = F.pad(targets != IGNORED, (0, 1))
        nll = states.sum() * 0.0  # a batch without answers still has a graph
        if is_answer.any():
            logits = self.llava.lm_head(states[is_answer])  # never of all positions: the vocabulary is large
            nll = F.cross_entropy(full_precision(logits), targets[targets != IGNORED], reduction="sum")
        return nll, self._pooled(states, ids)

    def _pooled(self, states: Float[Tensor, "B L E"], ids: Int[Tensor, "B L"]) -> Float[Tensor, "B E"]:
        slots = rearrange(
            full_precision(states[ids == self.image_token_id]), "(b n) e -> b n e", n=self.num_image_tokens
        )
        if self.pool == "mean":
            return slots.mean(dim=1)
        if self.pool == "class":
            return slots[:, 0]
        return slots[:, -1] if self.pool == "last" else slots.amax(dim=1)

    def _check_slots(self, images: Float[Tensor, "B 3 H W"], dialogue: DialogueBatch) -> None:
        size = (int(images.shape[-2]), int(images.shape[-1]))
        if size != self.image_size:
            raise ValueError(f"the images are {size}, but this model was built for {self.image_size}")
        slots = (dialogue.input_ids == self.image_token_id).sum(dim=1)
        if len(slots) != len(images):
            raise ValueError(
                f"{len(slots)} dialogues were given for {len(images)} images; each needs its own"
            )
        wrong = slots[slots != self.num_image_tokens]
        if len(wrong):
            raise ValueError(
                f"a dialogue has {int(wrong[0])} image slots, but the tower gives {self.num_image_tokens} "
                f"tokens for a {size[0]}x{size[1]} image"
            )

    def trained_weights(self) -> dict[str, Tensor]:
        """What ``save_pretrained`` writes: the tower, and what else was trained."""
        return {
            name: tensor.detach()
            for name, tensor in self.llava.named_parameters()
            if tensor.requires_grad or name.startswith(TOWER)
        }

    def save_pretrained(self, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Write ``tower/`` for transformers, ``adapter.safetensors``, the tokenizer.

        Args:
            folder: a new one.
            weights: as ``trained_weights`` names them, where this process has but a part of each.
        """
        from safetensors.torch import save_file

        weights = self.trained_weights() if weights is None else weights
        tower = {name.removeprefix(TOWER): each for name, each in weights.items() if name.startswith(TOWER)}
        others = {
            name: each.cpu().contiguous() for name, each in weights.items() if not name.startswith(TOWER)
        }
        folder.mkdir(parents=True)
        self.tower.save_pretrained(folder / "tower", state_dict=tower)
        save_file(others, folder / "adapter.safetensors")
        self.tokenizer.save_pretrained(folder / "tokenizer")


def whole_patches(image_size: Sequence[int], patch: int) -> tuple[int, int]:
    """The largest size within ``image_size`` that patches cover: 256x128 has 18x9 patches of 14, 252x126.

    Images are resized to it as a whole, so neither head nor feet are lost.

    Raises:
        ValueError: when they are smaller than a patch.
    """
    height, width = image_size
    if min(height, width) < patch:
        raise ValueError(
            f"images of {height}x{width} are smaller than one {patch}x{patch} patch; choose a larger size"
        )
    return height // patch * patch, width // patch * patch


def _assembled(
    config: LlavaConfig, parts: Parts, language_model: Any, projector: str
) -> LlavaForConditionalGeneration:
    """The LLaVA around the parts; built on no device first, so that nothing exists twice."""
    device = next(language_model.parameters()).device
    with torch.device("meta"):
        llava = LlavaForConditionalGeneration(config)
    if parts.projector is not None:
        llava.model.multi_modal_projector = parts.projector
    elif projector == "linear":
        with device:
            llava.model.multi_modal_projector = LinearProjector(config)
    else:
        llava.model.multi_modal_projector.to_empty(device=device)
        for layer in (llava.model.multi_modal_projector.linear_1, llava.model.multi_modal_projector.linear_2):
            layer.reset_parameters()
    llava.model.vision_tower = parts.tower
    llava.model.language_model = getattr(language_model, language_model.base_model_prefix)
    llava.lm_head = language_model.get_output_embeddings()
    return llava


def _check_layers(feature_layer: FeatureLayer, depth: int) -> None:
    layers = (feature_layer,) if isinstance(feature_layer, int) else feature_layer
    for layer in layers:
        if not -depth - 1 <= layer <= depth:
            raise ValueError(f"the tower has {depth} layers, so it has no feature layer {layer}")


def _check_projector(projector: nn.Module, config: Any) -> None:
    """A projector that comes along reads as many numbers of a patch as the layers in use give."""
    layers = config.vision_feature_layer
    given = config.vision_config.hidden_size * (1 if isinstance(layers, int) else len(layers))
    read = next(projector.parameters()).shape[1]
    if read != given:
        raise ValueError(
            f"the projector expects {read} features per patch, but feature layer {layers} provides {given}; "
            "give as many layers as it was trained on"
        )


def _checkpoint_layers(llava: Any) -> None:
    # Renamed in transformers 5.23; the old name only warns there and is the only one before.
    enable = getattr(llava, "activation_checkpointing_enable", None)
    (enable or llava.gradient_checkpointing_enable)()
