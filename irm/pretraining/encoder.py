"""A tower as the benchmark sees a model, by its class token; and the tower that a joint stage began with."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from transformers import CLIPVisionModel

from irm.mllm.export import plain_vit
from irm.mllm.parts import load_parts, load_tower
from irm.models.backbones import CLIP_MEAN, CLIP_STD
from irm.pretraining.schema import PretrainRun
from irm.training.seeding import seed_all
from omnireid.benchmark import Row, run_row
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

    @property
    def device(self) -> torch.device:
        """Where the tower is."""
        return next(self.vit.parameters()).device

    @torch.no_grad()
    def embed(self, batch: Batch, side: Side) -> Float[Tensor, "B D"]:  # noqa: ARG002 (both sides alike)
        """The class token after the last norm; float32 on the CPU."""
        assert batch.images is not None
        images = batch.images.to(self.device)
        return self.vit.forward_features(images)[:, 0].float().cpu()


def start_tower(run: PretrainRun) -> CLIPVisionModel:
    """The tower that a joint stage begins with: published weights, or the random ones of the sheet's seed.

    Raises:
        ValueError: when the sheet's source of it cannot be read.
    """
    seed_all(run.seed)
    sheet = run.model
    if sheet.llava is not None:
        tower = load_parts(vision=sheet.vision, llm=sheet.llm, llava=sheet.llava, random=sheet.random).tower
        assert isinstance(tower, CLIPVisionModel)
        return tower
    return load_tower(sheet.vision, random=sheet.random)


def held_out(tower: CLIPVisionModel, image_size: tuple[int, int], row: Row, data: Path) -> float:
    """The mAP of a tower's class token on one row of the benchmark, in [0, 1].

    Raises:
        InputError: for data that are not there.
    """
    vit = plain_vit(tower, image_size).vit
    embedder = EncoderEmbedder(vit, mean=CLIP_MEAN, std=CLIP_STD)
    return run_row(embedder, row, data).headline.mean_ap
