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
    variant: str | None = Field(default=None, description="the reader's, e.g. detected or labeled for cuhk03")
    source: Literal["auto", "lists", "raw"] = Field(
        default="auto", description="official lists or raw layout"
    )


class SourceSheet(RowSheet):
    """One data set as one task trains on it (table 9)."""

    weight: float = Field(
        default=1.0, gt=0.0, le=1000.0, description="loss weight, taken as w / sum of w; released: all 1"
    )
    num_identities: int | None = Field(
        default=None, ge=2, le=4096, description="instead of batch.num_identities"
    )
    num_instances: int | None = Field(
        default=None, ge=1, le=256, description="instead of batch.num_instances"
    )


class BatchSheet(Sheet):
    """Identities times images of each task's batch (Sec. 5.1)."""

    num_identities: int = Field(default=32, ge=2, le=4096, description="Sec. 5.1")
    num_instances: int = Field(default=4, ge=1, le=256, description="Sec. 5.1")
    parts: int = Field(
        default=1, ge=1, le=4096, description="ours: pieces encoded in turn for one and the same loss"
    )
    sampling: Literal["random", "graph"] = Field(
        default="random", description="of identities; QAConv-GS: graph, each person with the most alike ones"
    )


class OptimizerSheet(Sheet):
    """The optimizer and its learning rate (Sec. 5.1: AdamW)."""

    lr: float = Field(
        default=1e-5, gt=0.0, le=1.0, description="Sec. 5.1; released: 1e-5 single-task, 4e-5 multi-task"
    )
    weight_decay: float = Field(default=5e-4, ge=0.0, le=1.0, description="Sec. 5.1")
    decay: Literal["weights", "all"] = Field(
        default="weights",
        description="ours: not norms, biases, gates, temperature, tokens, positions; released: all",
    )
    warmup_from: float = Field(default=1e-7, ge=0.0, le=1.0, description="Sec. 5.1")
    warmup_steps: int = Field(default=1000, ge=0, description="Sec. 5.1")
    steps: int = Field(default=24_000, ge=1, description="released; the paper does not say")
    schedule: Literal["cosine", "constant", "released", "steps"] = Field(
        default="cosine",
        description="after warm-up to lr_end; released: one cosine over all steps, times the warm-up; "
        "CLIP-ReID: steps",
    )
    lr_end: float = Field(default=0.0, ge=0.0, le=1.0, description="of cosine; TransReID: 0.002 lr")
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="of steps: where the rate falls to a tenth; CLIP-ReID: epochs 30, 50 of 60"
    )
    bias_lr: float = Field(default=1.0, gt=0.0, le=100.0, description="TransReID, CLIP-ReID: 2")
    clip_grad_norm: float | None = Field(
        default=None, gt=0.0, description="largest gradient norm; papers: none"
    )
    lr_multipliers: dict[str, Annotated[float, Field(ge=0.0, le=10_000.0)]] = Field(
        default={}, description="prefix of a parameter's name to factor, longest prefix wins; papers: none"
    )
    layer_decay: float = Field(
        default=1.0, gt=0.0, le=1.0, description="factor of lr a backbone's layer down; papers: 1"
    )
    average: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="decay of a moving average of the weights; papers: none"
    )
    name: Literal["adamw", "adam", "sgd"] = Field(
        default="adamw", description="Sec. 5.1; CLIP-ReID: adam; TransReID, QAConv-GS: sgd"
    )
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="of sgd; TransReID, QAConv-GS: 0.9")
    nesterov: bool = Field(default=False, description="of sgd; TransReID: no; QAConv-GS: yes")
    fused: bool | None = Field(default=None, description="AdamW in one kernel; null: on a GPU")

    @model_validator(mode="after")
    def _steps_fall_somewhere(self) -> Self:
        if self.schedule == "steps" and not self.milestones:
            raise ValueError(
                "the schedule steps falls at milestones, and there are none; name some, or constant"
            )
        return self


class LoaderSheet(Sheet):
    """How pictures come from disk (ours)."""

    workers: int = Field(
        default=2, ge=0, le=256, description="processes that read pictures; 0 reads in the program itself"
    )
    cache_mib: int = Field(
        default=0, ge=0, description="memory for decoded pictures; 0 reads every picture every time"
    )


