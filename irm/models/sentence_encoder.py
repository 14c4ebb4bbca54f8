"""Sentences in, instruction tokens out: tokenizer, text encoder, and a cache where the encoder is frozen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from irm.models.instruction_encoder import InstructionEncoder
from irm.models.lru_cache import weight_versions
from irm.models.sentence_cache import SentenceCache
from irm.models.tokenizer import SentenceTokenizer
from irm.models.tokens import InstructionTokens


class SentenceEncoder:
    """Encodes sentences with an instruction encoder; with a frozen encoder, each sentence only once."""

    def __init__(self, encoder: InstructionEncoder, *, capacity: int) -> None:
        """Make a reader without a tokenizer.

        Args:
            encoder: whose text part reads.
            capacity: sentences whose features are kept while the encoder is frozen; 0 keeps none.
        """
        self.encoder = encoder
        self.caches = encoder.freeze_text and capacity > 0
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
                f"the tokenizer has {tokenizer.vocab_size} token ids, but the text encoder only {known}"
            )
        self.tokenizer = tokenizer

    def encode(self, sentences: Sequence[str], *, training: bool = False) -> InstructionTokens:
        """Features of sentences, one row each; a sentence that comes twice is encoded once.

        The features of a frozen encoder are cached. In training only those read ahead (``precompute``) are
        used: sentences too many for that (a hundred thousand captions) are encoded batch by batch, which
        takes a GPU no longer than a single sentence.

        Args:
            sentences: may repeat.
            training: whether this is a training step.

        Raises:
            ValueError: without a tokenizer.
        """
        if self.caches:
            weights = self._weights()
            if not training or self._cache.has_precomputed(sentences, weights=weights):
                return self._cache.look_up(sentences, self._encode_precisely, weights=weights)
        distinct = {sentence: row for row, sentence in enumerate(dict.fromkeys(sentences))}
        features = self._encode(list(distinct))
        rows = torch.tensor([distinct[sentence] for sentence in sentences])
        return features.take(rows.to(features.tokens.device, non_blocking=True))

    def precompute(self, sentences: Iterable[str]) -> None:
        """Encode many sentences ahead; without effect where nothing is kept.

        Raises:
            ValueError: when there are more than can be kept, or there is no tokenizer.
        """
        if self.caches:
            self._cache.fill(sentences, self._encode_precisely, weights=self._weights())

    def _encode(self, sentences: Sequence[str]) -> InstructionTokens:
        if self.tokenizer is None:
            raise ValueError(
                "this model has no tokenizer and cannot read sentences; attach one with attach_tokenizer"
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
        """Which weights the text encoder has now."""
        return weight_versions(self.encoder.text.parameters())
