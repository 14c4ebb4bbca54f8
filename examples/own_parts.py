"""Your own parts without changing the project: data set, protocol, backbone, losses, then any program.

    python -m examples.own_parts tools.train SHEET.yaml --out RUN "losses.own={centre: 0.0005, sdm: 1}"
    python -m examples.own_parts tools.evaluate RUN

The extension points are plain dicts, so everything added before a program starts is available to it, in
sheets and on the command line. Copy this file, put your own entries in, and run it instead of this one.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from irm.models import BACKBONES, BackboneSpec, IRMOutput
from irm.models.output import Necked
from irm.training.terms import PAIR_TERMS, PICTURE_TERMS
from omnireid.datasets.card import DatasetCard
from omnireid.datasets.catalog import DATASETS
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.market import read_market_style
from omnireid.loading.batch import Batch
from omnireid.metrics.judging import LabelArrays
from omnireid.protocols import PROTOCOLS, Judgement, Protocol
from omnireid.records import Split

MALL = DatasetCard(
    name="mall",
    title="A fictitious mall",
    tasks=("trad",),
    homepage="none: an example",
    access="none: an example",
    licence="none: an example",
    consent="none: an example; state here what the people in the images consented to",
    citation="none",
    folders=("mall",),
    num_cameras=6,
    counts={},
)


def read_mall(root: Path, variant: str) -> Split:  # noqa: ARG001  one signature for all readers
    """The Market-1501 layout; a reader may build its records from any other files."""
    return read_market_style(root, MALL.name, [f"read from {root}"])


def same_person(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Every image of the person is a true match; none is junk."""
    right = query.pids[:, None] == gallery.pids[None, :]
    return Judgement(right, np.ones_like(right))


class CentreTerm(nn.Module):
    """Center loss on F: pulls features towards a learnt centre of their person (Wen et al., 2016)."""

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(num_classes, dim))

    def forward(self, output: IRMOutput, necked: Necked, batch: Batch) -> Tensor:  # noqa: ARG002
        """Mean squared distance over the batch."""
        return (output.edited - self.centres[batch.labels]).pow(2).sum(dim=1).mean()


class SimilarityDistributionMatching(nn.Module):
    """Matches the distribution of image-text cosines to that of the labels (Jiang and Ye, 2023)."""

    def __init__(self, dim: int, temperature: float = 0.02) -> None:  # noqa: ARG002
        super().__init__()
        self.temperature = temperature

    def forward(self, image_vectors: Tensor, text_vectors: Tensor, labels: Tensor) -> Tensor:
        """KL divergence between predicted and label distributions, in both directions."""
        wanted = (labels[:, None] == labels).float()
        wanted = (wanted / wanted.sum(dim=1, keepdim=True) + 1e-8).log()  # the same in both directions
        logits = image_vectors @ text_vectors.T / self.temperature
        found = torch.stack([logits, logits.T]).log_softmax(dim=-1)
        return (found.exp() * (found - wanted)).sum(dim=-1).mean(dim=1).sum()


PICTURE_TERMS["centre"] = CentreTerm
PAIR_TERMS["sdm"] = SimilarityDistributionMatching
DATASETS["mall"] = Dataset(MALL, read_mall, markers=("bounding_box_train", "query"), raw_tasks=("trad",))
PROTOCOLS["any_camera"] = Protocol(
    "any_camera", "any camera", "The same person is a true match; nothing is junk.", same_person
)
BACKBONES["slim_vit"] = BackboneSpec("vit_tiny_patch16_224", 48, 3, 3, image_size=(64, 32))

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m examples.own_parts PROGRAM [ARGUMENT ...], e.g. tools.train --help")
    del sys.argv[0]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except ImportError as error:
        sys.exit(f"error: {error}")
