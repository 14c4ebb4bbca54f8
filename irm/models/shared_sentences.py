"""One sentence for all images of a search: K' and V' of eq. 3 are then constants, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from irm.models.editing_transformer import EditingTransformer
from irm.models.lru_cache import LRUCache, weight_versions
from irm.models.tokens import InstructionTokens, SharedInstruction

CAPACITY = 64  # sentences kept, of about 0.6 MB each for a ViT-B


class SharedSentences:
    """K' and V' of the sentences used last, in every layer; dropped when a weight changes."""

    def __init__(
        self,
        read: Callable[[Sequence[str]], InstructionTokens],
        encoder: torch.nn.Module,
        transformer: EditingTransformer,
    ) -> None:
        """Start empty.

        Args:
            read: encodes sentences.
            encoder: the text encoder behind ``read``; a change of its weights empties the cache.
            transformer: whose layers project the sentence.
        """
        self._read, self._encoder, self._transformer = read, encoder, transformer
        self._kept: LRUCache[SharedInstruction] = LRUCache(CAPACITY)

    def beside(self, count: int, sentence: str) -> SharedInstruction:
        """The sentence as the instruction of ``count`` images; takes no gradient."""
        self._kept.clear_if_changed(
            weight_versions((*self._encoder.parameters(), *self._transformer.parameters()))
        )
        one = self._kept.get(sentence, self._compute)
        return SharedInstruction(
            one.tokens.expand(count, -1, -1),
            one.mask.expand(count, -1),
            one.pooled.expand(count, -1),
            layers=one.layers,
        )

    def clear(self) -> None:
        """Empty the cache."""
        self._kept.clear()

    @torch.no_grad()
    def _compute(self, sentence: str) -> SharedInstruction:
        """In full precision whatever the caller's, because the result is kept."""
        with torch.autocast(next(self._transformer.parameters()).device.type, enabled=False):
            one = self._read([sentence])
            layers = self._transformer.gated_kv(one)
        return SharedInstruction(one.tokens, one.mask, one.pooled, layers=layers)
