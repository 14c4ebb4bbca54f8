"""The one exception that a user may cause, a sentence with the way out; some are the machine's fault."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from outside (a file, a sheet, a request); programs print it and exit with code 2."""


class HeldError(InputError):
    """Another process holds what is needed; the same, asked again later, may go."""


class BrokenError(InputError):
    """No fault of whoever asks: a disk is full, a file damaged, or not to be opened."""


class FullError(BrokenError):
    """A disk has no room; the same goes once there is some."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` for a misspelt name, empty when nothing is near."""
    close = difflib.get_close_matches(name, [word for word in known if word], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
