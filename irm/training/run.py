"""A training run of IRM, whole."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from irm.config import read_run
from irm.schema import IRMRun
from irm.training.session import Kind, Summary, carry_out
from irm.training.workshop import build_workshop

IRM_TRAINING = Kind(
    build=build_workshop,
    read=read_run,
    free=("data", "loader", "logging", "evaluation", "activation_checkpointing", "compile"),
)


def train_run(run: IRMRun, out: Path, *, resume: bool, console: Console) -> Summary:
    """Train as the sheet says; see ``carry_out``."""
    return carry_out(run, out, IRM_TRAINING, resume=resume, console=console)
