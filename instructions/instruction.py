"""An instruction: a sentence or a clothes image given with a query, and where it came from (IRM, 4.1)."""

from dataclasses import dataclass
from typing import Literal

Source = Literal["bank", "caption", "clothes", "neutral", "user"]

# The instruction of a gallery image that has neither caption nor clothes image, and of a query
# that asks for nothing in particular. Ours; the papers have no such sentence.
NEUTRAL_SENTENCE = "a photo of a person"


@dataclass(frozen=True, slots=True)
class Instruction:
    """Either a sentence or the path of a clothes image, exactly one of the two."""

    sentence: str | None = None
    clothes: str | None = None
    source: Source = "user"
    outfit: int | None = None  # id of the outfit that it shows or describes, if known

    def __post_init__(self) -> None:
        if (self.sentence is None) == (self.clothes is None):
            raise ValueError("an instruction is either a sentence or a clothes image")


NEUTRAL = Instruction(sentence=NEUTRAL_SENTENCE, source="neutral")
