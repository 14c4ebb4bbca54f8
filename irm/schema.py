"""The run sheet of IRM as types: every setting, its range, and where it comes from (IRM, sections 4, 5.1).

"Sec." cites the paper; "released" says what the authors' published code does instead; "ours" marks choices
that neither makes.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from instructions.errors import near_miss
from irm.model_schema import LossesSheet, ModelSheet, Probability, Sheet
from omnireid.datasets import dataset_named
from omnireid.protocols import PROTOCOLS
from omnireid.tasks import TASKS


def _known(kind: str, registry: dict[str, Any], name: str) -> str:
    if name not in registry:
        raise ValueError(
            f"there is no {kind} {name!r}{near_miss(name, registry)}; known: {', '.join(registry)}"
        )
    return name


def _known_dataset(name: str) -> str:
    return dataset_named(name).card.name


TaskName = Annotated[str, AfterValidator(partial(_known, "task", TASKS))]
DatasetName = Annotated[str, AfterValidator(_known_dataset)]
ProtocolName = Annotated[str, AfterValidator(partial(_known, "protocol", PROTOCOLS))]


class RowSheet(Sheet):
    """A data set as a task reads it."""

    task: TaskName
    dataset: DatasetName
    variant: str | None = Field(
        default=None, description="variant of the data set, e.g. detected or labeled for cuhk03"
    )
    source: Literal["auto", "lists", "raw"] = Field(
        default="auto", description="read the official lists or the raw layout"
    )


class SourceSheet(RowSheet):
    """One data set as one task trains on it (table 9)."""

    weight: float = Field(
        default=1.0, gt=0.0, le=1000.0, description="loss weight, normalised as w / sum of w; released: all 1"
    )
    num_identities: int | None = Field(
        default=None, ge=2, le=4096, description="overrides batch.num_identities"
    )
    num_instances: int | None = Field(default=None, ge=1, le=256, description="overrides batch.num_instances")
    swap_clothes: float = Field(
        default=0.0, ge=0.0, le=1.0, description="ours: share of images with another image below the head"
    )
    head: float = Field(default=0.25, gt=0.0, lt=1.0, description="share of the height that is the head")


class BatchSheet(Sheet):
    """Identities times images of each task's batch (Sec. 5.1)."""

    num_identities: int = Field(default=32, ge=2, le=4096, description="Sec. 5.1")
    num_instances: int = Field(default=4, ge=1, le=256, description="Sec. 5.1")
    parts: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="ours: chunks that a batch is encoded in, in turn; the loss is that of the whole batch",
    )
    sampling: Literal["random", "graph"] = Field(
        default="random",
        description="how identities are drawn; QAConv-GS: graph, each person together with the most "
        "similar ones",
    )


class OptimizerSheet(Sheet):
    """The optimizer and its learning rate (Sec. 5.1: AdamW)."""

    lr: float = Field(
        default=1e-5, gt=0.0, le=1.0, description="Sec. 5.1; released: 1e-5 single-task, 4e-5 multi-task"
    )
    weight_decay: float = Field(default=5e-4, ge=0.0, le=1.0, description="Sec. 5.1")
    decay: Literal["weights", "all"] = Field(
        default="weights",
        description="ours: no decay of norms, biases, gates, temperature, tokens, positions; released: all "
        "parameters decay",
    )
    warmup_from: float = Field(default=1e-7, ge=0.0, le=1.0, description="Sec. 5.1")
    warmup_steps: int = Field(default=1000, ge=0, description="Sec. 5.1")
    steps: int = Field(default=24_000, ge=1, description="released; the paper does not state it")
    schedule: Literal["cosine", "constant", "released", "steps"] = Field(
        default="cosine",
        description="shape after the warm-up, down to lr_end; released: one cosine over all steps, "
        "multiplied by "
        "the warm-up; CLIP-ReID: steps",
    )
    lr_end: float = Field(
        default=0.0, ge=0.0, le=1.0, description="final lr of the cosine schedule; TransReID: 0.002 lr"
    )
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(),
        description="for schedule: steps, the steps at which lr is divided by 10; CLIP-ReID: epochs 30, "
        "50 of 60",
    )
    bias_lr: float = Field(
        default=1.0, gt=0.0, le=100.0, description="factor on the lr of biases; TransReID, CLIP-ReID: 2"
    )
    clip_grad_norm: float | None = Field(
        default=None, gt=0.0, description="maximum gradient norm; papers: none"
    )
    lr_multipliers: dict[str, Annotated[float, Field(ge=0.0, le=10_000.0)]] = Field(
        default={}, description="lr factor by parameter name prefix, the longest prefix wins; papers: none"
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="lr factor from each backbone layer to the one below it; papers: 1",
    )
    average: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="decay of a moving average of the weights; papers: none"
    )
    name: Literal["adamw", "adam", "sgd"] = Field(
        default="adamw", description="Sec. 5.1; CLIP-ReID: adam; TransReID, QAConv-GS: sgd"
    )
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="for sgd; TransReID, QAConv-GS: 0.9")
    nesterov: bool = Field(default=False, description="for sgd; TransReID: no; QAConv-GS: yes")
    fused: bool | None = Field(default=None, description="use the fused AdamW kernel; null: only on a GPU")

    @model_validator(mode="after")
    def _steps_fall_somewhere(self) -> Self:
        if self.schedule == "steps" and not self.milestones:
            raise ValueError(
                "schedule is steps, but milestones is empty; list the steps at which lr drops, or set "
                "schedule to constant"
            )
        return self


