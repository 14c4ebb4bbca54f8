"""The exception for what users can cause, with a sentence that tells them what to do, and its subclasses."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from outside (a file, a sheet, a request); programs print it and exit with code 2."""


class HeldError(InputError):
    """Another process holds what is needed; the same request may succeed later."""


class BrokenError(InputError):
    """Not the caller's fault: a disk is full, or a file is damaged or cannot be opened."""


class FullError(BrokenError):
    """A disk is full; the same request succeeds once there is room."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` for a misspelt name, empty when nothing is near."""
    close = difflib.get_close_matches(name, [word for word in known if word], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
