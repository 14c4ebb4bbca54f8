"""From attributes to sentences (IRM, section 3): the interface of the two writers, and their common check."""

from __future__ import annotations

import random
from typing import Protocol

from instructions.attributes import AttributeSet
from instructions.evidence import missing_words
from instructions.llm_writer import REQUEST, LLMWriter, Written
from instructions.template_writer import SALIENT, TemplateWriter

__all__ = ["REQUEST", "SALIENT", "LLMWriter", "SentenceWriter", "TemplateWriter", "Written", "missing_words"]


class SentenceWriter(Protocol):
    """Anything that describes a person in sentences."""

    def write(self, attributes: AttributeSet, rng: random.Random) -> str:
        """A text that names every attribute word given; the same arguments give the same text."""
        ...
