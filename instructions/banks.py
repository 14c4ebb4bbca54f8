"""The three banks of twenty sentences that name a task to the model (IRM, table 8)."""

import random
from importlib import resources

from instructions.errors import InputError
from instructions.instruction import Instruction


def _sentences(bank: str) -> tuple[str, ...]:
    text = resources.files("instructions").joinpath("data", f"{bank}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


# Traditional, clothes-changing and visible-infrared ReID; verbatim, in the order of the table.
BANKS: dict[str, tuple[str, ...]] = {bank: _sentences(bank) for bank in ("trad", "cc", "vi")}

# The sentence of each bank from which the other nineteen were generated (appendix D.1).
CANONICAL: dict[str, str] = {
    "trad": "do not change clothes",
    "cc": "ignore clothes",
    "vi": "retrieve cross-modality images",
}

# The single sentence that the released code uses for every image (its spelling). It has
# none for clothes-changing ReID, where it uses an image as instruction.
RELEASED: dict[str, str] = CANONICAL | {"vi": "cross modiality"}


def draw(bank: str, rng: random.Random) -> Instruction:
    """A random sentence of a bank, as training draws one at each step (appendix D.1).

    Raises:
        InputError: no bank has this name.
    """
    return Instruction(sentence=rng.choice(_known(bank)), source="bank")


def canonical(bank: str) -> Instruction:
    """The sentence that a bank was generated from; evaluation uses it by default.

    Raises:
        InputError: no bank has this name.
    """
    _known(bank)
    return Instruction(sentence=CANONICAL[bank], source="bank")


def _known(bank: str) -> tuple[str, ...]:
    if bank not in BANKS:
        raise InputError(f"unknown instruction bank {bank!r}; known banks: {', '.join(BANKS)}")
    return BANKS[bank]
