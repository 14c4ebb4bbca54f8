"""From a sheet of the joint stage to what trains: model, dialogue, words, data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from instructions.continuation import BASELINE_PROMPTS
from instructions.errors import InputError
from irm.build import as_input_errors, domain_of
from irm.mixing import build_mixture, refuse_single_images
from irm.mllm import VLM, DialogueEncoder, SyncReID, Tuning, load_parts, tune
from irm.mllm.projector_weights import FEATURE_LAYER, load_projector
from irm.models.backbones import CLIP_MEAN, CLIP_STD
from irm.pretraining.objective import JointObjective, Words
from irm.pretraining.schema import PretrainRun
from irm.pretraining.turns import FIRST_QUESTION, FURTHER_QUESTION, turns_of
from irm.schema import IRMRun, SourceSheet
from omnireid.captioning.attach import FILE_NAME as CAPTIONS
from omnireid.captioning.attach import read_captions, relative
from omnireid.captioning.continuations import FILE_NAME as CONTINUATIONS
from omnireid.captioning.continuations import ContinuationCache
from omnireid.loading.mixture import Mixture
from omnireid.loading.transforms import Preprocessing
from omnireid.records import Record

QUESTIONS = (FIRST_QUESTION, FURTHER_QUESTION, *(prompt.text for prompt in BASELINE_PROMPTS))


def build_vlm(run: PretrainRun, corpus: Sequence[str], *, frozen_dtype: torch.dtype = torch.float32) -> VLM:
    """The multimodal model of a sheet, tuned as it says, on the default device.

    Raises:
        InputError: for parts that are not there, do not fit, or lack weights.
    """
    sheet = run.model
    with as_input_errors():
        parts = load_parts(
            vision=sheet.vision,
            llm=sheet.llm,
            llava=sheet.llava,
            random=sheet.random,
            corpus=(*corpus, *QUESTIONS),
            llm_dtype=torch.float32 if run.tune.llm == "full" else frozen_dtype,
        )
        vlm = VLM(
            parts,
            image_size=sheet.image_size,
            feature_layer=sheet.feature_layer,
            keep_class_token=sheet.keep_class_token,
            projector=sheet.projector,
            pool=sheet.pool,
            checkpointing=run.activation_checkpointing,
            chunk=run.chunk,
        )
        if sheet.projector_weights is not None:
            load_projector(vlm.projector, Path(sheet.projector_weights))
            vlm.projector_layer = FEATURE_LAYER
        lora = run.tune.lora
        tuning = Tuning(
            tower=run.tune.tower,
            projector=run.tune.projector,
            llm=run.tune.llm,
            rank=lora.rank,
            alpha=lora.alpha,
            dropout=lora.dropout,
            targets=lora.targets,
        )
        tune(vlm, tuning, frozen_dtype=frozen_dtype)
    return vlm


def preprocessing_of(vlm: VLM) -> Preprocessing:
    """Images as the tower expects them: whole, at its size, with CLIP's statistics."""
    return Preprocessing(image_size=vlm.image_size, mean=CLIP_MEAN, std=CLIP_STD)


def image_sheet(run: PretrainRun) -> IRMRun:
    """The part of a sheet that both papers share: who is trained on, in which batches, seen how."""
    return IRMRun(
        seed=run.seed,
        data=run.data,
        mixture=tuple(SourceSheet(**row.model_dump(exclude={"words"})) for row in run.mixture),
        batch=run.batch,
        loader=run.loader,
        augmentation=run.augmentation,
        evaluation=run.evaluation,
    )


def build_training_mixture(run: PretrainRun) -> tuple[Mixture, tuple[str, ...]]:
    """The training images without the people of any test, not yet resized for a model; and notes to print."""
    return build_mixture(image_sheet(run), Preprocessing())


def read_words(run: PretrainRun, mixture: Mixture) -> tuple[dict[str, Words], tuple[str, ...]]:
    """Answers of every record of every domain, and how many have any.

    Raises:
        InputError: for a folder of words without its files, or one that says nothing of these images.
    """
    words: dict[str, Words] = {}
    notes = []
    for row, source in zip(run.mixture, mixture.sources, strict=True):
        if row.words is None:
            words[domain_of(row)] = [()] * len(source.records)
            notes.append(f"{source.domain}: no texts, so its images train only the ReID part")
            continue
        found, writers = _words_in(Path(row.words), source.records, Path(run.data), run.words.instruction)
        covered = sum(map(bool, found))
        if not covered:
            raise InputError(f"{row.words} has no texts for any training image of {row.dataset}")
        words[domain_of(row)] = found
        told = f"{source.domain}: {covered} of {len(found)} training images have texts ({row.words}"
        written = "; ".join(f"{count} continuations by {model}" for model, count in writers.items())
        notes.append(f"{told}; {written})" if written else f"{told})")
    return words, tuple(notes)


def _words_in(
    folder: Path, records: Sequence[Record], root: Path, instruction: str
) -> tuple[list[tuple[str, ...]], dict[str, int]]:
    """The answers of each image, and how many of their continuations each language model wrote."""
    captions = read_captions(folder / CAPTIONS)
    own = [captions.get(relative(record.image, root)) for record in records]
    if instruction == "diverse":
        return [() if each is None else each.captions for each in own], {}
    path = folder / CONTINUATIONS
    if not path.is_file():
        raise InputError(
            f"there is no continuations file {path}; write it with python -m tools.write_continuations, or "
            "set words.instruction=diverse to train on the captions"
        )
    cache = ContinuationCache(path)
    known = cache.by_caption()
    found = [
        () if each is None else tuple(text for caption in each.captions for text in known.get(caption, ()))
        for each in own
    ]
    return found, cache.models({caption for each in own if each is not None for caption in each.captions})


def build_objective(
    run: PretrainRun, vlm: VLM, mixture: Mixture, words: Mapping[str, Words]
) -> JointObjective:
    """The losses of a sheet, with a classifier for each data set.

    Raises:
        InputError: for a template that the language model does not have, or triplets without positives.
    """
    with as_input_errors():
        encoder = DialogueEncoder(
            vlm.tokenizer,
            image_token_id=vlm.image_token_id,
            num_image_tokens=vlm.num_image_tokens,
            template=run.model.template,
        )
    losses = run.losses
    if losses.lambda_value < 1:
        refuse_single_images(mixture)
    heads = {
        domain: SyncReID(
            vlm.embed_dim,
            mixture.num_classes(domain),
            margin=losses.margin,
            label_smoothing=losses.label_smoothing,
        )
        for domain in mixture.domains
    }
    ask = partial(turns_of, instruction=run.words.instruction, max_turns=run.words.max_turns)
    return JointObjective(heads, words, encoder, ask, lambda_value=losses.lambda_value)


def corpus_of(words: Mapping[str, Words]) -> list[str]:
    """All distinct answers, sorted: what, with the questions, a tiny tokenizer is made from."""
    return sorted({text for rows in words.values() for row in rows for text in row})


def trained_parameters(vlm: VLM, objective: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters under the short names that factors of the learning rate go by."""
    parts = {
        "tower": vlm.tower,
        "projector": vlm.projector,
        "llm": vlm.language_model,
        "head": vlm.llava.lm_head,
        "objective": objective,
    }
    seen: set[int] = set()
    for prefix, module in parts.items():
        for name, parameter in module.named_parameters():
            if id(parameter) not in seen:  # the head may be the word embeddings
                seen.add(id(parameter))
                yield f"{prefix}.{name}", parameter
