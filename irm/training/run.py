"""A complete training run of IRM."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from irm.config import read_run
from irm.schema import IRMRun
from irm.training.irm_setup import build_irm_setup
from irm.training.run_training import RunKind, Summary, run_training

IRM_TRAINING = RunKind(
    build=build_irm_setup,
    read=read_run,
    free=("data", "loader", "logging", "evaluation", "activation_checkpointing", "compile"),
)


def train_run(run: IRMRun, out: Path, *, resume: bool, console: Console) -> Summary:
    """Train as the sheet says; see ``run_training``."""
    return run_training(run, out, IRM_TRAINING, resume=resume, console=console)
