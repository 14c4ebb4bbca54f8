"""Instructions as words: attributes of people, and sentences about them. This package does not use torch."""

from instructions.attributes import ATTRIBUTES, AttributeSet
from instructions.banks import BANKS, CANONICAL, canonical, draw
from instructions.continuation import (
    BASELINE_PROMPTS,
    CONTINUE_IMAGE,
    CONTINUE_IMAGE_TURN,
    CONTINUE_TEXT,
    IMAGE_SLOT,
    Prompt,
    limit_words,
)
from instructions.errors import InputError
from instructions.instruction import NEUTRAL, NEUTRAL_SENTENCE, Instruction
from instructions.sentences import LLMWriter, SentenceWriter, TemplateWriter, missing_words

__all__ = [
    "ATTRIBUTES",
    "BANKS",
    "BASELINE_PROMPTS",
    "CANONICAL",
    "CONTINUE_IMAGE",
    "CONTINUE_IMAGE_TURN",
    "CONTINUE_TEXT",
    "IMAGE_SLOT",
    "NEUTRAL",
    "NEUTRAL_SENTENCE",
    "AttributeSet",
    "InputError",
    "Instruction",
    "LLMWriter",
    "Prompt",
    "SentenceWriter",
    "TemplateWriter",
    "canonical",
    "draw",
    "limit_words",
    "missing_words",
]
