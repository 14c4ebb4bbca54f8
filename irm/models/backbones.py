"""Vision transformers by name: pretraining, size and stem of each (IRM, section 5.1)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import timm
from timm.layers import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class BackboneSpec:
    """One kind of backbone; everything else is as in timm's model ``timm_name``."""

    timm_name: str  # with a tag if timm publishes weights of this pretraining
    embed_dim: int
    depth: int
    num_heads: int
    patch_size: int = 16
    reg_tokens: int = 0  # beside the class token; PASS calls its three "part tokens"
    stem: Literal["patch", "convolution"] = "patch"
    image_size: tuple[int, int] = (256, 128)  # height, width of the pretraining, or a suitable size
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    position_resize: Literal["bicubic", "bilinear"] = "bicubic"
    arguments: Mapping[str, Any] = field(default_factory=dict)  # more of timm's own

    @property
    def num_prefix_tokens(self) -> int:
        """The class token and the registers."""
        return 1 + self.reg_tokens


BACKBONES: dict[str, BackboneSpec] = {
    "vit_base": BackboneSpec(
        "vit_base_patch16_224.augreg_in21k", 768, 12, 12, image_size=(224, 224), mean=HALF, std=HALF
    ),
    "vit_small": BackboneSpec(
        "vit_small_patch16_224.augreg_in21k", 384, 12, 6, image_size=(224, 224), mean=HALF, std=HALF
    ),
    # DeiT's positions are resized bilinearly in re-identification (TransReID).
    "deit_base": BackboneSpec(
        "deit_base_patch16_224.fb_in1k", 768, 12, 12, image_size=(224, 224), position_resize="bilinear"
    ),
    "deit_small": BackboneSpec(
        "deit_small_patch16_224.fb_in1k", 384, 12, 6, image_size=(224, 224), position_resize="bilinear"
    ),
    "clip_vit_base": BackboneSpec(
        "vit_base_patch16_clip_quickgelu_224.openai",
        768,
        12,
        12,
        image_size=(224, 224),
        mean=CLIP_MEAN,
        std=CLIP_STD,
    ),
    "clip_vit_large": BackboneSpec(
        "vit_large_patch14_clip_quickgelu_224.openai",
        1024,
        24,
        16,
        patch_size=14,
        image_size=(224, 224),
        mean=CLIP_MEAN,
        std=CLIP_STD,
    ),
    # Pretrained on images of people; timm has the architecture, tools.convert_weights the weights.
    "pass_vit_base": BackboneSpec(
        "vit_base_patch16_224", 768, 12, 12, reg_tokens=3, position_resize="bilinear"
    ),
    "hap_vit_base": BackboneSpec("vit_base_patch16_224", 768, 12, 12),
    "solider_vit_base": BackboneSpec(
        "vit_base_patch16_224", 768, 12, 12, mean=HALF, std=HALF, position_resize="bilinear"
    ),
    "solider_vit_small": BackboneSpec(
        "vit_small_patch16_224", 384, 12, 6, mean=HALF, std=HALF, position_resize="bilinear"
    ),
    # ALBEF's image tower, which encodes clothes images as instructions.
    "albef_vit_base": BackboneSpec(
        "vit_base_patch16_224", 768, 12, 12, image_size=(256, 256), mean=CLIP_MEAN, std=CLIP_STD
    ),
    # BLIP's, as transformers builds it: norms with CLIP's epsilon, and none before the first block.
    "blip_vit_base": BackboneSpec(
        "vit_base_patch16_clip_224",
        768,
        12,
        12,
        image_size=(384, 384),
        mean=CLIP_MEAN,
        std=CLIP_STD,
        arguments={"pre_norm": False},
    ),
    # Trained from scratch in minutes without a GPU: convolutions first, because patches alone learn slowly.
    "vit_demo": BackboneSpec("vit_tiny_patch16_224", 192, 6, 3, stem="convolution", image_size=(128, 64)),
    "vit_demo_small": BackboneSpec(
        "vit_tiny_patch16_224", 128, 4, 4, stem="convolution", image_size=(128, 64)
    ),
    "vit_demo_clothes": BackboneSpec(
        "vit_tiny_patch16_224", 128, 3, 4, stem="convolution", image_size=(64, 64)
    ),
    "tiny": BackboneSpec("vit_tiny_patch16_224", 32, 2, 4, image_size=(64, 32)),  # for tests
}


