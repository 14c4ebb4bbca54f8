"""IRM behind the benchmark's interfaces: batches in, retrieval features and pair scores out."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from instructions.errors import InputError
from irm.models.irm import IRM
from irm.models.output import IRMOutput
from irm.models.qaconv import QAConv
from irm.models.tokens import InstructionTokens, class_token
from omnireid.datasets import DATASETS
from omnireid.interfaces import PairStates, Side
from omnireid.loading.batch import Batch, InstructionBatch
from omnireid.loading.transforms import Preprocessing
from omnireid.metrics import Metric
from omnireid.tasks import TASKS


def preprocessing_of(model: IRM) -> Preprocessing:
    """How images are prepared for the model: sizes, means and deviations of its two image towers."""
    return Preprocessing(
        image_size=model.image_size,
        mean=model.image_spec.mean,
        std=model.image_spec.std,
        clothes_size=model.clothes_size,
        clothes_mean=model.clothes_spec.mean,
        clothes_std=model.clothes_spec.std,
        resize=model.retrieval.resize,
    )


class IRMEmbedder:
    """An IRM in evaluation mode behind the benchmark's two interfaces (Embedder, PairScorer)."""

    def __init__(self, model: IRM, *, autocast: torch.dtype | None = None) -> None:
        """Wrap a model.

        Args:
            model: goes into evaluation mode.
            autocast: bfloat16 for the encoders, or None for float32 throughout; necks, projections and unit
                lengths are in float32 either way.
        """
        self.model = model.eval()
        self.autocast = autocast
        self.preprocessing = preprocessing_of(model)

    @property
    def metric(self) -> Metric:
        """How images are compared; the released models compare raw features by Euclidean distance."""
        return "cosine" if self.model.retrieval.normalise else "euclidean"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def view(self, domain: str) -> str:
        """Whose batch-norm statistics to use for a test domain.

        Its own if it was trained on; else those of the data set with its training people (Real1 for COCAS+
        Real2) under the same task; else the first of the task; else the first.

        Raises:
            InputError: the model was trained for text-to-image search alone.
        """
        names = self.model.necks.names
        if domain in names:
            return domain
        if not names:
            raise InputError(f"this model has no retrieval feature for {domain}: it was trained on t2i only")
        task, _, dataset = domain.partition("/")
        trained_on = DATASETS[dataset].card.trained_on if dataset in DATASETS else None
        if trained_on is not None and (name := f"{task}/{trained_on}") in names:
            return name
        return next((name for name in names if name.partition("/")[0] == task), names[0])

    def image_scorer(self) -> ImageScorer | None:
        """The model's local matcher (QAConv), if it has one."""
        matcher = self.model.matcher
        return None if matcher is None else ImageScorer(self, matcher)

    @torch.no_grad()
    def embed(self, batch: Batch, side: Side) -> Float[Tensor, "B D"]:  # noqa: ARG002 (both sides alike)
        """Features of a batch; unit vectors, float32 on the CPU."""
        model = self.model
        if TASKS[batch.task].objective == "image_text":
            if batch.images is None:
                assert batch.texts is not None
                return model.embed_text(batch.texts).float().cpu()
            with self._precision():
                tokens = model.editing_transformer(batch.images.to(model.device, non_blocking=True))
            return model.project_image(class_token(tokens).float()).cpu()
        output = self.instructed(batch)
        return model.retrieval_features(output, view=self.view(batch.domain)).float().cpu()

    @torch.no_grad()
    def states(self, batch: Batch, side: Side) -> PairStates:  # noqa: ARG002 (both sides alike)
        """Features and token states of texts, or of images on their own."""
        model = self.model
        if batch.images is None:
            assert batch.texts is not None
            text = model.encode_sentences(batch.texts)
            return PairStates(
                model.project_text(text.pooled).float().cpu(), text.match_states.cpu(), text.mask.cpu()
            )
        output = self.alone(batch.images)
        tokens = output.match_tokens
        mask: Bool[Tensor, "B M"] = torch.ones(tokens.shape[:2], dtype=torch.bool)
        return PairStates(model.project_image(output.edited).float().cpu(), tokens.cpu(), mask)

    @torch.no_grad()
    def score_pairs(self, text: PairStates, image: PairStates) -> Float[Tensor, " B"]:
        """Logit of "matches" over "does not match" for row i of the texts with row i of the images."""
        device = self.model.device
        length = int(text.mask.sum(dim=1).max())  # cut padding beyond the longest text of the block
        words = InstructionTokens(
            tokens=text.tokens[:, :length].to(device),
            mask=text.mask[:, :length].to(device),
            pooled=text.tokens[:, 0].to(device),
        )
        logits = self.model.match(words, image.tokens.to(device))
        return (logits[:, 1] - logits[:, 0]).float().cpu()

    def instructed(self, batch: Batch) -> IRMOutput:
        """The model's output for images with their instructions, as float32 even under autocast."""
        with self._precision():
            output = run_batch(self.model, batch)
        return _in_full(output)

    def alone(self, images: Float[Tensor, "B 3 H W"]) -> IRMOutput:
        """The model's output for images without instructions, as float32 even under autocast."""
        with self._precision():
            output = self.model(images.to(self.model.device, non_blocking=True))
        return _in_full(output)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.model.device.type, self.autocast, enabled=self.autocast is not None)


