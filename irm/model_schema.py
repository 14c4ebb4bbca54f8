"""The part of a run sheet that is the model and its losses (IRM, section 4); the rest is in irm/schema.py."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Size = tuple[Annotated[int, Field(ge=8, le=2048)], Annotated[int, Field(ge=8, le=2048)]]
Weight = Annotated[float, Field(ge=0.0, le=1000.0)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Sheet(BaseModel):
    """Part of a run sheet: unknown keys and implicit conversions are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class FusionSheet(Sheet):
    """The cross-modal attention E_f (Sec. 4; the paper does not say how deep it is)."""

    layers: int = Field(default=2, ge=1, le=12, description="released: 2 ViT blocks")
    streams: int = Field(
        default=1, ge=1, le=2, description="Sec. 4.4 has one F_out; released: 2, with class tokens swapped"
    )
    blocks: Literal["own", "backbone"] = Field(
        default="own", description="released: E_f is the backbone's own first and last block"
    )
    mask_padding: bool = Field(
        default=True,
        description="ours: padding tokens are masked out of the attention; released: they are attended to",
    )


class InstructionSheet(Sheet):
    """The instruction encoder E_i (Sec. 4)."""

    text: Literal["albef_base", "blip_base", "minilm", "tiny"] = Field(
        default="albef_base",
        description="Sec. 5.1: ALBEF; minilm: from a pip package, used by the demo; tiny: for tests",
    )
    text_weights: str | None = Field(
        default="weights/albef",
        description="folder written by tools.convert_weights (including its match head), or a BertModel "
        "folder "
        "with its tokenizer; or owner/name@COMMIT on the hub; null: the package's weights, or random "
        "ones",
    )
    image: str = Field(
        default="weights/albef",
        description="encoder of clothes images: a backbone's folder or name, or owner/name@COMMIT on the hub",
    )
    pad_to_max: bool = Field(
        default=False,
        description="ours: sentences are padded to the longest one; released: always to 70 tokens",
    )
    image_size: Size = Field(default=(128, 128), description="released: clothes images at 128x128")
    freeze_text: bool = Field(
        default=True, description="Sec. 5.2: a fixed instruction encoder is enough; released: trained"
    )
    freeze_images: bool = Field(default=True, description="Sec. 5.2; released: trained")


class ModelSheet(Sheet):
    """The network (Sec. 4.2)."""

    start: str | None = Field(
        default=None,
        description="ours: start from the weights of a run or model folder, or of owner/name@COMMIT; "
        "replaces "
        "backbone, instruction.text_weights and instruction.image",
    )
    backbone: str = Field(
        default="weights/pass",
        description="Sec. 5.1: ViT-Base with ReID pretraining; a folder, owner/name@COMMIT, or a name, which "
        "starts from random weights",
    )
    pretrained: bool = Field(
        default=False, description="ours: download timm's published weights for a named backbone"
    )
    image_size: Size = Field(default=(256, 128), description="height, width (Sec. 5.1)")
    drop_path: float = Field(
        default=0.1, ge=0.0, lt=1.0, description="stochastic depth rate; released: 0 to 0.1, linear in depth"
    )
    editing: bool = Field(default=True, description="gated blocks (Sec. 4.2); released model: off")
    gate: Literal["per_layer", "per_head"] = Field(
        default="per_layer", description="eq. 2: g_l; released adapter: per_head"
    )
    tanh: bool = Field(default=False, description="eq. 2 multiplies by g_l itself; released adapter: tanh(g)")
    share_kv: bool = Field(
        default=False, description="eqs. 3-4: own k', v' projections; released adapter: shared"
    )
    fusion: FusionSheet = FusionSheet()
    match_layers: int = Field(
        default=6, ge=1, le=12, description="layers of the match head; ALBEF: BERT layers 6 to 11"
    )
    feature: Literal["edited", "fused", "both"] = Field(
        default="edited", description="feature used for retrieval; Sec. 4.2: F; released: F_out, twice"
    )
    normalise: bool = Field(default=True, description="ours: compare unit vectors; released: raw features")
    compare: Literal["after_neck", "before_neck"] = Field(
        default="after_neck", description="released; TransReID, CLIP-ReID: before_neck"
    )
    resize: Literal["bilinear", "bicubic"] = Field(
        default="bilinear", description="ours; TransReID, CLIP-ReID, QAConv: bicubic"
    )
    matcher: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="channels of a QAConv matcher on the patch features; QAConv: 128",
    )
    camera_embedding: float | None = Field(
        default=None,
        gt=0.0,
        le=100.0,
        description="coefficient of the camera embedding; papers: none; TransReID (SIE): 3.0",
    )
    instruction: InstructionSheet = InstructionSheet()


class AdaptiveTripletSheet(Sheet):
    """Eqs. 5-6."""

    margin: Annotated[float, Field(ge=0.0, le=100.0)] | Literal["soft"] = Field(
        default=0.3, description="m of eq. 5; released: 0.3; TransReID: soft, log(1 + exp(.))"
    )
    mining: Literal["all", "released", "batch_hard"] = Field(
        default="all",
        description="eq. 5 sums over triplets; released: mined pairs; TransReID: batch_hard, without "
        "instructions",
    )
    squared: bool = Field(
        default=False, description="the text of Sec. 4.3 says Euclidean, its formula squares; released: no"
    )
    adaptive: bool = Field(
        default=True, description="Sec. 4.3; false: the classic triplet loss, table 5's w/o L_atri"
    )

    @model_validator(mode="after")
    def _soft_is_batch_hard(self) -> Self:
        if self.margin == "soft" and self.mining != "batch_hard":
            raise ValueError(
                "margin: soft requires batch-hard mining; set mining: batch_hard, or give margin as a number"
            )
        return self


