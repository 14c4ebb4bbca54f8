"""A sentence beside all pictures of a search: K' and V' of eq. 3 are constants then, computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import torch

from irm.models.editing_transformer import EditingTransformer
from irm.models.tokens import InstructionTokens, SharedInstruction

CAPACITY = 64  # sentences; of a ViT-B some 0.6 MB each


class SharedSentences:
    """What each layer hears of the sentences used last; forgotten when a weight changes."""

    def __init__(
        self,
        read: Callable[[Sequence[str]], InstructionTokens],
        encoder: torch.nn.Module,
        transformer: EditingTransformer,
    ) -> None:
        """Keep nothing yet.

        Args:
            read: encodes sentences.
            encoder: whose weights decide what is read.
            transformer: whose layers hear it.
        """
        self._read, self._encoder, self._transformer = read, encoder, transformer
        self._kept: OrderedDict[str, SharedInstruction] = OrderedDict()
        self._weights: Hashable = None

    def beside(self, count: int, sentence: str) -> SharedInstruction:
        """The sentence beside ``count`` pictures; takes no gradient."""
        weights = self._versions()
        if weights != self._weights:
            self.forget()
            self._weights = weights
        if sentence not in self._kept:
            self._kept[sentence] = self._hear(sentence)
        self._kept.move_to_end(sentence)
        if len(self._kept) > CAPACITY:
            self._kept.popitem(last=False)
        one = self._kept[sentence]
        return SharedInstruction(
            one.tokens.expand(count, -1, -1),
            one.mask.expand(count, -1),
            one.pooled.expand(count, -1),
            layers=one.layers,
        )

    def forget(self) -> None:
        """Keep nothing."""
        self._kept.clear()

    @torch.no_grad()
    def _hear(self, sentence: str) -> SharedInstruction:
        """In full precision whatever the caller's, because the result is kept."""
        with torch.autocast(next(self._transformer.parameters()).device.type, enabled=False):
            one = self._read([sentence])
            layers = self._transformer.hear(one)
        return SharedInstruction(one.tokens, one.mask, one.pooled, layers=layers)

    def _versions(self) -> tuple[tuple[int, int], ...]:
        """Where every weight lies that has a say, and how often each was written to."""
        weights = (*self._encoder.parameters(), *self._transformer.parameters())
        return tuple((weight.data_ptr(), weight._version) for weight in weights)
