"""Features of sentences, computed once: a frozen encoder gives the same sentence the same features."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from irm.models.lru_cache import LRUCache
from irm.models.tokens import InstructionTokens

Encode = Callable[[Sequence[str]], InstructionTokens]


class SentenceCache:
    """Keeps the features of sentences read ahead, and of those used last.

    A sentence is encoded alone, or in a batch that ``fill`` composes. In a training step's own batch its
    features would depend, in the last bits, on its neighbours, and a resumed run, whose cache starts empty,
    would no longer repeat the uninterrupted one.
    """

    def __init__(self, capacity: int) -> None:
        """Make an empty cache.

        Args:
            capacity: sentences kept of either kind; the one unused for longest goes first.
        """
        self._precomputed: dict[str, InstructionTokens] = {}
        self._kept: LRUCache[InstructionTokens] = LRUCache(capacity)

    def __len__(self) -> int:
        return len(self._precomputed) + len(self._kept)

    def has_precomputed(self, sentences: Iterable[str], *, weights: Hashable) -> bool:
        """Whether all of them were read ahead, by these weights."""
        self._forget_unless(weights)
        return all(sentence in self._precomputed for sentence in sentences)

    def _forget_unless(self, weights: Hashable) -> None:
        if self._kept.clear_if_changed(weights):
            self._precomputed.clear()

    def look_up(self, sentences: Sequence[str], encode: Encode, *, weights: Hashable) -> InstructionTokens:
        """Features of the sentences, one row each, padded to the longest with zeros.

        Args:
            sentences: may repeat.
            encode: called with one unknown sentence at a time; must not need gradients.
            weights: which weights encode; when they change, the cache is cleared.
        """
        self._forget_unless(weights)

        @torch.no_grad()
        def alone(sentence: str) -> InstructionTokens:
            return encode([sentence])

        found = {
            sentence: self._precomputed[sentence]
            if sentence in self._precomputed
            else self._kept.get(sentence, alone)
            for sentence in dict.fromkeys(sentences)
        }
        rows = [found[sentence] for sentence in sentences]
        return InstructionTokens(
            tokens=pad_sequence([row.tokens[0] for row in rows], batch_first=True),
            mask=pad_sequence([row.mask[0] for row in rows], batch_first=True),
            pooled=torch.cat([row.pooled for row in rows]),
            words=_stacked([row.words for row in rows]),
        )

    def fill(
        self, sentences: Iterable[str], encode: Encode, *, weights: Hashable, batch_size: int = 32
    ) -> None:
        """Encode many sentences at once, which is several times faster; the same set gives the same bits.

        Args:
            sentences: in any order; they take the place of those read ahead before.
            encode: called with ``batch_size`` sentences at a time; must not need gradients.
            weights: as in ``look_up``.
            batch_size: sentences in a batch, which are chosen to be of like length.

        Raises:
            ValueError: when there are more than the cache keeps.
        """
        ordered = sorted(set(sentences), key=lambda sentence: (len(sentence), sentence))
        if len(ordered) > self._kept.capacity:
            raise ValueError(
                f"{len(ordered)} sentences exceed the cache's capacity of {self._kept.capacity}; enlarge "
                "the cache"
            )
        self._forget_unless(weights)
        self._precomputed.clear()
        for start in range(0, len(ordered), batch_size):
            batch = ordered[start : start + batch_size]
            with torch.no_grad():
                features = encode(batch)
            for row, sentence in enumerate(batch):
                real = features.mask[row]
                # Copies: a slice would keep the whole padded batch in memory.
                self._precomputed[sentence] = InstructionTokens(
                    tokens=features.tokens[row, real][None].clone(),
                    mask=real[real][None].clone(),
                    pooled=features.pooled[row : row + 1].clone(),
                    words=None if features.words is None else features.words[row, real][None].clone(),
                )


def _stacked(words: Sequence[Tensor | None]) -> Tensor | None:
    """Embeddings of all sentences, padded to the longest with zeros, where the encoder gives any."""
    given = [row[0] for row in words if row is not None]
    return pad_sequence(given, batch_first=True) if given else None
