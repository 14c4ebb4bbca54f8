"""The sizes of the paper's IRM (section 5.1), and settings of retrieval and reading, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

# ViT-Base at 256x128; ALBEF as instruction encoder and as match head.
BACKBONE: dict[str, Any] = {"name": "pass_vit_base", "image_size": [256, 128], "drop_path": 0.1}
INSTRUCTION: dict[str, Any] = {
    "text": {"name": "albef_base"},
    "image": {"name": "albef_vit_base", "image_size": [128, 128]},
}
MATCH: dict[str, Any] = {"layers": 6}


@dataclass(frozen=True)
class RetrievalSettings:
    """Which features a search compares, and how its images were resized."""

    feature: Literal["edited", "fused", "both"] = "edited"  # section 4.2: F; released code: F_out
    normalise: bool = True  # to unit length; the released code compares raw features
    projection_dim: int = 256  # of the space that images and texts share
    after_neck: bool = True  # TransReID and CLIP-ReID compare what comes before their neck
    resize: Literal["bilinear", "bicubic"] = "bilinear"  # TransReID, CLIP-ReID, QAConv: bicubic


@dataclass(frozen=True)
class SentenceSettings:
    """How sentences are read."""

    albef: bool = False  # see SentenceTokenizer
    max_tokens: int = 70
    pad_to_max: bool = False  # see SentenceTokenizer
    cache: int = 4096  # sentences whose features a frozen encoder keeps; 0 keeps none
