"""A complete run of MLLMReID's joint stage: what it trains with, and what it saves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from irm.build import choose_autocast
from irm.config import read_sheet
from irm.mixing import fingerprint, shares
from irm.mllm import VLM
from irm.mllm.tuning import TrainedPart, sizes
from irm.pretraining.build import (
    build_objective,
    build_training_mixture,
    build_vlm,
    corpus_of,
    image_sheet,
    preprocessing_of,
    read_words,
    trained_parameters,
)
from irm.pretraining.objective import JointObjective, Words
from irm.pretraining.schema import PretrainRun
from irm.training.checkpoint import TrainingState
from irm.training.ranks import this_rank
from irm.training.run_training import RunKind, Summary, run_training
from irm.training.seeding import seed_all
from irm.training.setup import TrainingSetup, optimizer_of
from irm.training.sharding import describe_shards, gather_full, shard
from omnireid.loading.mixture import Mixture


@dataclass(frozen=True)
class JointSetup(TrainingSetup):
    """Everything a joint run trains with."""

    model: VLM
    objectives: JointObjective

    def prepare(self) -> None:
        """Nothing to prepare."""

    def validate(self) -> dict[str, float]:
        """Empty: no people are held out; the tower is evaluated after its ReID training."""
        return {}

    def result(self) -> Callable[[Path], object]:
        """The trained tower, the other trained weights and the tokenizer."""
        return partial(self.model.save_pretrained, weights=gather_full(self.model.trained_weights()))


def read_pretrain(path: Path, overrides: Sequence[str] = ()) -> PretrainRun:
    """A sheet of the joint stage; as ``irm.config.read_run``."""
    return read_sheet(path, overrides, PretrainRun, {})


def build_joint_setup(run: PretrainRun, device: torch.device) -> JointSetup:
    """Build everything of a run; equal seeds give equal weights.

    Raises:
        InputError: for parts, words or images that are not there or do not fit.
    """
    seed_all(run.seed)
    is_half = choose_autocast(run.precision, device) is not None
    # The words make a tiny tokenizer, so who is trained on is found out before there is a model.
    draft, notes = build_training_mixture(run)
    words, word_notes = read_words(run, draft)
    vlm = build_vlm(run, corpus_of(words), frozen_dtype=torch.bfloat16 if is_half else torch.float32)
    mixture = draft.seen_by(preprocessing_of(vlm))
    objective = build_objective(run, vlm, mixture, words)
    sharing: tuple[str, ...] = ()
    if run.shard and this_rank().world > 1:
        shard(vlm, vlm.layers, device)
        sharing = (describe_shards(vlm.parameters()),)
    vlm.to(device)
    objective.to(device)
    optimizer = optimizer_of(run.optimizer, trained_parameters(vlm, objective))
    return JointSetup(
        model=vlm,
        objectives=objective,
        state=TrainingState(TrainedPart(vlm), objective, optimizer),
        mixture=mixture,
        weights=shares(image_sheet(run)),
        fingerprint=_fingerprint(mixture, words, Path(run.data)),
        notes=(*notes, *word_notes, *map(str, sizes(vlm)), *_reading(run, vlm), *sharing),
        device=device,
        workers=run.loader.workers,
        validate_every=None,
    )


JOINT_TRAINING = RunKind(
    # Its checkpoints hold what is trained; the frozen parts are read anew from where the sheet says.
    build=lambda run, device, _: build_joint_setup(run, device),
    read=read_pretrain,
    free=("data", "loader", "logging", "evaluation", "activation_checkpointing", "chunk", "shard"),
)


def pretrain_run(run: PretrainRun, out: Path, *, resume: bool, console: Console) -> Summary:
    """Train as the sheet says; see ``run_training``."""
    return run_training(run, out, JOINT_TRAINING, resume=resume, console=console)


def _fingerprint(mixture: Mixture, words: Mapping[str, Words], root: Path) -> str:
    said = json.dumps({domain: [list(row) for row in rows] for domain, rows in words.items()})
    return hashlib.sha256(f"{fingerprint(mixture, root)} {said}".encode()).hexdigest()


def _reading(run: PretrainRun, vlm: VLM) -> Iterator[str]:
    height, width = vlm.image_size
    asked = "x".join(map(str, run.model.image_size))
    yield (
        f"images are resized, not cropped, to whole patches, {height}x{width} (requested: {asked}): "
        f"{vlm.num_image_tokens} image tokens"
    )
    taught, read = vlm.projector_layer, run.model.feature_layer
    if taught not in (None, read):
        yield (
            f"the projector was trained on feature layer {taught} of the tower but reads layer {read} here, "
            f"so it starts from mismatched features; model.feature_layer={taught} matches it, but leaves "
            "the tower's later layers untrained"
        )
