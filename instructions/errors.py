"""The one exception that a user may cause: a sentence with the wrong value and the way out."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from outside (a file, a sheet, a request); programs print it and exit with code 2."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)`` for a misspelt name, empty when nothing is near."""
    close = difflib.get_close_matches(name, [word for word in known if word], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
