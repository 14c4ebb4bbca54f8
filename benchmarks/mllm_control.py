"""Does the language model help? The joint stage against the same tower trained without it (MLLM, table 5).

python -m benchmarks.mllm_control --seeds 101,102,103 --out runs/mllm_control   four CPU-minutes per seed

Each seed draws its own people and starts all arms from one random tower. An arm sees the same images in the
same order for the same number of steps. Held-out people are not in the training of any arm.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from examples.pretrain_and_plug_in import TESTED, draw_people, joint_sheet, write_words
from irm.mllm import SyncReID, plain_vit
from irm.mllm.export import load_exported_tower
from irm.models.backbones import CLIP_MEAN, CLIP_STD
from irm.pretraining.encoder import EncoderEmbedder, held_out, start_tower
from irm.pretraining.run import build_joint_setup, pretrain_run
from irm.pretraining.schema import PretrainRun
from irm.training.loop import LossBreakdown, train
from irm.training.optimizer import build_optimizer, parameter_groups
from irm.training.run_training import loop_settings
from irm.training.seeding import deterministic, seed_all
from omnireid.benchmark import run_row
from omnireid.loading.batch import Batch
from tools import _program

CPU = torch.device("cpu")
# What an arm removes from the joint stage; the control has neither language model nor text.
ARMS: dict[str, tuple[str, ...]] = {
    "language and ReID (lambda 0.3)": (),
    "ReID through the language model (lambda 0)": ("losses.lambda_value=0.0",),
    "language alone (lambda 1)": ("losses.lambda_value=1.0",),
}
CONTROL = "plain ViT, ID and triplet"
START = "untrained start"


class PlainReID(nn.Module):
    """The joint stage's ReID losses on the class token of a plain ViT."""

    def __init__(self, head: SyncReID) -> None:
        super().__init__()
        self.head = head

    def forward(self, model: nn.Module, batch: Batch) -> LossBreakdown:
        """Loss terms of one batch of images."""
        found = self.head(model.forward_features(batch.images)[:, 0], batch.labels)  # type: ignore[operator]
        terms = {"identification": found.identification, "triplet": found.triplet}
        return LossBreakdown(terms, found.identification + found.triplet)


def train_control(run: PretrainRun, *, lr_factor: float = 1.0) -> VisionTransformer:
    """The tower of a joint sheet after as many steps on the same batches, without the language model."""
    setup = build_joint_setup(run, CPU)
    vit = plain_vit(setup.model.tower, run.model.image_size).vit
    losses = run.losses
    seed_all(run.seed)
    (domain,) = setup.mixture.domains
    objective = PlainReID(
        SyncReID(
            vit.embed_dim,
            setup.mixture.num_classes(domain),
            margin=losses.margin,
            label_smoothing=losses.label_smoothing,
        )
    )
    plan = run.optimizer.model_copy(update={"lr": run.optimizer.lr * lr_factor})
    named = [(f"tower.{name}", each) for name, each in vit.named_parameters()]
    named += [(f"objective.{name}", each) for name, each in objective.named_parameters()]
    factors = {name: factor for name, factor in plan.lr_multipliers.items() if name in ("tower", "objective")}
    groups = parameter_groups(named, weight_decay=plan.weight_decay, decay=plan.decay, lr_multipliers=factors)
    settings = loop_settings(plan, CPU, setup.weights, run.seed, run.precision)
    with deterministic(CPU):
        train(
            vit,
            objective,
            build_optimizer(groups, lr=plan.lr),
            setup.batches(0, plan.steps),
            start=0,
            settings=replace(settings, autocast=None),
            after_step=lambda _: False,
        )
    return vit


def compare(out: Path, seed: int, console: Console) -> dict[str, float]:
    """Held-out mAP of each arm on the people of one seed."""
    root = out / "data"
    out.mkdir(parents=True, exist_ok=True)
    draw_people(root, seed)
    write_words(root, out, console)
    sheet = joint_sheet(out, [f"seed={seed}"])
    size = sheet.model.image_size
    scores = {START: held_out(start_tower(sheet), size, TESTED, root)}
    for number, (name, overrides) in enumerate(ARMS.items()):
        folder = out / f"joint{number}"
        pretrain_run(joint_sheet(out, [f"seed={seed}", *overrides]), folder, resume=True, console=console)
        scores[name] = held_out(load_exported_tower(folder / "model"), size, TESTED, root)
    for factor in (1.0, 0.3):
        control = EncoderEmbedder(train_control(sheet, lr_factor=factor), mean=CLIP_MEAN, std=CLIP_STD)
        scores[f"{CONTROL}, lr x {factor:g}"] = run_row(control, TESTED, root).headline.mean_ap
    return scores


def main() -> None:
    """Compare on each seed and print one row per arm."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="101,102,103", metavar="a,b", help="of people and training")
    parser.add_argument("--out", type=Path, default=Path("runs/mllm_control"), metavar="DIR")
    asked = parser.parse_args()
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    found = []
    for seed in seeds:
        found.append(compare(asked.out / str(seed), seed, Console(quiet=True)))
        print(
            json.dumps({"seed": seed, **{name: round(100 * score, 2) for name, score in found[-1].items()}})
        )
    for name in found[0]:
        scores = [100 * row[name] for row in found]
        print(
            f"{name:<45} mAP {statistics.mean(scores):5.1f}  ({', '.join(f'{each:.1f}' for each in scores)})"
        )
    spent = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{(spent.ru_utime + spent.ru_stime) / 60:.1f} CPU-minutes")


if __name__ == "__main__":
    _program.run(main)