class LoaderSheet(Sheet):
    """How images come from disk (ours)."""

    workers: int = Field(
        default=2,
        ge=0,
        le=256,
        description="worker processes that read images; 0 reads them in the main process",
    )
    cache_mib: int = Field(
        default=0,
        ge=0,
        description="MiB of memory for decoded images; 0 reads each image from disk every time",
    )


class AugmentationSheet(Sheet):
    """Random flip, pad-and-crop, erasing (Sec. 5.1; the figures are the released code's)."""

    flip: Probability = Field(default=0.5, description="Sec. 5.1; released: 0.5")
    pad: int = Field(
        default=10,
        ge=0,
        le=512,
        description="padding in pixels at height 256, before the crop; released: 10",
    )
    erase: Probability = Field(default=0.5, description="Sec. 5.1; released: 0.9")
    erase_fill: Literal["mean", "colour", "pixel", "white"] = Field(
        default="mean", description="ours; released: one random colour; TransReID: pixel; QAConv: white"
    )
    erase_area: tuple[Probability, Probability] = Field(
        default=(0.02, 0.2),
        description="smallest and largest erased share of the image; TransReID: up to a third",
    )
    erase_shape: Literal["rectangle", "square"] = Field(
        default="rectangle",
        description="released; QAConv: square, with a side of up to 0.8 of the image's shorter side",
    )
    jitter: tuple[Probability, Probability, Probability, Probability] | None = Field(
        default=None,
        description="strength in brightness, contrast, saturation, hue; released: 0.5, 0.5, 0.5, 0.4",
    )


class LoggingSheet(Sheet):
    """How often a run speaks and saves (ours)."""

    every: int = Field(default=10, ge=1, description="steps between two rows of metrics.jsonl")
    checkpoint_every: int = Field(
        default=1000, ge=1, description="steps between two checkpoints; released: 1000"
    )
    keep: int = Field(
        default=2,
        ge=2,
        le=1000,
        description="number of checkpoints kept; at least two, because one may be damaged",
    )


class ValidationSheet(Sheet):
    """Training people held out for choosing the best weights; never people of a test (ours)."""

    share: float = Field(
        default=0.0,
        ge=0.0,
        le=0.5,
        description="share of each source's people held out for validation; 0: none",
    )
    every: int = Field(default=1000, ge=1, description="steps between two validations")


class EvaluationSheet(RowSheet):
    """One row of the benchmark table, read by tools.evaluate."""

    protocol: ProtocolName


class RunSheet(Sheet):
    """What the sheets of both kinds of training share; the session that runs them reads nothing else."""

    seed: int = Field(default=1, ge=0, lt=2**32, description="ours; released: 0")
    data: str = Field(default="data/omnireid", min_length=1, description="folder that holds the data sets")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: a GPU if there is one")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 on a GPU; released: fp32"
    )
    optimizer: OptimizerSheet = OptimizerSheet()
    loader: LoaderSheet = LoaderSheet()
    logging: LoggingSheet = LoggingSheet()


class IRMRun(RunSheet):
    """One training run of IRM, whole; what is saved beside every checkpoint."""

    preset: Literal["paper", "released"] = Field(default="paper", description="see PRESETS in irm/config.py")
    model: ModelSheet = ModelSheet()
    mixture: tuple[SourceSheet, ...] = Field(min_length=1)
    batch: BatchSheet = BatchSheet()
    losses: LossesSheet = LossesSheet()
    sentences: Literal["bank", "constant"] = Field(
        default="bank",
        description="App. D.1: each batch draws one of the bank's 20 sentences; released: one constant "
        "sentence",
    )
    cc_instruction: Literal["sentence", "image"] = Field(
        default="sentence",
        description="Sec. 4.1; released: the clothes image named in the lists, a white shirt",
    )
    gallery_instruction: Literal["own", "neutral", "mixed"] = Field(
        default="own",
        description="Sec. 4.1: the instruction of a gallery image is its own crop or caption; mixed: ours",
    )
    neutral_share: Probability = Field(
        default=0.5, description="ours: share of neutral sentences when gallery_instruction is mixed"
    )
    target_share: Probability = Field(
        default=0.0,
        description="ours: share of rows given the instruction of another image of the same person, as "
        "queries "
        "are",
    )
    sources_per_step: int | None = Field(
        default=None, ge=1, description="ours: number of mixture rows drawn per step, by weight; null: all"
    )
    augmentation: AugmentationSheet = AugmentationSheet()
    activation_checkpointing: bool = Field(
        default=False, description="saves memory, costs time; released: on"
    )
    compile: bool = Field(default=False, description="torch.compile of the image side; papers: no")
    validation: ValidationSheet = ValidationSheet()
    evaluation: tuple[EvaluationSheet, ...] = ()

    @model_validator(mode="after")
    def _rows_are_distinct_and_readable(self) -> Self:
        rows = [f"{row.task}/{row.dataset}" for row in self.mixture]
        for row in rows:
            if rows.count(row) > 1:
                raise ValueError(f"mixture lists {row} more than once; list it once, with a larger weight")
        if self.losses.weights.score_triplet and self.model.matcher is None:
            raise ValueError("losses.weights.score_triplet needs a matcher; set model.matcher: 128")
        parts = {"mixture": self.mixture, "evaluation": self.evaluation}
        for place, sheet in (
            (f"{part}.{i}", sheet) for part, sheets in parts.items() for i, sheet in enumerate(sheets)
        ):
            tasks = dataset_named(sheet.dataset).card.tasks
            if sheet.task not in tasks:
                known = ", ".join(tasks)
                raise ValueError(
                    f"{place}: {sheet.dataset} does not support task {sheet.task!r} (it supports {known})"
                )
        return self
