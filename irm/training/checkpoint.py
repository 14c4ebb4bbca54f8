"""Checkpoints: a folder a step, written whole or not at all, with hashes that are checked before loading."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from instructions.errors import InputError
from irm.training.class_graphs import ClassGraphs
from irm.training.moving_average import MovingAverage
from irm.training.optimizer import with_own_kernels
from irm.training.sharding import gather_full, is_sharded, shard_optimizer_state, shard_weights
from omnireid.files import sha256_of

MANIFEST = "manifest.json"
NETWORK = "network"  # a folder that describes the built model, so that the sheet's weights are not needed
_FOLDER = re.compile(r"^step-(\d+)$")


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds beside the step: the model, the objectives (classifiers), the optimizer.

    ``average`` is a moving average of the model, where the run keeps one; ``graphs`` are what batches of a
    graph sampler follow, which the weights of a later step no longer tell; ``describe`` writes a folder that
    tells how to build the model anew.
    """

    model: nn.Module
    objectives: nn.Module
    optimizer: Optimizer
    average: MovingAverage | None = None
    graphs: ClassGraphs | None = None  # who is alike, as long as a pass over the people lasts
    describe: Callable[[Path], object] | None = None

    def contents(self) -> Contents:
        """What a checkpoint holds; collective: each rank may have only a part of it."""
        training: dict[str, Any] = {
            "objectives": self.objectives.state_dict(),
            "optimizer": gather_full(self.optimizer.state_dict()),
        }
        if self.average is not None:
            training["num_averaged"] = self.average.n_averaged
        if self.graphs is not None:
            training["graphs"] = self.graphs.state_dict()
        is_parted = any(map(is_sharded, self.model.parameters()))
        model = gather_full(self.model.state_dict()) if is_parted else self.model
        average = None if self.average is None else self.average.module
        return Contents(model, average, training, self.describe)


@dataclass(frozen=True)
class Contents:
    """The content of a checkpoint's files."""

    model: nn.Module | dict[str, Tensor]  # weights by name where the ranks had parts of them
    average: nn.Module | None
    training: dict[str, Any]
    describe: Callable[[Path], object] | None = None


@dataclass(frozen=True)
class Found:
    """The newest intact checkpoint, or None, and a sentence about each newer one that is damaged."""

    folder: Path | None
    complaints: tuple[str, ...]


def save_checkpoint(
    root: Path, step: int, contents: Contents, *, sheet: str, facts: dict[str, Any], keep: int
) -> Path:
    """Write `root/step-<n>` and then delete all but the newest `keep`.

    Args:
        root: folder of the checkpoints.
        step: number of finished steps.
        contents: of a training state.
        sheet: the resolved run sheet, as YAML.
        facts: anything else that resuming needs, as JSON data.
        keep: at least 2, so that losing the newest one costs little.
    """
    root.mkdir(parents=True, exist_ok=True)
    for leftover in root.glob(".tmp-*"):
        shutil.rmtree(leftover)
    folder = root / f".tmp-step-{step:08d}"
    try:
        _write(folder, contents, sheet, json.dumps({"step": step, **facts}, indent=1))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:  # a full disk comes as any of them
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"the checkpoint of step {step} could not be written to {root} ({error}); earlier ones are intact"
        ) from None
    final = root / f"step-{step:08d}"
    if final.exists():  # a damaged one that resuming passed over
        final.replace(root / f".tmp-old-{step:08d}")
    folder.replace(final)
    _fsync(root)
    for old in [*_folders(root)[keep:], *root.glob(".tmp-*")]:
        shutil.rmtree(old)
    return final


def _write(folder: Path, contents: Contents, sheet: str, facts: str) -> None:
    """All files of a checkpoint, the manifest last, and down to the disk."""
    folder.mkdir()
    for name, weights in (("model", contents.model), ("average", contents.average)):
        if isinstance(weights, nn.Module):
            safetensors.torch.save_model(weights, str(folder / f"{name}.safetensors"))
        elif weights is not None:
            safetensors.torch.save_file(weights, folder / f"{name}.safetensors")
    torch.save(contents.training, folder / "training.pt")
    (folder / "config.yaml").write_text(sheet, encoding="utf-8")
    (folder / "state.json").write_text(facts, encoding="utf-8")
    if contents.describe is not None:
        contents.describe(folder / NETWORK)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    hashes = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    (folder / MANIFEST).write_text(json.dumps(hashes, indent=1), encoding="utf-8")
    for path in (*folder.rglob("*"), folder):
        _fsync(path)


def find_checkpoint(root: Path) -> Found:
    """The newest checkpoint whose files match its manifest; damaged ones are skipped and named."""
    complaints: list[str] = []
    for folder in _folders(root):
        damage = _damage(folder)
        if damage is None:
            return Found(folder, tuple(complaints))
        complaints.append(f"checkpoint {folder} is damaged ({damage}); skipping it")
    return Found(None, tuple(complaints))


def network_of(folder: Path) -> Path | None:
    """What a checkpoint tells of its model beside the weights; older ones tell nothing."""
    return folder / NETWORK if (folder / NETWORK).is_dir() else None


def load_checkpoint(folder: Path, state: TrainingState) -> dict[str, Any]:
    """Fill the state in place from a folder that `find_checkpoint` found; returns its facts with the step.

    Raises:
        InputError: when the weights are those of another model.
    """
    try:
        if any(map(is_sharded, state.model.parameters())):
            weights = safetensors.torch.load_file(folder / "model.safetensors")
            state.model.load_state_dict(shard_weights(weights, state.model))
        else:
            safetensors.torch.load_model(state.model, str(folder / "model.safetensors"))
        training = torch.load(folder / "training.pt", map_location="cpu", weights_only=True)
        state.objectives.load_state_dict(training["objectives"])
        saved = with_own_kernels(training["optimizer"], state.optimizer)
        state.optimizer.load_state_dict(shard_optimizer_state(saved, state.optimizer))
        if state.average is not None:
            safetensors.torch.load_model(state.average.module, str(folder / "average.safetensors"))
            state.average.n_averaged.copy_(training["num_averaged"])
        if state.graphs is not None:
            state.graphs.load_state_dict(training["graphs"])
    except pickle.UnpicklingError:  # PyTorch's own message recommends to run it
        raise InputError(
            f"checkpoint {folder} contains more than tensors and numbers, or is not a checkpoint; nothing "
            "in it was loaded or executed; start again in another --out"
        ) from None
    except (RuntimeError, ValueError, KeyError, FileNotFoundError, safetensors.SafetensorError) as error:
        raise InputError(f"checkpoint {folder} belongs to a different model: {str(error)[:300]}") from None
    facts: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return facts


def _folders(root: Path) -> list[Path]:
    """Checkpoint folders, the newest first."""
    if not root.is_dir():
        return []
    steps = {int(match[1]): path for path in root.iterdir() if (match := _FOLDER.match(path.name))}
    return [steps[step] for step in sorted(steps, reverse=True)]


def _damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint's files, or None."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, expected in hashes.items():
            if sha256_of(folder / name) != expected:
                return f"{name} differs from the file that was written"
    except FileNotFoundError as error:
        return f"{Path(str(error.filename)).name} is missing"
    except (OSError, ValueError, AttributeError) as error:
        return f"{MANIFEST} cannot be read: {error}"
    return None


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
