"""Sentences to token ids: BERT's WordPiece in two forms, BERT's own and ALBEF's, which adds no [SEP]."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")
MAX_WORDS = 50  # of a caption in ALBEF's form; the rest is cut
DELETED = str.maketrans("-/", "  ", ",.'!?\"()*#:;~")


class SentenceTokenizer:
    """Tokenizes a batch of sentences, padded to its longest, never longer than ``max_tokens``."""

    def __init__(
        self, tokenizer: BertTokenizer, *, max_tokens: int = 70, albef: bool = False, pad_to_max: bool = False
    ) -> None:
        """Wrap a tokenizer.

        Args:
            tokenizer: WordPiece with the usual special tokens.
            max_tokens: special tokens included; longer sentences are cut.
            albef: as ALBEF's weights were trained: captions cleaned and cut to 50 words, no [SEP] at the end.
            pad_to_max: pad to ``max_tokens``, as in the released code, whose E_f attends to the padding.
        """
        self.tokenizer, self.max_tokens, self.albef = tokenizer, max_tokens, albef
        self.pad_to_max = pad_to_max

    @classmethod
    def load(
        cls, folder: Path, *, max_tokens: int = 70, albef: bool = False, pad_to_max: bool = False
    ) -> SentenceTokenizer:
        """From a folder with ``tokenizer.json`` or ``vocab.txt``.

        Raises:
            ValueError: when the folder has neither, or they are damaged.
        """
        if not any((folder / name).is_file() for name in TOKENIZER_FILES):
            raise ValueError(
                f"{folder} does not contain a tokenizer: it has neither tokenizer.json nor vocab.txt"
            )
        try:
            tokenizer = BertTokenizer.from_pretrained(folder)
        except Exception as error:  # a damaged file raises many kinds of errors
            raise ValueError(f"the tokenizer in {folder} is damaged or truncated ({error})") from None
        return cls(tokenizer, max_tokens=max_tokens, albef=albef, pad_to_max=pad_to_max)

    @classmethod
    def characters(cls, *, max_tokens: int = 70) -> SentenceTokenizer:
        """A tokenizer that spells every word, for models without a vocabulary file."""
        signs = string.ascii_lowercase + string.digits
        words = [*SPECIAL, *signs, *(f"##{sign}" for sign in signs), *string.punctuation]
        return cls(
            BertTokenizer(vocab={word: index for index, word in enumerate(words)}), max_tokens=max_tokens
        )

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into an existing folder.

        Raises:
            OSError: they cannot be written.
        """
        try:
            self.tokenizer.save_pretrained(folder)
        except OSError:
            raise
        except Exception as error:  # tokenizers raises a bare Exception on a full disk
            raise OSError(f"the tokenizer cannot be written to {folder}: {error}") from None

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return len(self.tokenizer)

    def words_read(self, sentence: str) -> int:
        """How many of a sentence's words (split at spaces) are read in full; the rest is cut off."""
        words = sentence.split()
        if self.albef:
            words = [word.lower().translate(DELETED) for word in words]
        room, parts = self.max_tokens - (1 if self.albef else 2), MAX_WORDS
        bodies = self.tokenizer(words, add_special_tokens=False)["input_ids"] if words else []
        for count, (word, body) in enumerate(zip(words, bodies, strict=True)):
            room -= len(body)
            parts -= len(word.split()) if self.albef else 0
            if min(room, parts) < 0:
                return count
        return len(words)

    def __call__(self, sentences: Sequence[str]) -> tuple[Int[Tensor, "B T"], Bool[Tensor, "B T"]]:
        """Token ids and their mask, on the CPU."""
        if self.albef:
            sentences = [clean_caption(sentence) for sentence in sentences]
        cls_id, sep_id = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        ending = [] if self.albef else [sep_id]
        bodies = self.tokenizer(list(sentences), add_special_tokens=False)["input_ids"]
        rows = [[cls_id, *body[: self.max_tokens - 1 - len(ending)], *ending] for body in bodies]
        length = self.max_tokens if self.pad_to_max else max(map(len, rows))
        token_ids = torch.full((len(rows), length), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(token_ids, dtype=torch.bool)
        for index, row in enumerate(rows):
            token_ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = True
        return token_ids, mask


def clean_caption(caption: str) -> str:
    """ALBEF's cleaning: lower case, no punctuation, hyphens and slashes as spaces, at most 50 words.

    >>> clean_caption("A man, in a dark-blue T-shirt.")
    'a man in a dark blue t shirt'
    """
    caption = caption.lower().translate(DELETED).replace("<person>", "person")
    caption = re.sub(r"\s{2,}", " ", caption).rstrip("\n").strip(" ")
    return " ".join(caption.split(" ")[:MAX_WORDS])
