"""The editing transformer E_e: a vision transformer that also attends to instructions (IRM, section 4.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from einops import rearrange
from jaxtyping import Float
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from irm.models.backbone_folder import load_tensors
from irm.models.gated_attention import GatedAttention
from irm.models.tokens import InstructionKV, InstructionTokens, SharedInstruction


class EditingTransformer(nn.Module):
    """L blocks ``F_l = block_l(F_{l-1}, F_T)`` (eq. 1), then the backbone's final norm."""

    def __init__(
        self,
        vit: VisionTransformer,
        *,
        instruction_dim: int,
        editing: bool = True,
        gate: Literal["per_layer", "per_head"] = "per_layer",
        tanh: bool = False,
        share_kv: bool = False,
        checkpointing: bool = False,
    ) -> None:
        """Wrap a backbone, whose weights keep their names under ``vit.``.

        Args:
            vit: a timm transformer of pre-norm blocks.
            instruction_dim: width E of the instruction's tokens.
            editing: False leaves the backbone plain, as the released model is; instructions are ignored.
            gate: see ``GatedAttention``.
            tanh: see ``GatedAttention``.
            share_kv: see ``GatedAttention``.
            checkpointing: recompute each block in the backward pass: less memory, a third more time.

        Raises:
            ValueError: when a block is of another kind, or the widths do not allow ``share_kv``.
        """
        super().__init__()
        self.vit = vit
        self.editing = editing
        self.checkpointing = checkpointing
        for block in vit.blocks:
            if type(block) is not Block or not isinstance(block.attn, Attention):
                raise ValueError(f"only timm's pre-norm Block can be edited, not a {type(block).__name__}")
            self.num_heads: int = block.attn.num_heads
            if editing:
                block.attn = GatedAttention(
                    block.attn, instruction_dim=instruction_dim, gate=gate, tanh=tanh, share_kv=share_kv
                )

    @property
    def embed_dim(self) -> int:
        """Width D of the image tokens."""
        return self.vit.embed_dim

    @property
    def num_prefix_tokens(self) -> int:
        """The class token and the registers."""
        return self.vit.num_prefix_tokens

    def forward(
        self,
        images: Float[Tensor, "B 3 H W"],
        instruction: InstructionTokens | None = None,
        shift: Float[Tensor, "B D"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        """Tokens after the final norm: class token (F of the paper), registers, patches.

        ``shift`` is added to every token beside the positions; see ``CameraEmbedding``.
        """
        vit = self.vit
        tokens = vit._pos_embed(vit.patch_embed(images))
        if shift is not None:
            tokens = tokens + rearrange(shift, "b d -> b 1 d")
        tokens = vit.norm_pre(vit.patch_drop(tokens))
        for place, block in enumerate(vit.blocks):
            assert isinstance(block, Block)
            given: InstructionTokens | InstructionKV | None = instruction
            if isinstance(instruction, SharedInstruction):
                given = instruction.layers[place] if self.editing else None
            if self.checkpointing and self.training:
                tokens = checkpoint(self._run, block, tokens, given, use_reentrant=False)
            else:
                tokens = self._run(block, tokens, given)
        return vit.norm(tokens)

    def gated_kv(self, instruction: InstructionTokens) -> tuple[InstructionKV, ...]:
        """K' and gated V' of a single instruction in every layer (eq. 3); they do not depend on the image."""
        real = instruction.mask[0]
        alone = InstructionTokens(instruction.tokens[:, real], instruction.mask[:, real], instruction.pooled)
        attentions = [block.attn for block in self.vit.blocks if isinstance(block.attn, GatedAttention)]
        return tuple(replace(attention.gated_kv(alone), mask=None) for attention in attentions)

    def _run(
        self,
        block: Block,
        tokens: Float[Tensor, "B N D"],
        instruction: InstructionTokens | InstructionKV | None,
    ) -> Float[Tensor, "B N D"]:
        """Run timm's own block, with the instruction passed to its attention."""
        if not self.editing:
            return block(tokens)
        tokens = tokens + block.drop_path1(block.ls1(block.attn(block.norm1(tokens), instruction)))
        return tokens + block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))

    def load_backbone(self, vit: VisionTransformer) -> None:
        """Copy a plain backbone's weights; gates and k', v' stay as they are.

        Raises:
            ValueError: when the backbone has another shape.
        """
        ours = frozenset(
            key for key in self.vit.state_dict() if key.endswith(".gate") or ".instruction_kv." in key
        )
        load_tensors(self.vit, vit.state_dict(), name="the backbone", optional=ours)