class ConvolutionalStem(PatchEmbed):
    """Patches embedded by 3x3 convolutions of stride 2 instead of one large one (Xiao et al., 2021).

    With group normalisation instead of batch normalisation, so that an image's tokens do not depend on its
    batch.
    """

    def __init__(
        self, *, patch_size: int = 16, in_chans: int = 3, embed_dim: int = 768, **arguments: Any
    ) -> None:
        super().__init__(patch_size=patch_size, in_chans=in_chans, embed_dim=embed_dim, **arguments)
        num_halvings = patch_size.bit_length() - 1
        if patch_size < 2 or patch_size != 1 << num_halvings:
            raise ValueError(
                "a convolutional stem halves the image at each step, so its patch size must be 2, 4, 8, ..., "
                f"not {patch_size}"
            )
        widths = [max(embed_dim >> (num_halvings - step), 8) for step in range(1, num_halvings)]
        layers: list[nn.Module] = []
        for before, width in zip([in_chans, *widths], widths, strict=False):
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(1, width),
                nn.ReLU(),
            ]
        self.proj = nn.Sequential(  # type: ignore[assignment]
            *layers, nn.Conv2d([in_chans, *widths][-1], embed_dim, 3, stride=2, padding=1)
        )


def backbone_spec(name: str) -> BackboneSpec:
    """The entry of ``BACKBONES``.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if name not in BACKBONES:
        near = difflib.get_close_matches(name, BACKBONES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no backbone {name!r}{hint} (known: {', '.join(BACKBONES)})")
    return BACKBONES[name]


def _check_published(spec: BackboneSpec, name: str) -> None:
    if "." not in spec.timm_name:  # without a tag, timm loads some other weights of this shape
        raise ValueError(
            f"timm publishes no weights for {name}; convert its authors' checkpoint with "
            "tools.convert_weights and give that folder instead"
        )


def build_backbone(
    name: str,
    image_size: Sequence[int] | None = None,
    *,
    drop_path: float = 0.0,
    pretrained: bool = False,
    **overrides: Any,
) -> VisionTransformer:
    """A vision transformer without a classifier; its tokens are class token, registers, patches row by row.

    Args:
        name: a key of ``BACKBONES``.
        image_size: height and width in pixels; by default those of the spec.
        drop_path: stochastic depth of the last block, rising linearly from zero at the first.
        pretrained: fetch timm's published weights from the hub (positions are resized by timm).
        overrides: fields of ``BackboneSpec`` (embed_dim, depth, num_heads, patch_size, reg_tokens, stem) or
            further arguments of timm's ``VisionTransformer``.

    Raises:
        ValueError: for an unknown name, an architecture without plain tokens, or an image size that does not
            divide into patches.
    """
    spec = backbone_spec(name)
    if pretrained:
        _check_published(spec, name)
    shape = {
        key: overrides.pop(key, getattr(spec, key))
        for key in ("embed_dim", "depth", "num_heads", "patch_size", "reg_tokens", "stem")
    }
    (height, width), patch_size = image_size or spec.image_size, shape["patch_size"]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"image size {height}x{width} is not divisible into the {patch_size}-pixel patches of {name!r}"
        )
    dim, heads = shape["embed_dim"], shape["num_heads"]
    if dim % heads:
        raise ValueError(f"{heads} heads do not divide the width {dim} of {name!r}")
    if shape.pop("stem") == "convolution":
        shape["embed_layer"] = ConvolutionalStem
    arguments = {**shape, **spec.arguments, **overrides}
    return _create(
        name, spec, pretrained=pretrained, img_size=(height, width), drop_path_rate=drop_path, **arguments
    )


def _create(name: str, spec: BackboneSpec, **arguments: Any) -> VisionTransformer:
    """Create the model by timm and check that its tokens can be edited."""
    reason = (
        f"{name!r}: timm's {spec.timm_name} is not a plain vision transformer, the only kind whose tokens "
        "can be edited"
    )
    try:
        vit = timm.create_model(spec.timm_name, num_classes=0, **arguments)
    except TypeError as error:  # another architecture has other arguments
        raise ValueError(f"{reason} ({error})") from None
    if not isinstance(vit, VisionTransformer):
        raise ValueError(reason)
    return vit
