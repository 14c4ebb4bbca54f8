"""The template writer: complete, honest, grammatical, varied, short."""

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from instructions.attributes import ATTRIBUTES, AttributeSet
from instructions.sentences import SALIENT, SentenceWriter, TemplateWriter, missing_words

SOMEBODY = AttributeSet({name: words[0] for name, words in ATTRIBUTES.items()})
PERSON = AttributeSet(
    {
        "gender_code": "female",
        "age": "adult",
        "coat_color": "red coat",
        "coat_style": "jacket",
        "trousers_color": "blue trousers",
        "trousers_length": "skirt",
        "shoes_color": "black shoes",
        "shoes_style": "boots",
        "hair_color": "black hair",
        "hair_style": "long hair",
        "bag_style": "backpack",
        "cap_style": "with hat",
    }
)


@st.composite
def attribute_sets(draw, full=False):
    names = ATTRIBUTES if full else draw(st.sets(st.sampled_from(list(ATTRIBUTES))))
    return AttributeSet({name: draw(st.sampled_from(ATTRIBUTES[name])) for name in names})


def _write(attributes, seed):
    return TemplateWriter().write(attributes, random.Random(seed))


def _salient(attributes):
    """What catches the eye: visible and there."""
    told = {name: word for name, word in attributes.pairs if name in SALIENT}
    unseen = ("agnostic", "without")
    return AttributeSet(
        {name: word for name, word in told.items() if not any(part in word for part in unseen)}
    )


@settings(max_examples=300, deadline=None)
@given(attribute_sets(), st.integers(0, 10**6))
def test_a_text_names_every_attribute_that_it_was_given(attributes, seed):
    text = _write(attributes, seed)
    assert missing_words(attributes, text) == [], text


@settings(max_examples=60, deadline=None)
@given(attribute_sets(full=True), st.integers(0, 10**6))
def test_a_text_names_no_word_that_it_was_not_given(attributes, seed):
    text = _write(attributes, seed)
    for name, given_word in attributes.pairs:
        for other in ATTRIBUTES[name]:
            if other != given_word:
                assert missing_words(AttributeSet({name: other}), text) == [other], text


@settings(max_examples=200, deadline=None)
@given(attribute_sets(), st.integers(0, 10**6))
def test_texts_are_grammatical_to_a_simple_eye(attributes, seed):
    text = _write(attributes, seed)
    assert re.fullmatch(r"([A-Z][^.]*[^ .,]\.)( [A-Z][^.]*[^ .,]\.)*", text), text
    assert not re.search(r"\b[Aa] (?!uni)[aeiou]|\b[Aa]n [^aeiou]|\ban uni|  | ,|,,", text), text
    assert not re.search(r"\b(\w+) \1\b", text), text
    assert not re.search(r"\b[Tt]hey (is|has|wears|carries|smokes|goes|does)\b", text), text
    assert not re.search(r"\b([Hh]e|[Ss]he) (are|have|wear|carry|smoke|go|do)\b", text), text
    assert "agnostic" not in text


@settings(max_examples=100, deadline=None)
@given(attribute_sets(), st.integers(0, 10**6))
def test_of_what_catches_the_eye_nothing_is_said_to_be_unseen_or_not_there(attributes, seed):
    text = _write(_salient(attributes), seed)
    assert not re.search(r"unclear|unknown|visible|cannot|without| no ", text), text


def test_pronouns_follow_the_gender():
    for word, pronoun in (("female", "she"), ("male", "he"), ("agnostic gender", "they")):
        attributes = AttributeSet({"gender_code": word, "bag_style": "backpack"})
        assert re.search(rf"\b{pronoun}\b", _write(attributes, 0).lower())


def test_blue_trousers_that_are_a_skirt_make_a_blue_skirt():
    text = _write(AttributeSet({"trousers_color": "blue trousers", "trousers_length": "skirt"}), 0)
    assert "a blue skirt" in text.lower()
    assert "trousers" not in text


def test_the_same_seed_gives_the_same_text():
    assert _write(SOMEBODY, 7) == _write(SOMEBODY, 7)


def test_one_person_can_be_described_in_thousands_of_ways():
    rng, writer = random.Random(0), TemplateWriter()
    assert len({writer.write(SOMEBODY, rng) for _ in range(3000)}) > 2000


def test_what_catches_the_eye_stands_within_the_fifty_words_that_albef_reads():
    rng = random.Random(0)
    for _ in range(200):
        attributes = AttributeSet({name: rng.choice(words) for name, words in ATTRIBUTES.items()})
        head = " ".join(TemplateWriter().write(attributes, rng).split()[:50])
        assert missing_words(_salient(attributes), head) == [], head


def test_a_text_of_all_twenty_attributes_has_about_fifty_words():
    rng = random.Random(0)
    sets = [AttributeSet({name: rng.choice(words) for name, words in ATTRIBUTES.items()}) for _ in range(200)]
    lengths = [len(TemplateWriter().write(attributes, rng).split()) for attributes in sets]
    assert sum(lengths) / len(lengths) < 55
    assert max(lengths) <= 65


def test_what_catches_the_eye_takes_one_to_three_sentences_of_twenty_to_thirty_five_words():
    rng, writer = random.Random(0), TemplateWriter()
    texts = [writer.write(PERSON, rng) for _ in range(200)]
    assert {text.count(".") for text in texts} <= {1, 2, 3}
    assert all(20 <= len(text.split()) <= 35 for text in texts), sorted(texts, key=len)[-1]


def test_nothing_given_still_makes_a_sentence():
    assert _write(AttributeSet({}), 0) in {"This is a person.", "The picture shows a person."}


def test_both_writers_are_sentence_writers():
    writer: SentenceWriter = TemplateWriter()
    assert writer.write(PERSON, random.Random(0))