# Terms that can train a model alone; the others only join them.
EQ_7 = (
    *("identification", "adaptive_triplet", "identification_fused", "adaptive_triplet_fused"),
    "score_triplet",  # QAConv-GS trains by it alone
)
EQ_8 = ("contrastive", "matching")


class LossWeights(Sheet):
    """Factors of the terms of eqs. 7 and 8, which have none; fused terms are means over streams."""

    identification: Weight = Field(default=1.0, description="eq. 7, on F")
    adaptive_triplet: Weight = Field(default=1.0, description="eq. 7, on F; released: 3 (VC-Clothes: 1)")
    identification_fused: Weight = Field(default=1.0, description="eq. 7, on F_out")
    adaptive_triplet_fused: Weight = Field(
        default=1.0, description="eq. 7, on F_out; released: 3 (VC-Clothes: 1)"
    )
    composition: Weight = Field(
        default=0.0,
        description="ours: composition_loss, instructed rows against gallery rows without caption or crop",
    )
    outfit: Weight = Field(
        default=0.0,
        description="ours: outfit_loss on clothes images, for an encoder that is not pretrained",
    )
    score_triplet: Weight = Field(
        default=0.0, description="papers: none; QAConv-GS: the only term; needs model.matcher"
    )
    contrastive: Weight = Field(default=1.0, description="eq. 8; released: 0.5")
    matching: Weight = Field(default=1.0, description="eq. 8; released: 1")
    hidden_words: Weight = Field(default=0.0, description="not in eq. 8; released: 1; needs lessons")
    replaced_words: Weight = Field(default=0.0, description="not in eq. 8; released: 0.5; needs lessons")


class LessonsSheet(Sheet):
    """What the released code adds to eq. 8, after RaSa: a teacher, a queue, words hidden and replaced."""

    queue: int = Field(
        default=65_536, ge=0, le=1_000_000, description="released; length of the queue in pairs; 0: no queue"
    )
    momentum: float = Field(
        default=0.995, ge=0.0, lt=1.0, description="released; EMA momentum of the teacher, per step"
    )
    distillation: Probability = Field(
        default=0.4, description="released; the teacher's share of the soft targets"
    )
    within_modality: bool = Field(
        default=True, description="released; also contrast images with images, and texts with texts"
    )
    hidden_share: Probability = Field(
        default=0.15, description="released; share of words masked for prediction"
    )
    replaced_share: Probability = Field(
        default=0.30,
        description="released; share of words masked for the teacher, which rewrites the whole sentence",
    )
    axis: Literal["words", "places"] = Field(
        default="places",
        description="released: the student's softmax runs over positions instead of the vocabulary, by "
        "mistake",
    )


class LossesSheet(Sheet):
    """What is minimised (Sec. 4.4)."""

    adaptive_triplet: AdaptiveTripletSheet = AdaptiveTripletSheet()
    triplet_after_neck: bool = Field(
        default=False, description="the fused triplet loss reads the features after the neck; released: yes"
    )
    composition_temperature: float = Field(
        default=0.1, gt=0.0, le=10.0, description="ours: temperature of composition_loss, divides its cosines"
    )
    label_smoothing: Probability = Field(
        default=0.0, description="released, TransReID: plain cross entropy; CLIP-ReID: 0.1"
    )
    score_margin: float = Field(
        default=16.0, ge=0.0, le=1000.0, description="margin of score_triplet; QAConv-GS: 16"
    )
    lessons: LessonsSheet | None = Field(
        default=None, description="eq. 8 has two terms; released: adds a teacher, a queue and two more terms"
    )
    weights: LossWeights = LossWeights()
    own: dict[str, Weight] = Field(
        default={}, description="ours: weights of loss terms that a program adds (examples/own_parts.py)"
    )

    @model_validator(mode="after")
    def _something_is_minimised(self) -> Self:
        # Of which equation an added term is, only whoever builds it knows (irm.training.terms).
        if not any(self.own.values()):
            if not any(getattr(self.weights, name) for name in EQ_7):
                raise ValueError("every term of eq. 7 has weight 0, so nothing would be learnt")
            if not any(getattr(self.weights, name) for name in EQ_8):
                raise ValueError("both terms of eq. 8 have weight 0, so nothing would be learnt")
        return self

    @model_validator(mode="after")
    def _own_terms_have_names_of_their_own(self) -> Self:
        taken = sorted(self.own.keys() & LossWeights.model_fields)
        if taken:
            raise ValueError(f"own: {taken[0]} is a built-in term; set weights.{taken[0]} instead")
        return self

    @model_validator(mode="after")
    def _lessons_are_given(self) -> Self:
        if self.lessons is None and (self.weights.hidden_words or self.weights.replaced_words):
            raise ValueError("weights.hidden_words and weights.replaced_words need lessons; set lessons: {}")
        return self
