"""Attributes of a person: 20 attributes with 92 words (IRM, table 7), and a validated set of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

import yaml

from instructions.errors import InputError


def _table_7() -> dict[str, tuple[str, ...]]:
    text = resources.files("instructions").joinpath("data", "attributes.yaml").read_text(encoding="utf-8")
    return {name: tuple(words) for name, words in yaml.safe_load(text).items()}


ATTRIBUTES: dict[str, tuple[str, ...]] = _table_7()


def near_misses(value: str, known: Iterable[str]) -> str:
    """The end of an error message: the known values close to a wrong one, or all if none is close.

    >>> near_misses("coat_colour", ["coat_color", "age"])
    "did you mean 'coat_color'?"
    >>> near_misses("?", ["coat_color", "age"])
    'known are coat_color, age'
    """
    known = list(known)
    near = difflib.get_close_matches(value, known, n=3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"known are {', '.join(known)}"


@dataclass(frozen=True, init=False)
class AttributeSet:
    """Some attributes of a person, each with one of its words, in the order of table 7.

    >>> AttributeSet({"gender_code": "male", "coat_color": "red coat"}).words()
    ('red coat', 'male')
    """

    pairs: tuple[tuple[str, str], ...]

    def __init__(self, words: Mapping[str, str]) -> None:
        """Check every name and word.

        Raises:
            InputError: table 7 does not have a name or a word.
        """
        for name, word in words.items():
            _check(name, word)
        pairs = tuple((name, words[name]) for name in ATTRIBUTES if name in words)
        object.__setattr__(self, "pairs", pairs)

    def words(self) -> tuple[str, ...]:
        """The words, without their attributes' names."""
        return tuple(word for _, word in self.pairs)

    def get(self, name: str) -> str | None:
        """The word of an attribute; None if it is not given.

        Raises:
            InputError: table 7 has no such attribute.
        """
        _check_name(name)
        return self.to_dict().get(name)

    def to_dict(self) -> dict[str, str]:
        """Attribute name to word: what the constructor takes."""
        return dict(self.pairs)

    def merge(self, other: AttributeSet) -> AttributeSet:
        """The union of both sets; where both have an attribute, the other's word is taken."""
        return AttributeSet(self.to_dict() | other.to_dict())

    def __len__(self) -> int:
        return len(self.pairs)


def _check_name(name: str) -> None:
    if name not in ATTRIBUTES:
        raise InputError(f"unknown attribute {name!r}; {near_misses(str(name), ATTRIBUTES)}")


def _check(name: str, word: str) -> None:
    _check_name(name)
    if word in ATTRIBUTES[name]:
        return
    owners = [other for other, words in ATTRIBUTES.items() if word in words]
    hint = f"it belongs to {owners[0]!r}" if owners else near_misses(str(word), ATTRIBUTES[name])
    raise InputError(f"unknown word {word!r} for attribute {name!r}; {hint}")
