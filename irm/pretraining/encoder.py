"""A plain vision transformer as the benchmark sees a model: its class token is the retrieval feature."""

from __future__ import annotations

import torch
from jaxtyping import Float
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from omnireid.interfaces import Side
from omnireid.loading.batch import Batch
from omnireid.loading.transforms import Preprocessing

RGB = tuple[float, float, float]


class EncoderEmbedder:
    """A backbone in evaluation mode behind the benchmark's interface; instructions are not looked at."""

    def __init__(self, vit: VisionTransformer, *, mean: RGB, std: RGB) -> None:
        self.vit = vit.eval()
        height, width = vit.patch_embed.img_size
        self.preprocessing = Preprocessing(image_size=(height, width), mean=mean, std=std)

    @torch.no_grad()
    def embed(self, batch: Batch, side: Side) -> Float[Tensor, "B D"]:  # noqa: ARG002 (both sides alike)
        """The class token after the last norm; float32 on the CPU."""
        assert batch.images is not None
        images = batch.images.to(next(self.vit.parameters()).device)
        return self.vit.forward_features(images)[:, 0].float().cpu()