class AugmentationSheet(Sheet):
    """Random flip, pad-and-crop, erasing (Sec. 5.1; the figures are the released code's)."""

    flip: Probability = Field(default=0.5, description="Sec. 5.1; released: 0.5")
    pad: int = Field(
        default=10,
        ge=0,
        le=512,
        description="pixels at height 256 around the picture, before the crop; released: 10",
    )
    erase: Probability = Field(default=0.5, description="Sec. 5.1; released: 0.9")
    erase_fill: Literal["mean", "colour", "pixel", "white"] = Field(
        default="mean", description="ours; released: one random colour; TransReID: pixel; QAConv: white"
    )
    erase_area: tuple[Probability, Probability] = Field(
        default=(0.02, 0.2), description="shares of the picture; TransReID: up to a third"
    )
    erase_shape: Literal["rectangle", "square"] = Field(
        default="rectangle", description="released; QAConv: square, of a side up to 0.8 of the shorter one"
    )
    jitter: tuple[Probability, Probability, Probability, Probability] | None = Field(
        default=None, description="brightness, contrast, saturation, hue; released: 0.5, 0.5, 0.5, 0.4"
    )


class LoggingSheet(Sheet):
    """How often a run speaks and saves (ours)."""

    every: int = Field(default=10, ge=1, description="steps between two rows of metrics.jsonl")
    checkpoint_every: int = Field(default=1000, ge=1, description="steps; released: 1000")
    keep: int = Field(
        default=2, ge=2, le=1000, description="checkpoints kept; never below two, one may be damaged"
    )


class ValidationSheet(Sheet):
    """Training people kept aside to choose the best weights by; nobody of a test (ours)."""

    share: float = Field(default=0.0, ge=0.0, le=0.5, description="of each source's people; 0: none")
    every: int = Field(default=1000, ge=1, description="steps between two validations")


class EvaluationSheet(RowSheet):
    """One row of the benchmark table, read by tools.evaluate."""

    protocol: ProtocolName


class RunSheet(Sheet):
    """What the sheets of both kinds of training share; the session that runs them reads nothing else."""

    seed: int = Field(default=1, ge=0, lt=2**32, description="ours; released: 0")
    data: str = Field(
        default="data/omnireid", min_length=1, description="the folder that holds the data sets"
    )
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
        default="bank", description="App. D.1: one of a bank's 20 a batch; released: one constant sentence"
    )
    cc_instruction: Literal["sentence", "image"] = Field(
        default="sentence", description="Sec. 4.1; released: the picture that the lists name, a white shirt"
    )
    gallery_instruction: Literal["own", "neutral", "mixed"] = Field(
        default="own", description="Sec. 4.1: a gallery picture carries its own crop or caption; mixed: ours"
    )
    neutral_share: Probability = Field(
        default=0.5, description="ours: of neutral sentences where gallery_instruction is mixed"
    )
    target_share: Probability = Field(
        default=0.0,
        description="ours: rows told another picture's instruction of the same person, as a query is",
    )
    sources_per_step: int | None = Field(
        default=None, ge=1, description="ours: draw so many rows a step by weight; null: all"
    )
    augmentation: AugmentationSheet = AugmentationSheet()
    activation_checkpointing: bool = Field(default=False, description="less memory for time; released: on")
    compile: bool = Field(default=False, description="torch.compile of the image side; papers: no")
    validation: ValidationSheet = ValidationSheet()
    evaluation: tuple[EvaluationSheet, ...] = ()

    @model_validator(mode="after")
    def _rows_are_distinct_and_readable(self) -> Self:
        rows = [f"{row.task}/{row.dataset}" for row in self.mixture]
        for row in rows:
            if rows.count(row) > 1:
                raise ValueError(f"mixture names {row} twice; give one row a larger weight instead")
        if self.losses.weights.score_triplet and self.model.matcher is None:
            raise ValueError("losses.weights.score_triplet needs a matcher; say model.matcher: 128")
        parts = {"mixture": self.mixture, "evaluation": self.evaluation}
        for place, sheet in (
            (f"{part}.{i}", sheet) for part, sheets in parts.items() for i, sheet in enumerate(sheets)
        ):
            tasks = dataset_named(sheet.dataset).card.tasks
            if sheet.task not in tasks:
                known = ", ".join(tasks)
                raise ValueError(f"{place}: {sheet.dataset} has no task {sheet.task!r} (it has {known})")
        return self
