"""The attention module E_f: image and instruction become F_out (IRM, section 4, eqs. 7-8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from timm.layers import LayerNorm
from timm.models.vision_transformer import Block, init_weights_vit_timm
from torch import Tensor, nn

from irm.models.backbone_folder import load_tensors
from irm.models.bert import CrossLayers
from irm.models.tokens import InstructionTokens, class_token, patch_tokens


class Fusion(nn.Module):
    """E_f of the five image tasks: plain transformer blocks over image and instruction tokens together.

    The paper writes ``F_out = E_f(F, F_T)``, with the edited class token F, without more detail. One stream
    takes this literally: ``[F; u_0 .. u_{L-1}]``, whose first token is F_out. Two streams are what the
    released code does: the same blocks see ``[F; u_1 ..]`` and ``[u_0; v_1 .. v_P]``, class tokens swapped.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int,
        instruction_dim: int,
        num_prefix_tokens: int = 1,
        layers: int = 2,
        streams: int = 1,
        mask_padding: bool = True,
        shared: Sequence[nn.Module] = (),
    ) -> None:
        """Build the blocks, with random weights.

        Args:
            dim: width D of the image tokens.
            num_heads: heads of a block.
            instruction_dim: width E of the instruction tokens; another width than D is projected.
            num_prefix_tokens: class token and registers of the image tokens; registers are left out.
            layers: number of blocks.
            streams: 1 or 2.
            mask_padding: do not attend to padding words (the released code does).
            shared: blocks of the backbone to run instead of new ones: the released E_f is the backbone's own
                first and last block, which thus learn from both uses.

        Raises:
            ValueError: when ``streams`` is neither 1 nor 2.
        """
        super().__init__()
        if streams not in (1, 2):
            raise ValueError(f"the fusion must have 1 stream (paper) or 2 (released code), not {streams}")
        self.streams, self.num_prefix_tokens, self.mask_padding = streams, num_prefix_tokens, mask_padding
        self.project = nn.Identity() if instruction_dim == dim else nn.Linear(instruction_dim, dim)
        own = 0 if shared else layers
        self.blocks = nn.ModuleList(
            Block(dim, num_heads, qkv_bias=True, norm_layer=LayerNorm) for _ in range(own)
        )
        self._shared = tuple(shared)  # a tuple is not registered: the parameters stay the backbone's alone
        self.apply(init_weights_vit_timm)

    def forward(
        self, tokens: Float[Tensor, "B N D"], instruction: InstructionTokens | None = None
    ) -> Float[Tensor, "B S D"]:
        """F_out, one per stream; without an instruction only the image's own tokens are used."""
        first, patches = class_token(tokens)[:, None], patch_tokens(tokens, self.num_prefix_tokens)
        if instruction is None:
            sequences = [first] if self.streams == 1 else [first, torch.cat([first, patches], dim=1)]
            return torch.stack([self._attend(sequence, None) for sequence in sequences], dim=1)
        words = self.project(instruction.tokens)
        mask = instruction.mask if self.mask_padding else torch.ones_like(instruction.mask)
        seen = mask.new_ones(mask.shape[0], 1)  # len() would fix the batch size of an export
        if self.streams == 1:
            fused = [self._attend(torch.cat([first, words], dim=1), torch.cat([seen, mask], dim=1))]
        else:
            fused = [
                self._attend(torch.cat([first, words[:, 1:]], dim=1), torch.cat([seen, mask[:, 1:]], dim=1)),
                self._attend(torch.cat([words[:, :1], patches], dim=1), None),
            ]
        return torch.stack(fused, dim=1)

    def _attend(
        self, sequence: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B D"]:
        """The first token after all blocks."""
        keys = None if mask is None else rearrange(mask, "b n -> b 1 1 n")
        for block in self._shared or self.blocks:
            sequence = block(sequence, attn_mask=keys)
        return class_token(sequence)

    def copy_blocks(self, blocks: Iterable[nn.Module]) -> None:
        """Start from a backbone's blocks, e.g. its last two: pretrained attention instead of random.

        Raises:
            ValueError: when there are fewer or more than ours, or they have another shape.
        """
        for block, source in zip(self.blocks, blocks, strict=True):
            plain = {
                key: tensor
                for key, tensor in source.state_dict().items()
                if not key.endswith(".gate") and ".instruction_kv." not in key
            }
            load_tensors(block, plain, name="the backbone's block")


class MatchHead(nn.Module):
    """E_f of text-to-image search: whether a text matches an image (eq. 8); ALBEF's layers 6-11."""

    def __init__(
        self,
        text_dim: int,
        *,
        image_dim: int,
        layers: int,
        num_heads: int,
        hidden_dim: int,
        dropout: float = 0.1,
    ) -> None:
        """Build the layers, with random weights.

        Args:
            text_dim: width E of the text states.
            image_dim: width D of the image tokens; another width than E is projected.
            layers: layers with cross-attention (ALBEF: 6).
            num_heads: heads of a layer.
            hidden_dim: width inside a layer's feed-forward part.
            dropout: as in BERT.
        """
        super().__init__()
        self.project = nn.Identity() if image_dim == text_dim else nn.Linear(image_dim, text_dim)
        self.cross = CrossLayers(
            embed_dim=text_dim, depth=layers, num_heads=num_heads, hidden_dim=hidden_dim, dropout=dropout
        )
        self.head = nn.Linear(text_dim, 2)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(
        self,
        text: InstructionTokens,
        image_tokens: Float[Tensor, "B M D"],
    ) -> Float[Tensor, "B 2"]:
        """Logits of (does not match, matches) for row i of the texts with row i of the images."""
        return self.head(class_token(self.states(text, image_tokens)))

    def states(
        self,
        text: InstructionTokens,
        image_tokens: Float[Tensor, "B M D"],
    ) -> Float[Tensor, "B L E"]:
        """The words after cross-attention to the image."""
        return self.cross(text.match_states, text.mask, self.project(image_tokens))
