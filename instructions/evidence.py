"""Checks whether a text names an attribute word: "contain all the attribute information" (IRM, sec. 3).

Both writers are checked with it. A color must belong to its own item, "without a hat" means no hat, and an
"agnostic" word needs a sentence that says what cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml

from instructions.attributes import AttributeSet

Polarity = Literal["affirmed", "denied", "open"]

_BE = "is|are|was|were|be|looks?|appears?|seems?|remains?|stays?"
_VERB = rf"(?:{_BE}|has|have|had|wears?|wearing|carry|carries|carrying|holds?|holding|can|does|do|shows?)"
_LINK = r"(?:in|with|without|from|on|at|over|under|beside|near|but|while|that|which|whose|who|when)"
_ARTICLE = r"(?:a|an|the|his|her|their|its)"
_UNSEEN = (
    r"(?:unknown|unclear|undetermined|unspecified|uncertain|ambiguous|indistinct|indiscernible|unidentified"
    r"|unrecogni[sz]able|invisible|hidden|obscured|agnostic)"
)
_SENSED = r"(?:seen|told|made out|determined|identified|discerned|recogni[sz]ed|known)"
_SENSE = r"(?:see|tell|say|make out|determine|identify|discern|recogni[sz]e|know)"
_CANNOT = r"(?:can not|could not|unable to|impossible to|hard to|no way to)"
# "... is unclear", "... are not visible", "... cannot be made out"
_UNSEEN_PREDICATE = (
    rf"(?:(?:{_BE}) (?:\w+ly )?(?:{_UNSEEN}|not (?:\w+ly )?(?:visible|clear|known|shown|{_SENSED}))"
    rf"|{_CANNOT} be (?:\w+ly )?{_SENSED})\b"
)
# "it is unclear whether ...", "one cannot tell if ..."
_UNSEEN_QUESTION = (
    rf"(?:{_UNSEEN}|not (?:visible|clear|known|{_SENSED})|{_CANNOT} (?:be )?(?:{_SENSED}|{_SENSE})) "
    r"(?:whether|if|what|which|how)\b"
)


def missing_words(attributes: AttributeSet, text: str) -> list[str]:
    """The words that a text does not name, in the order of table 7; empty if it names them all.

    >>> attributes = AttributeSet({"coat_color": "black coat", "cap_style": "with hat"})
    >>> missing_words(attributes, "Her coat is black. She has no hat.")
    ['with hat']
    """
    sentences = _sentences(text)
    return [word for word in attributes.words() if not any(_names(word, sentence) for sentence in sentences)]


def _sentences(text: str) -> list[str]:
    """Sentences in the normalised spelling of phrasings.yaml; commas stay, as separate words."""
    text = text.lower().replace("’", "'").replace("'s ", " ").replace("colour", "color").replace("-", " ")
    text = text.replace("can't", "can not").replace("n't", " not").replace("cannot", "can not")
    pieces = re.split(r"[.;:!?\n]+", text)
    return [" ".join(re.findall(r"\w+|,", piece)) for piece in pieces if piece.strip()]


@cache
def _phrasings() -> dict[str, Any]:
    text = resources.files("instructions").joinpath("data", "phrasings.yaml").read_text(encoding="utf-8")
    phrasings: dict[str, Any] = yaml.safe_load(text)
    return phrasings


def _names(word: str, sentence: str) -> bool:
    evidence = _phrasings()["words"][word]
    tests: dict[str, Callable[[], bool]] = {
        "say": lambda: _find(evidence["say"], sentence) is not None,
        "affirm": lambda: "affirmed" in _polarities(evidence["affirm"], sentence),
        "deny": lambda: "denied" in _polarities(evidence["deny"], sentence),
        "describe": lambda: _described(evidence["describe"], evidence["as"], sentence),
        "unknown": lambda: _unknown(evidence["unknown"], evidence.get("about"), sentence),
    }
    return any(tests[kind]() for kind in evidence if kind in tests)


def _any_of(phrases: list[str]) -> str:
    return rf"(?:{'|'.join(phrases)})(?:e?s)?\b"


def _find(phrases: list[str], sentence: str) -> re.Match[str] | None:
    return re.search(rf"\b{_any_of(phrases)}", sentence)


def _things(kind: str) -> list[str]:
    things: list[str] = _phrasings()["things"][kind]
    return things


def _other_things(kinds: set[str]) -> str:
    """A pattern that matches every item that is not of these kinds."""
    others = [
        thing for kind, things in _phrasings()["things"].items() if kind not in kinds for thing in things
    ]
    return rf"\b{_any_of(others)}"


def _polarities(phrases: list[str], sentence: str) -> Iterator[Polarity]:
    for match in re.finditer(rf"\b{_any_of(phrases)}", sentence):
        unseen = _unseen_predicate(sentence[match.end() :])  # "the gloves cannot be made out"
        yield "open" if unseen else _polarity(sentence[: match.start()].split())


def _polarity(before: list[str]) -> Polarity:
    """Whether an item is present, judged by the words before it in its sentence.

    A negation covers a list ("without hat, gloves or umbrella") until a new verb, a "with" or a "but"; after
    "no" an article ends it as well ("no hat and a bag"). After "whether" the polarity is unknown.
    """
    state: Polarity = "affirmed"
    negation = ""
    for place, token in enumerate(before):
        if token in {"no", "not", "without", "neither", "nor", "never", "lacks", "lacking"}:
            state, negation = "denied", token
        elif token in {"whether", "if"}:
            state = "open"
        elif state == "open":
            continue
        else:
            turns = token in {"with", "but", "while", "though"}
            acts = re.fullmatch(_VERB, token) and not {"not", "never"} & set(
                before[max(0, place - 2) : place]
            )
            if turns or acts or (negation == "no" and re.fullmatch(_ARTICLE, token)):
                state = "affirmed"
    return state


def _described(kind: str, qualities: list[str], sentence: str) -> bool:
    """Whether an item of this kind has one of the qualities, with no other item in between."""
    thing, quality, other = _any_of(_things(kind)), rf"(?:{'|'.join(qualities)})\b", _other_things({kind})
    barrier = rf"{other}|\b(?:{_VERB}|{_LINK}|{_ARTICLE})\b"
    for match in re.finditer(rf"\b{quality}", sentence):
        before = sentence[: match.start()].split()[-2:]
        ahead = re.match(rf"(?P<gap>(?: [\w,]+){{0,5}}?) {thing}", sentence[match.end() :])
        if ahead is None or {"no", "not", "without"} & set(before) or re.search(barrier, ahead["gap"]):
            continue
        predicate = bool(before) and re.fullmatch(_BE, before[-1]) is not None
        listed = re.search(r",|\band\b", ahead["gap"]) is not None
        if not (predicate and listed):  # "hair is black, coat ...": not the coat's color
            return True
    link = rf"(?: (?:{_BE}|in|of|that|which|, which))"
    link += rf"(?: (?:{_BE}|a|the|color|very|dark|light|bright|both|\w+ and))*"
    for match in re.finditer(rf"\b{thing}", sentence):
        ahead = re.match(rf"{link} {quality}", sentence[match.end() :])
        if ahead is None:
            continue
        after = re.split(rf",|\b(?:and|{_VERB}|{_LINK})\b", sentence[match.end() + ahead.end() :])[0]
        if not re.search(other, after + ahead[0]):  # "hair in a black coat": not the hair's color
            return True
    return False


def _unknown(matters: list[str], about: str | None, sentence: str) -> bool:
    """Whether a property is called unseen: "the style is unclear", "of unknown style", "unclear whether"."""
    for match in re.finditer(rf"\b{_any_of(matters)}", sentence):
        before, after = sentence[: match.start()], sentence[match.end() :]
        if about is not None and not _belongs(before, match[0], after, about):
            continue
        if _unseen_predicate(after):
            return True
        quality = re.search(rf"(?:^|(?P<last>\w+) ){_UNSEEN}(?P<gap>(?: [\w,]+){{0,8}}) $", before)
        if quality and not re.fullmatch(_BE, quality["last"] or "") and not _broken(quality["gap"]):
            return True
        question = list(re.finditer(_UNSEEN_QUESTION, before))
        if question and not re.search(
            r"\b(?:but|while|and (?:he|she|they|the))\b", before[question[-1].end() :]
        ):
            return True
        if re.search(
            rf"\b{_CANNOT} {_SENSE}(?: (?:{_ARTICLE}|\w+ or|\w+ and|of|color|style|length))* $", before
        ):
            return True
    return False


def _unseen_predicate(after: str) -> bool:
    """Whether the words after an item say that it, or the list it belongs to, cannot be seen."""
    predicate = re.search(_UNSEEN_PREDICATE, after)
    return predicate is not None and not _broken(after[: predicate.start()])


def _broken(gap: str) -> bool:
    return re.search(rf"\b(?:{_VERB}|{_LINK})\b", gap) is not None


def _belongs(before: str, matter: str, after: str, about: str) -> bool:
    """Whether a property is of this item: "hair color", "color of the hair", "hair of unknown color"."""
    kinds = {kind for kind in _phrasings()["things"] if kind in about.split("|")}
    owners = rf"(?:{'|'.join([about, *(thing for kind in kinds for thing in _things(kind))])})(?:e?s)?\b"
    if re.search(rf"\b{owners}", matter) or re.match(
        rf"(?: (?:and|or) \w+)? of (?:{_ARTICLE} )?{owners}", after
    ):
        return True
    gap = re.search(rf"\b{owners}(?P<gap>(?: \w+){{0,6}}) $", before)
    return gap is not None and not re.search(_other_things(kinds), gap["gap"])
