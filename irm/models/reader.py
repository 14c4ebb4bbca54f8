"""Sentences in, instruction tokens out: tokenizer, text encoder, and a memory of what a frozen one said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from irm.models.instruction_encoder import InstructionEncoder
from irm.models.latest import versions_of
from irm.models.sentence_cache import SentenceCache
from irm.models.tokenizer import SentenceTokenizer
from irm.models.tokens import InstructionTokens


class SentenceReader:
    """Reads sentences with an instruction encoder; an encoder that is frozen reads each one once."""

    def __init__(self, encoder: InstructionEncoder, *, capacity: int) -> None:
        """Make a reader without a tokenizer.

        Args:
            encoder: whose text part reads.
            capacity: sentences whose features are kept while the encoder is frozen; 0 keeps none.
        """
        self.encoder = encoder
        self.remembers = encoder.freeze_text and capacity > 0
        self.tokenizer: SentenceTokenizer | None = None
        self._cache = SentenceCache(capacity)

    def attach(self, tokenizer: SentenceTokenizer) -> None:
        """Take a tokenizer.

        Raises:
            ValueError: when it has more token ids than the text encoder has embeddings.
        """
        known = self.encoder.text.vocab_size
        if tokenizer.vocab_size > known:
            raise ValueError(
                f"the tokenizer has {tokenizer.vocab_size} token ids; the text encoder knows {known}"
            )
        self.tokenizer = tokenizer

    def read(self, sentences: Sequence[str], *, training: bool = False) -> InstructionTokens:
        """Features of sentences, one row each; a sentence that comes twice is encoded once.

        What a frozen encoder said is kept, but in training only what it was told ahead: sentences too many
        for that (a hundred thousand captions) are read as batches, which a GPU does as fast as one.

        Args:
            sentences: may repeat.
            training: whether a training step asks.

        Raises:
            ValueError: without a tokenizer.
        """
        if self.remembers:
            weights = self._weights()
            if not training or self._cache.has_ahead(sentences, weights=weights):
                return self._cache.look_up(sentences, self._encode_precisely, weights=weights)
        distinct = {sentence: row for row, sentence in enumerate(dict.fromkeys(sentences))}
        features = self._encode(list(distinct))
        rows = torch.tensor([distinct[sentence] for sentence in sentences])
        return features.take(rows.to(features.tokens.device, non_blocking=True))

    def remember(self, sentences: Iterable[str]) -> None:
        """Encode many sentences ahead; without effect where nothing is kept.

        Raises:
            ValueError: when there are more than can be kept, or there is no tokenizer.
        """
        if self.remembers:
            self._cache.fill(sentences, self._encode_precisely, weights=self._weights())

    def _encode(self, sentences: Sequence[str]) -> InstructionTokens:
        if self.tokenizer is None:
            raise ValueError(
                "this model has no tokenizer and cannot read sentences; give it one (attach_tokenizer)"
            )
        token_ids, mask = self.tokenizer(sentences)
        device = self.encoder.text.device
        return self.encoder.encode_text(
            token_ids.to(device, non_blocking=True), mask.to(device, non_blocking=True)
        )

    def _encode_precisely(self, sentences: Sequence[str]) -> InstructionTokens:
        """In full precision whatever the caller's, because the result is kept."""
        with torch.autocast(self.encoder.text.device.type, enabled=False):
            return self._encode(sentences)

    def _weights(self) -> tuple[tuple[int, int], ...]:
        """Where the text encoder's weights lie and how often each was written to."""
        return versions_of(self.encoder.text.parameters())
