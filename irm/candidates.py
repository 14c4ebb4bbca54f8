"""What can be evaluated: a finished run, a checkpoint of a run, or the folder of a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch

from instructions.errors import InputError
from irm.build import as_input_errors, build_irm, choose_autocast, choose_device
from irm.config import read_run, read_sheet
from irm.embedder import IRMEmbedder
from irm.models import IRM
from irm.models.hub_folder import read_config
from irm.pretraining.schema import PretrainRun
from irm.schema import IRMRun
from irm.training.checkpoint import network_of
from irm.training.seeding import seed_all
from omnireid.files import sha256_of

WEIGHTS = ("model/model.safetensors", "average.safetensors", "model.safetensors")


@dataclass(frozen=True)
class Candidate:
    """What is evaluated: a run, a checkpoint of a run, or a model's folder, which has no sheet."""

    folder: Path
    sheet: IRMRun | None

    @property
    def weights(self) -> Path:
        """The weights to evaluate; in a checkpoint the moving average, if there is one."""
        found = (self.folder / name for name in WEIGHTS)
        return next((path for path in found if path.is_file()), self.folder / WEIGHTS[-1])

    @property
    def device(self) -> str:
        """The device setting, as ``choose_device`` takes it."""
        return "auto" if self.sheet is None else self.sheet.device

    def fingerprint(self) -> str:
        """Hash of the model's weights."""
        return sha256_of(self.weights)


@dataclass(frozen=True)
class Run(Candidate):
    """A finished training run on disk."""

    sheet: IRMRun

    @property
    def model_folder(self) -> Path:
        """The folder of the retrieval model."""
        return self.folder / "model"


def open_candidate(folder: Path) -> Candidate:
    """Recognise a finished run, a checkpoint or a model's folder by its files.

    Raises:
        InputError: it is none of them.
    """
    is_model = (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()
    if is_model or (folder / "spec.json").is_file():
        _refuse_parts(folder)
        return Candidate(folder, None)
    if (folder / "state.json").is_file() and (folder / "config.yaml").is_file():
        step_of(folder)
        return Candidate(folder, _sheet_of(folder))
    if (folder / "model.safetensors").is_file():
        raise InputError(f"{folder} contains weights but no config.json; copy the model folder again")
    return open_run(folder)


def step_of(checkpoint: Path) -> int:
    """The number of steps after which a checkpoint was written.

    Raises:
        InputError: its state.json is damaged.
    """
    path = checkpoint / "state.json"
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["step"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} does not contain the training step ({error!r}); use another checkpoint"
        ) from None


def open_run(folder: Path) -> Run:
    """Open a run folder of ``tools.train``.

    Raises:
        InputError: it is not a run folder, or the run has not finished.
    """
    if not (folder / "config.yaml").is_file():
        raise InputError(
            f"{folder} is not a run folder (no config.yaml); train one with python -m tools.train"
        )
    sheet = _sheet_of(folder)
    if not (folder / "model" / "model.safetensors").is_file():
        raise InputError(
            f"the run {folder} has no final model yet; finish it with python -m tools.train ... --resume, "
            f"or use one of its checkpoints, {folder}/checkpoints/step-..."
        )
    return Run(folder, sheet)


def _sheet_of(folder: Path) -> IRMRun:
    """The sheet of a run.

    Raises:
        InputError: it is a sheet of tools.pretrain, or damaged.
    """
    path = folder / "config.yaml"
    try:
        return read_run(path)
    except InputError as error:
        try:
            read_sheet(path, (), PretrainRun, {})
        except InputError:
            raise error from None
        raise InputError(
            f"{folder} is a tools.pretrain run, which produces a vision tower, not a retrieval model; "
            "export the tower as a backbone with python -m tools.export_backbone, then train a model on it "
            "with python -m tools.train"
        ) from None


def _refuse_parts(folder: Path) -> None:
    """Refuse folders of only a part of a retrieval model, or of another kind of model.

    Raises:
        InputError: the folder is a backbone's, or one of transformers.
    """
    if (folder / "spec.json").is_file():
        raise InputError(
            f"{folder} is a backbone folder, not a retrieval model; train a model on it with python -m "
            f"tools.train SHEET model.backbone={folder}"
        )
    with as_input_errors():
        kind = read_config(folder).get("model_type")
    if kind is not None:
        raise InputError(f"{folder} is a transformers model ({kind}), not an IRM written by tools.train")


def trained_embedder(candidate: Candidate, *, precision: str = "fp32") -> IRMEmbedder:
    """The candidate's model.

    Args:
        candidate: a finished run, a checkpoint or a model.
        precision: fp32, bf16, or auto, which is bf16 on a GPU.

    Raises:
        InputError: its files are damaged.
    """
    weights = candidate.weights
    if candidate.sheet is not None and not (weights.parent / "config.json").is_file():
        model = _of_checkpoint(weights, candidate.sheet)
    else:
        model = _of_folder(weights.parent)
    device = choose_device(candidate.device)
    return IRMEmbedder(model.to(device), autocast=choose_autocast(precision, device))


def _of_folder(folder: Path) -> IRM:
    with as_input_errors():
        read_config(folder)  # names a damaged file, which the hub's loader does not
        model = IRM.from_pretrained(folder)
    if model.tokenizer is None:
        raise InputError(
            f"{folder} has no tokenizer, which is needed to read instructions; copy the model folder again"
        )
    return model


def _of_checkpoint(weights: Path, sheet: IRMRun) -> IRM:
    """The network of the sheet; of older checkpoints its tokenizer comes with the weights the sheet names."""
    model, _ = build_irm(sheet, described=network_of(weights.parent))
    try:
        safetensors.torch.load_model(model, str(weights))
    except (RuntimeError, ValueError, OSError, safetensors.SafetensorError) as error:
        told = " ".join(str(error).split())[:300]
        raise InputError(f"the weights in {weights} do not fit the model of its sheet: {told}") from None
    return model


def untrained_embedder(candidate: Candidate, *, precision: str = "fp32") -> IRMEmbedder:
    """The same network with the weights that its training began with.

    Raises:
        InputError: it is a model without a run, so these are not known.
    """
    sheet = candidate.sheet
    if sheet is None:
        raise InputError(
            f"{candidate.folder} is a model without its run, so the weights it started from are unknown; "
            "use the run folder instead"
        )
    seed_all(sheet.seed)
    model, _ = build_irm(sheet)
    device = choose_device(sheet.device)
    return IRMEmbedder(model.to(device), autocast=choose_autocast(precision, device))
