"""Whole numbers as users write them, within the range of a database integer."""

from instructions.errors import InputError

WHOLE = range(-(2**63), 2**63)


def whole_number(text: str, what: str) -> int:
    """A whole number that a gallery store can hold; ``what`` names it in errors.

    Raises:
        InputError: it is not a whole number, or too large.

    >>> whole_number("12", "--camera")
    12
    """
    try:
        number = int(text)
    except ValueError:
        raise InputError(f"{what} is {text!r}, not a whole number") from None
    if number not in WHOLE:
        raise InputError(
            f"{what} is {text!r}, which is out of range; use a whole number from 0 to {WHOLE[-1]}"
        )
    return number
