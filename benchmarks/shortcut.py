"""Why changed clothes are hard to learn from: the same small network on heads alone and on whole images.

    python -m benchmarks.shortcut --out runs/shortcut --people 160 --steps 250

Draws synthetic LTCC with so many training people, trains a CNN with ID and batch-hard triplet loss, and
evaluates it where the same person wears the same clothes or others (general) and others only (changed).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from rich.console import Console
from torch import Tensor, nn

from irm.losses import batch_hard_triplet_loss, identification_loss
from omnireid.columns import labels_of
from omnireid.datasets import load_split
from omnireid.loading.image import read_image
from omnireid.metrics import chance_mean_ap, rank_protocols
from omnireid.protocols import PROTOCOLS
from omnireid.records import Record, Split
from omnireid.synthetic.presets import PRESETS
from omnireid.synthetic.write import write_omnireid
from tools import _program

PARTS = {"heads": 0.31, "whole images": 1.0}  # share of the height, from the top
COLUMNS = ("trained on", "protocol", "mAP", "R1", "mAP chance")
RULES = ("clothes_general", "clothes_change")
IDENTITIES, INSTANCES, WIDTH, JITTER = 32, 4, 128, 3  # jitter: pixels that an image is shifted by, at most
Images = Float[Tensor, "N 3 H W"]


def small_cnn(rows: int) -> nn.Sequential:
    """Three stages of two convolutions, pooled over ``rows`` rows and columns, to ``WIDTH`` numbers."""
    layers: list[nn.Module] = []
    for given, made in ((3, 32), (32, 64), (64, WIDTH)):
        for stride, channels in ((2, given), (1, made)):
            layers += [nn.Conv2d(channels, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU()]
    pooled = [nn.AdaptiveAvgPool2d(rows), nn.Flatten(), nn.Linear(WIDTH * rows**2, WIDTH)]
    return nn.Sequential(*layers, *pooled, nn.BatchNorm1d(WIDTH))


def read(records: Sequence[Record], share: float) -> Images:
    """The upper ``share`` of each image, between -1 and 1."""
    images = [read_image(record.image) for record in records]
    rows = round(share * images[0].shape[0])
    return torch.from_numpy(np.stack([one[:rows] for one in images])).permute(0, 3, 1, 2) / 127.5 - 1


def batches(labels: Int[np.ndarray, " N"], steps: int, rng: np.random.Generator) -> list[Int[Tensor, " B"]]:
    """Rows of P people with K images each, for every step."""
    rows = defaultdict(list)
    for row, label in enumerate(labels.tolist()):
        rows[label].append(row)
    drawn = [rng.choice(len(rows), min(IDENTITIES, len(rows)), replace=False) for _ in range(steps)]
    picked = [
        [rng.choice(rows[one], INSTANCES, replace=len(rows[one]) < INSTANCES) for one in people.tolist()]
        for people in drawn
    ]
    return [torch.from_numpy(np.concatenate(step)) for step in picked]


def train(images: Images, labels: Int[np.ndarray, " N"], steps: int, seed: int) -> nn.Module:
    """The trained network, in evaluation mode."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    classes = torch.from_numpy(labels)
    net = small_cnn(2)
    weights = nn.Parameter(0.05 * torch.randn(int(labels.max()) + 1, WIDTH))
    optimizer = torch.optim.AdamW([*net.parameters(), weights], lr=4e-3, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for rows in batches(labels, steps, rng):
        batch = images[rows].flip(3) if rng.random() < 0.5 else images[rows]
        shift = tuple(rng.integers(-JITTER, JITTER + 1, 2).tolist())
        features = F.normalize(net(torch.roll(batch, shift, (2, 3))), dim=1)
        logits = 16 * features @ F.normalize(weights, dim=1).T
        loss = identification_loss(logits, classes[rows])
        loss = loss + batch_hard_triplet_loss(features, classes[rows], 0.3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def embed(net: nn.Module, images: Images) -> Float[Tensor, "N D"]:
    """Features of images."""
    return torch.cat([net(part) for part in images.split(256)])


def measure(split: Split, share: float, steps: int, seed: int) -> list[tuple[float, float, float]]:
    """mAP, rank-1 and the mAP of chance under each of ``RULES``."""
    _, labels = np.unique(labels_of(split.train).pids, return_inverse=True)
    net = train(read(split.train, share), labels, steps, seed)
    query, gallery = (embed(net, read(side, share)) for side in (split.query, split.gallery))
    sides = labels_of(split.query), labels_of(split.gallery)
    rankings = rank_protocols(query, gallery, *sides, [PROTOCOLS[rule] for rule in RULES])
    return [(one.mean_ap, float(one.cmc[0]), chance_mean_ap(one)) for one in rankings]


def main() -> None:
    """Draw people, train on each part, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the people are drawn")
    parser.add_argument("--people", type=_program.whole_number, default=160, help="people to train on (160)")
    parser.add_argument("--steps", type=_program.whole_number, default=250, help="steps of 128 images (250)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    asked = parser.parse_args()
    counts = {"ltcc": replace(PRESETS["demo"].counts["ltcc"], train_ids=asked.people)}
    write_omnireid(asked.out, replace(PRESETS["demo"], counts=counts), seed=0, workers=2, datasets=["ltcc"])
    split, rows = load_split(asked.out, "ltcc", "cc"), []
    for name, share in PARTS.items():
        for rule, scores in zip(RULES, measure(split, share, asked.steps, asked.seed), strict=True):
            rows.append((name, PROTOCOLS[rule].title, *(f"{100 * one:.1f}" for one in scores)))
    title = f"{asked.people} training people, {asked.steps} steps, seed {asked.seed}; synthetic, in percent"
    Console().print(_program.table(title, COLUMNS, rows, num_text_columns=2))


if __name__ == "__main__":
    _program.run(main)
