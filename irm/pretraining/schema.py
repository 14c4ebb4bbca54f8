"""The run sheet of MLLMReID's joint stage as types: each setting, its range, its source (MLLM 3, 4)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from irm.model_schema import Probability, Sheet, Size
from irm.schema import (
    AugmentationSheet,
    BatchSheet,
    EvaluationSheet,
    RunSheet,
    SourceSheet,
)


class VLMSheet(Sheet):
    """Vision tower, projector, language model (Sec. 3.1)."""

    vision: str = Field(
        default="openai/clip-vit-large-patch14", description="Sec. 3.1; hub id, folder or tiny"
    )
    llm: str = Field(
        default="meta-llama/Llama-2-7b-chat-hf",
        description="Sec. 3.1: LLaMA 2; hub id, folder, .gguf file, smollm2 (package) or tiny",
    )
    llava: str | None = Field(
        default=None,
        description="ours: a complete LLaVA checkpoint, which replaces vision, llm and projector",
    )
    random: bool = Field(
        default=False, description="same architecture with random weights, for measurements or tests"
    )
    projector: Literal["linear", "mlp2x_gelu"] = Field(
        default="linear", description="Sec. 3.1; LLaVA-1.5: MLP"
    )
    projector_weights: str | None = Field(
        default=None, description="mm_projector.bin from LLaVA's pretraining, for the same tower and LLM"
    )
    feature_layer: Annotated[int, Field(ge=-64, le=64)] | tuple[int, ...] = Field(
        default=-1, description="Sec. 3.1 examines before (-2) and after (-1) the last layer"
    )
    keep_class_token: bool = Field(
        default=False, description="LLaVA: no; ours: yes gives its output a gradient"
    )
    image_size: Size = Field(default=(256, 128), description="Sec. 2.1; resized to whole patches: 252x126")
    template: str = Field(default="minigpt4", description="Sec. 3.2 prints MiniGPT-4's; chat: the LLM's own")
    pool: Literal["mean", "last", "max", "class"] = Field(
        default="mean",
        description="pooling of the image tokens, which Sec. 3.3 does not state; class: the class token",
    )


class LoraSheet(Sheet):
    """Low-rank adapters of the language model (Sec. 1 names LoRA; the figures are LLaVA's)."""

    rank: int = Field(default=64, ge=1, le=1024, description="LLaVA: 64")
    alpha: float = Field(default=128.0, gt=0.0, le=4096.0, description="LLaVA: 16, later 256 at rank 128")
    dropout: Probability = Field(default=0.05, description="LLaVA: 0.05")
    targets: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        description="layers of the language model to tune, by name suffix; LLaVA: all linear layers",
    )


class TuneSheet(Sheet):
    """What trains (Sec. 3.3: the visual encoder or projection layer; LLaVA itself freezes its tower)."""

    tower: Literal["full", "frozen"] = "full"
    projector: Literal["full", "frozen"] = "full"
    llm: Literal["lora", "full", "frozen"] = "lora"
    lora: LoraSheet = LoraSheet()


class JointLossSheet(Sheet):
    """Eqs. 2-4."""

    lambda_value: Probability = Field(default=0.3, description="lambda of eq. 4; 1 trains without SyncReID")
    margin: float | None = Field(
        default=None, ge=0.0, le=100.0, description="m of eq. 3; null: soft margin, as in TransReID's configs"
    )
    label_smoothing: Probability = Field(default=0.0, description="TransReID's configs: none")


class WordsSheet(Sheet):
    """What the language model is to say."""

    instruction: Literal["common", "diverse"] = Field(
        default="common",
        description="Sec. 3.2: one instruction, continuations; diverse: the baseline's 20 prompts, captions",
    )
    max_turns: int = Field(default=2, ge=1, le=16, description="T of Sec. 3.2; CUHK-PEDES has two captions")


class DescribedSheet(SourceSheet):
    """A ReID set and the words for its images."""

    words: str | None = Field(
        default=None,
        description="folder written by tools.write_continuations; null: only the ReID part is trained",
    )


class PretrainRun(RunSheet):
    """One joint training run of MLLMReID, whole."""

    model: VLMSheet = VLMSheet()
    tune: TuneSheet = TuneSheet()
    words: WordsSheet = WordsSheet()
    losses: JointLossSheet = JointLossSheet()
    mixture: tuple[DescribedSheet, ...] = Field(min_length=1)
    batch: BatchSheet = BatchSheet(num_identities=16, num_instances=4)
    chunk: int | None = Field(
        default=None,
        ge=1,
        description="rows encoded at a time if a batch does not fit into memory (GradCache); same gradients",
    )
    augmentation: AugmentationSheet = AugmentationSheet()
    activation_checkpointing: bool = Field(default=False, description="saves memory, costs time")
    shard: bool = Field(
        default=False,
        description="under torchrun each process holds a shard of every layer (FSDP); same losses",
    )
    evaluation: tuple[EvaluationSheet, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        for row in self.mixture:
            if row.task != "trad":
                raise ValueError(f"mixture: the joint stage trains task trad, not {row.task!r}")
        if self.losses.lambda_value == 1.0 and not any(row.words for row in self.mixture):
            raise ValueError(
                "losses.lambda_value is 1, which trains on texts only, but no row of the mixture has words"
            )
        if self.batch.sampling == "graph":
            raise ValueError("batch.sampling: graph is for the second stage, tools.train; set random")
        if self.tune.tower == "frozen":
            raise ValueError("tune.tower is frozen, but this training exists to train the tower; set full")
        if self.optimizer.average is not None or self.optimizer.layer_decay != 1.0:
            raise ValueError(
                "optimizer.average and optimizer.layer_decay are only for tools.train; remove them"
            )
        return self