class ImageScorer:
    """A model's local matcher behind the benchmark's interface (GridScorer); keeps half precision."""

    def __init__(self, embedder: IRMEmbedder, matcher: QAConv) -> None:
        self.embedder, self.matcher = embedder, matcher

    @torch.no_grad()
    def states(self, batch: Batch, side: Side) -> PairStates:  # noqa: ARG002 (both sides alike)
        """Features and places of images."""
        model = self.embedder.model
        output = self.embedder.instructed(batch)
        features = model.retrieval_features(output, view=self.embedder.view(batch.domain))
        places = self.matcher.places(output.patch_tokens).half().cpu()
        return PairStates(features.float().cpu(), places, torch.ones(places.shape[:2], dtype=torch.bool))

    @torch.no_grad()
    def score_pairs(self, text: PairStates, image: PairStates) -> Float[Tensor, " B"]:
        """Scores of row i of the queries with row i of the images."""
        return self.matcher.pairs(self._on_device(text), self._on_device(image)).cpu()

    @torch.no_grad()
    def score_grid(self, query: PairStates, gallery: PairStates) -> Float[Tensor, "q g"]:
        """Scores of every query with every gallery image."""
        return self.matcher(self._on_device(query), self._on_device(gallery)).cpu()

    def _on_device(self, states: PairStates) -> Float[Tensor, "B P C"]:
        return states.tokens.to(self.embedder.model.device).float()


def run_batch(model: IRM, batch: Batch) -> IRMOutput:
    """The network's output for a batch of images with their instructions and camera embeddings."""
    assert batch.images is not None and batch.instruction is not None
    shift = model.cameras(batch.domain, batch.camids)
    return model(
        batch.images.to(model.device, non_blocking=True), encode_batch(model, batch.instruction), shift
    )


def _in_full(output: IRMOutput) -> IRMOutput:
    return replace(
        output,
        edited=output.edited.float(),
        fused=output.fused.float(),
        patch_tokens=output.patch_tokens.float(),
    )


def encode_batch(model: IRM, instruction: InstructionBatch) -> InstructionTokens:
    """Instruction features of a batch's rows."""
    is_shared = instruction.clothes is None and len(set(instruction.sentences)) == 1
    if is_shared and not model.training and not torch.is_grad_enabled():
        return model.shared.beside(len(instruction), instruction.sentences[0])
    return model.encode(
        instruction.sentences,
        instruction.sentence_rows,
        None if instruction.clothes is None else instruction.clothes.to(model.device, non_blocking=True),
        instruction.clothes_rows,
    )
