"""IRM, the instruct-ReID model (section 4): editing transformer, instruction encoder, fusion, necks.

Shapes everywhere in this package: ``B`` batch, ``H W`` image, ``h w`` clothes image, ``P`` patches, ``N``
tokens (class token, registers, patches), ``D`` width of image tokens, ``L`` instruction tokens, ``E`` their
width, ``T`` text tokens, ``S`` streams of the fusion, ``J`` what is compared in a search.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from irm.models.backbones import backbone_spec, build_backbone
from irm.models.bert import text_spec
from irm.models.camera_embedding import CameraEmbedding
from irm.models.editing_transformer import EditingTransformer
from irm.models.hub_folder import CARD, HubFolder
from irm.models.instruction_encoder import InstructionEncoder
from irm.models.neck import NeckBank
from irm.models.output import IRMOutput, Necked
from irm.models.parts import build_fusion, build_match_head, build_matcher
from irm.models.sentence_encoder import SentenceEncoder
from irm.models.settings import BACKBONE, INSTRUCTION, MATCH, RetrievalSettings, SentenceSettings
from irm.models.shared_sentences import SharedSentences
from irm.models.tokenizer import SentenceTokenizer
from irm.models.tokens import InstructionTokens, class_token, merge_rows, patch_tokens


class IRM(
    nn.Module,
    HubFolder,
    library_name="instruct-reid",
    license="apache-2.0",
    pipeline_tag="image-feature-extraction",
    tags=["person-re-identification", "instruct-reid"],
    model_card_template=CARD,
):
    """One model for six tasks; knows tensors and sentences, no task by name."""

    def __init__(
        self,
        *,
        backbone: Mapping[str, Any] = BACKBONE,
        instruction: Mapping[str, Any] = INSTRUCTION,
        editing: Mapping[str, Any] | None = None,
        fusion: Mapping[str, Any] | None = None,
        match: Mapping[str, Any] | None = MATCH,
        necks: Sequence[str] = (),
        retrieval: Mapping[str, Any] | None = None,
        reading: Mapping[str, Any] | None = None,
        matcher: Mapping[str, Any] | None = None,
        cameras: Mapping[str, Any] | None = None,
    ) -> None:
        """Build the network with random weights and no tokenizer, from the data that ``config.json`` holds.

        Args:
            backbone: arguments of ``build_backbone``.
            instruction: arguments of ``InstructionEncoder``.
            editing: arguments of ``EditingTransformer``: editing, gate, tanh, share_kv, checkpointing.
            fusion: arguments of ``Fusion``: layers, streams, mask_padding, blocks; see ``build_fusion``.
            match: arguments of ``MatchHead``: layers, num_heads, hidden_dim, dropout; None builds none.
            necks: domains with batch-norm statistics of their own.
            retrieval: arguments of ``RetrievalSettings``.
            reading: arguments of ``SentenceSettings``.
            matcher: arguments of ``QAConv``: channels; None builds none.
            cameras: arguments of ``CameraEmbedding``; None builds none.
        """
        super().__init__()
        self.retrieval = RetrievalSettings(**retrieval or {})
        self.reading = SentenceSettings(
            **{"albef": text_spec(instruction["text"]["name"]).albef, **(reading or {})}
        )
        self.image_spec = backbone_spec(backbone["name"])  # mean and std for the images
        self.clothes_spec = backbone_spec(instruction["image"]["name"])
        self.instruction_encoder = InstructionEncoder(**instruction)
        text = self.instruction_encoder.text
        vit = build_backbone(**backbone)
        self.editing_transformer = EditingTransformer(vit, instruction_dim=text.embed_dim, **editing or {})
        self.fusion = build_fusion(self.editing_transformer, instruction_dim=text.embed_dim, **fusion or {})
        self.match_head = build_match_head(text, vit.embed_dim, match)
        self.matcher = build_matcher(self.editing_transformer, matcher)
        self.cameras = CameraEmbedding(vit.embed_dim, **cameras or {"num_cameras": {}})
        self.necks = NeckBank(necks, vit.embed_dim)
        self.image_projection = nn.Linear(vit.embed_dim, self.retrieval.projection_dim)
        self.text_projection = nn.Linear(text.embed_dim, self.retrieval.projection_dim)
        self.log_temperature = nn.Parameter(torch.tensor(0.07).log())  # ALBEF starts at 0.07
        kept = self.reading.cache if self.fusion.mask_padding else 0  # padding states are not kept
        self.sentence_encoder = SentenceEncoder(self.instruction_encoder, capacity=kept)
        self.shared = SharedSentences(self.sentence_encoder.encode, text, self.editing_transformer)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.editing_transformer.vit.patch_embed.img_size

    @property
    def clothes_size(self) -> tuple[int, int]:
        """Height and width of the clothes images."""
        return self.instruction_encoder.image.patch_embed.img_size

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.log_temperature.device

    @property
    def temperature(self) -> Float[Tensor, ""]:
        """Temperature of the contrastive loss: learnt, within ALBEF's bounds."""
        return self.log_temperature.exp().clamp(0.001, 0.5)

    @property
    def tokenizer(self) -> SentenceTokenizer | None:
        """The tokenizer; a model fresh from its constructor has none."""
        return self.sentence_encoder.tokenizer

    def train(self, mode: bool = True) -> IRM:
        """Also drop cached K' and V': a fused optimizer changes weights without raising their versions."""
        self.shared.clear()
        return super().train(mode)

    def attach_tokenizer(self, tokenizer: SentenceTokenizer) -> None:
        """Give the model its tokenizer; see ``SentenceEncoder.attach``."""
        self.sentence_encoder.attach(tokenizer)

    def load_tokenizer(self, folder: Path) -> None:
        """Attach the tokenizer in a folder, reading sentences as this model was built to.

        Raises:
            ValueError: when there is none, or it does not fit.
        """
        how = self.reading
        found = SentenceTokenizer.load(
            folder, max_tokens=how.max_tokens, albef=how.albef, pad_to_max=how.pad_to_max
        )
        self.attach_tokenizer(found)

    def load_backbone(self, vit: VisionTransformer) -> None:
        """Start from a plain backbone's weights, the fusion from its last blocks; gates stay closed.

        Raises:
            ValueError: when the shapes differ.
        """
        self.editing_transformer.load_backbone(vit)
        if len(self.fusion.blocks):
            self.fusion.copy_blocks(vit.blocks[-len(self.fusion.blocks) :])

    def precompute(self, sentences: Iterable[str]) -> None:
        """Read many sentences ahead, e.g. a training set's; see ``SentenceEncoder.precompute``."""
        self.sentence_encoder.precompute(sentences)

    def encode_sentences(self, sentences: Sequence[str]) -> InstructionTokens:
        """Features of sentences, one row each; from memory where the encoder is frozen."""
        return self.sentence_encoder.encode(sentences, training=self.training)

    def encode(
        self,
        sentences: Sequence[str],
        sentence_rows: Int[Tensor, " S"],
        clothes: Float[Tensor, "C 3 h w"] | None = None,
        clothes_rows: Int[Tensor, " C"] | None = None,
    ) -> InstructionTokens:
        """Instructions of one batch: sentences for some rows, clothes images for the others.

        Args:
            sentences: the sentences.
            sentence_rows: which row of the batch each belongs to.
            clothes: the clothes images, or None.
            clothes_rows: which row of the batch each belongs to.

        Raises:
            ValueError: when the rows together are not 0..B-1, each once, or there is no tokenizer.
        """
        groups = []
        if len(sentences):
            groups.append((self.encode_sentences(sentences), sentence_rows))
        if clothes is not None and clothes_rows is not None and len(clothes):
            groups.append((self.instruction_encoder.encode_images(clothes.to(self.device)), clothes_rows))
        if not groups:
            raise ValueError("there is no instruction to encode: neither a sentence nor a clothes image")
        return merge_rows(groups)

    def forward(
        self,
        images: Float[Tensor, "B 3 H W"],
        instruction: InstructionTokens | None = None,
        shift: Float[Tensor, "B D"] | None = None,
    ) -> IRMOutput:
        """Edited and fused features of images, all with instructions or none; ``shift`` is the cameras'."""
        tokens = self.editing_transformer(images, instruction, shift)
        return IRMOutput(
            edited=class_token(tokens),
            fused=self.fusion(tokens, instruction),
            instruction=None if instruction is None else instruction.pooled,
            patch_tokens=patch_tokens(tokens, self.editing_transformer.num_prefix_tokens),
        )

    def project_image(self, edited: Float[Tensor, "B D"]) -> Float[Tensor, "B J"]:
        """Unit vectors in the space that images and texts share (eq. 8)."""
        return F.normalize(self.image_projection(edited), dim=-1)

    def project_text(self, pooled: Float[Tensor, "B E"]) -> Float[Tensor, "B J"]:
        """Unit vectors in the space that images and texts share (eq. 8)."""
        return F.normalize(self.text_projection(pooled), dim=-1)

    def match(self, text: InstructionTokens, image_tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B 2"]:
        """Logits of (does not match, matches) for text i, image i (as ``IRMOutput.match_tokens``).

        Raises:
            ValueError: when the model was built without a match head.
        """
        if self.match_head is None:
            raise ValueError("this model has no match head; build it with match={'layers': 6}")
        return self.match_head(text, image_tokens)

    def neck(self, output: IRMOutput, *, view: str) -> Necked:
        """F and F_out after the necks of the domain ``view``; in training, these update their statistics."""
        streams = [self.necks(stream, name=view, feature="fused") for stream in output.fused.unbind(dim=1)]
        return Necked(self.necks(output.edited, name=view, feature="edited"), torch.stack(streams, dim=1))

    def joined(self, necked: Necked) -> Float[Tensor, "B J"]:
        """The retrieval feature: F, F_out or both, concatenated."""
        fused = necked.fused.unbind(dim=1)
        features = {"edited": (necked.edited,), "fused": fused, "both": (necked.edited, *fused)}
        joined = torch.cat(features[self.retrieval.feature], dim=-1)
        return F.normalize(joined, dim=-1) if self.retrieval.normalise else joined

    def retrieval_features(self, output: IRMOutput, *, view: str) -> Float[Tensor, "B J"]:
        """The retrieval features, taken after the necks of the domain ``view`` or before any neck."""
        is_necked = self.retrieval.after_neck
        return self.joined(self.neck(output, view=view) if is_necked else Necked(output.edited, output.fused))

    @torch.no_grad()
    def embed(
        self,
        images: Float[Tensor, "B 3 H W"],
        instructions: Sequence[str | Tensor] | Tensor | None = None,
        *,
        view: str | None = None,
    ) -> Float[Tensor, "B J"]:
        """Retrieval features of images under instructions.

        Args:
            images: of ``image_size``, normalised with ``image_spec``'s mean and std.
            instructions: one per image: a sentence, or a clothes image of ``clothes_size``, normalised with
                ``clothes_spec``; None embeds the images without instructions.
            view: whose batch-norm statistics, one of ``necks.names``; may be left out when there is only one.

        Raises:
            ValueError: when the counts differ, the view is unknown, or the model is in training mode.
        """
        self._check_evaluation()
        if view is None:
            if len(self.necks.names) != 1:
                known = ", ".join(self.necks.names) or "none"
                raise ValueError(f"pass the view to embed for (available: {known})")
            view = self.necks.names[0]
        if instructions is not None and len(instructions) != len(images):
            raise ValueError(f"{len(instructions)} instructions for {len(images)} images; pass one per image")
        instruction = None if instructions is None else self._encode_given(instructions)
        return self.retrieval_features(self(images.to(self.device), instruction), view=view)

    @torch.no_grad()
    def embed_text(self, texts: Sequence[str]) -> Float[Tensor, "B J"]:
        """Unit vectors of descriptions, to compare with those of ``embed_image``; not in training mode."""
        self._check_evaluation()
        return self.project_text(self.encode_sentences(texts).pooled)

    @torch.no_grad()
    def embed_image(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B J"]:
        """Unit vectors of images on their own, to compare with ``embed_text``'s; not in training mode."""
        self._check_evaluation()
        return self.project_image(class_token(self.editing_transformer(images.to(self.device))))

    def _encode_given(self, instructions: Sequence[str | Tensor] | Tensor) -> InstructionTokens:
        sentences = {row: given for row, given in enumerate(instructions) if isinstance(given, str)}
        clothes = {row: given for row, given in enumerate(instructions) if not isinstance(given, str)}
        if len(set(sentences.values())) == 1 and not clothes:
            return self.shared.beside(len(instructions), sentences[0])
        return self.encode(
            list(sentences.values()),
            torch.tensor(list(sentences), dtype=torch.int64),
            torch.stack(list(clothes.values())) if clothes else None,
            torch.tensor(list(clothes), dtype=torch.int64),
        )

    def _check_evaluation(self) -> None:
        if self.training:
            raise ValueError("the model is in training mode; call model.eval() before embedding")
