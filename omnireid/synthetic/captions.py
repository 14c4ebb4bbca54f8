"""Texts about a synthetic image: descriptions (`li`), captions (`t2i`), SYNTH-PEDES fields."""

import re

from instructions.attributes import AttributeSet
from instructions.sentences import SALIENT, TemplateWriter
from omnireid.synthetic.people import Population, ShotKey

_WRITER = TemplateWriter()
_UNINFORMATIVE = ("agnostic", "without", "common clothing")  # words for what is absent, ordinary or unknown
_MENTIONED_ALWAYS = ("gender_code", "coat_color", "trousers_color")
_MENTIONED_OFTEN, _MENTIONED_SELDOM = 0.8, 0.25  # probability for salient attributes, and for the rest
_GENDER = {"male": "man", "female": "woman"}


def informative(attributes: AttributeSet) -> AttributeSet:
    """The attributes that distinguish: all but those that are absent, ordinary or unknown."""
    words = attributes.to_dict()
    return AttributeSet({name: word for name, word in words.items() if _is_informative(word)})


def _is_informative(word: str) -> bool:
    return not any(little in word for little in _UNINFORMATIVE)


def describe(population: Population, key: ShotKey) -> str:
    """A description with every informative attribute, as COCAS+ images have."""
    return _WRITER.write(informative(population.attributes(key)), population.caption_rng(key, 0))


def annotator_caption(population: Population, key: ShotKey, number: int) -> str:
    """The caption of annotator ``number`` (from 1); each omits some attributes."""
    assert number > 0
    rng = population.caption_rng(key, number)
    seen = {}
    for name, word in informative(population.attributes(key)).to_dict().items():
        chance = _MENTIONED_OFTEN if name in SALIENT else _MENTIONED_SELDOM
        if name in _MENTIONED_ALWAYS or rng.random() < chance:
            seen[name] = word
    return _WRITER.write(AttributeSet(seen), rng)


def tokens(caption: str) -> list[str]:
    """Lower-case words without punctuation: ``processed_tokens`` of CUHK-PEDES."""
    return re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", caption.lower())


def phrase_fields(population: Population, key: ShotKey) -> str:
    """The six fields of SYNTH-PEDES: who, hair, upper and lower clothes, shoes, what is carried."""
    words = population.attributes(key).to_dict()

    def known(name: str) -> str:
        return words[name] if _is_informative(words[name]) else "unknown"

    who = _GENDER.get(words["gender_code"], "person")
    fields = (who, *map(known, ("hair_color", "coat_color", "trousers_color", "shoes_color", "bag_style")))
    return ",".join(fields)
