"""Building blocks of the template writer: pronouns, articles, lists, phrases for clothes and hair."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

_PLURAL_VERBS = {"is": "are", "has": "have", "does": "do", "goes": "go", "carries": "carry"}


@dataclass(frozen=True, slots=True)
class Pronoun:
    """How sentences refer to the person."""

    subject: str
    possessive: str
    plural: bool = False

    def verb(self, third_person: str) -> str:
        """The verb in the form this pronoun takes.

        >>> Pronoun("they", "their", plural=True).verb("wears")
        'wear'
        """
        if not self.plural:
            return third_person
        return _PLURAL_VERBS.get(third_person, third_person.removesuffix("s"))


PRONOUNS = {
    "female": Pronoun("she", "her"),
    "male": Pronoun("he", "his"),
    "agnostic gender": Pronoun("they", "their", plural=True),
}


def with_article(phrase: str) -> str:
    """The phrase with "a" or "an"; plurals and things worn in pairs get no article.

    >>> with_article("old man"), with_article("uniform"), with_article("blue trousers")
    ('an old man', 'a uniform', 'blue trousers')
    """
    if phrase.endswith(
        ("trousers", "pants", "shorts", "shoes", "boots", "sandals", "glasses", "gloves", "clothing")
    ):
        return phrase
    vowel = phrase[0] in "aeiou" and not phrase.startswith("uni")
    return f"{'an' if vowel else 'a'} {phrase}"


def join(items: Sequence[str], word: str = "and") -> str:
    """Items as an enumeration in running text.

    >>> join(["a hat", "glasses", "gloves"], "or")
    'a hat, glasses or gloves'
    """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def sentence(text: str) -> str:
    """The text with a capital and a full stop.

    >>> sentence("an adult sits")
    'An adult sits.'
    """
    return f"{text[0].upper()}{text[1:]}."


def is_agnostic(word: str) -> bool:
    """Whether a word of table 7 says that its attribute cannot be seen."""
    return "agnostic" in word


def person(words: dict[str, str], rng: random.Random) -> str:
    """Who it is, by age and gender, with an article: "an adult man", "a female child", "an old person"."""
    gender, age = words.get("gender_code"), words.get("age")
    adult = {"female": "woman", "male": "man"}.get(gender or "", "person")
    if age == "child":
        child = {"female": ["girl", "female child"], "male": ["boy", "male child"]}.get(
            gender or "", ["child"]
        )
        return with_article(rng.choice(child))
    if age == "adult":
        named = [f"adult {adult}"] if adult != "person" else ["adult"]
        named += [f"adult {gender}", f"{gender} adult"] if adult != "person" else []
        return with_article(rng.choice(named))
    return with_article(f"old {adult}" if age == "old" else adult)


def upper_clothes(words: dict[str, str], rng: random.Random) -> str | None:
    """Coat color, sleeves and style in a noun phrase with article; None if none of them is known."""
    color = _quality(words.get("coat_color"), "coat")
    style = words.get("coat_style")
    noun = style if style is not None and not is_agnostic(style) else "coat"
    length = words.get("coat_length")
    sleeves = None if length is None or is_agnostic(length) else length.removesuffix(" coat")
    if color is None and sleeves is None and noun == "coat":
        return None
    if sleeves is None:
        return with_article(_phrase(color, noun))
    behind = "a bare back" if sleeves == "bareback" else f"{sleeves}s"
    # "a long sleeve long coat" and "a long sleeve business suit" read badly; there the sleeves follow.
    if noun in {"long coat", "business suit"}:
        return f"{with_article(_phrase(color, noun))} with {behind}"
    before = rng.choice([sleeves, f"{sleeves.replace(' ', '-')}d"]) if " " in sleeves else sleeves
    orders = [
        with_article(_phrase(color, before, noun)),
        with_article(_phrase(before, color, noun)),
        f"{with_article(_phrase(color, noun))} with {behind}",
    ]
    return rng.choice(orders)


def lower_clothes(words: dict[str, str]) -> str | None:
    """Trousers color and length in one noun phrase; "blue trousers" and "skirt" give "a blue skirt"."""
    color = _quality(words.get("trousers_color"), "trousers")
    length = words.get("trousers_length")
    if color is None and length is None:
        return None
    noun = "shorts" if length == "shorts trousers" else length or "trousers"
    return with_article(_phrase(color, noun))


def shoes(words: dict[str, str]) -> str | None:
    """Shoes color and style in one noun phrase, e.g. "black leather shoes"."""
    color = _quality(words.get("shoes_color"), "shoes")
    style = words.get("shoes_style")
    if color is None and style is None:
        return None
    noun = "sandals" if style == "sandal" else style or "shoes"
    return with_article(_phrase(color, noun))


def hair(words: dict[str, str], rng: random.Random) -> str | None:
    """Hair color and style in one noun phrase; the remaining hair of a bald person keeps its color."""
    color = words.get("hair_color")
    color = None if color is None or is_agnostic(color) else _quality(color, "hair")
    style = words.get("hair_style")
    style = None if style is None or is_agnostic(style) else _quality(style, "hair")
    if color is None and style is None:
        return None
    if style == "bald":
        return "a bald head" if color is None else f"a bald head with some {color} hair"
    orders = [_phrase(style, color, "hair")]
    if color is not None and style is not None:
        orders.append(f"{color} hair that is {style}")
    return rng.choice(orders)


def _quality(word: str | None, thing: str) -> str | None:
    """The adjective of a word such as "black coat"."""
    return None if word is None else word.removesuffix(f" {thing}")


def _phrase(*parts: str | None) -> str:
    return " ".join(part for part in parts if part)
