"""The attributes of table 7, and sets of them."""

import hashlib
import json
import pickle

import pytest

from instructions import ATTRIBUTES, AttributeSet, InputError


def test_there_are_20_attributes_and_92_words_as_printed():
    assert len(ATTRIBUTES) == 20
    words = [word for words in ATTRIBUTES.values() for word in words]
    assert len(words) == 92 == len(set(words))
    table = json.dumps({name: list(words) for name, words in ATTRIBUTES.items()})
    assert hashlib.sha256(table.encode()).hexdigest().startswith("abaa35280ccbf0be")


def test_a_set_keeps_the_order_of_the_table_and_can_travel():
    attributes = AttributeSet({"pose": "sit", "coat_color": "red coat"})
    assert attributes.words() == ("red coat", "sit")
    assert attributes == AttributeSet({"coat_color": "red coat", "pose": "sit"})
    assert hash(attributes) == hash(AttributeSet(attributes.to_dict()))
    assert pickle.loads(pickle.dumps(attributes)) == attributes
    assert (attributes.get("pose"), attributes.get("age"), len(attributes)) == ("sit", None, 2)


def test_the_other_set_wins_a_merge():
    merged = AttributeSet({"pose": "sit", "age": "old"}).merge(
        AttributeSet({"pose": "stand", "glove": "with glove"})
    )
    assert merged.to_dict() == {"age": "old", "pose": "stand", "glove": "with glove"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"coat_colour": "red coat"}, "unknown attribute 'coat_colour'; did you mean 'coat_color'"),
        (
            {"coat_color": "rde coat"},
            "unknown word 'rde coat' for attribute 'coat_color'; did you mean 'red coat'",
        ),
        (
            {"coat_color": "skirt"},
            "unknown word 'skirt' for attribute 'coat_color'; it belongs to 'trousers_length'",
        ),
        ({"cap_style": "?"}, "unknown word '?' for attribute 'cap_style'; known are with hat, without hat"),
    ],
)
def test_a_wrong_name_or_word_is_refused_with_the_nearest_known(words, sentence):
    with pytest.raises(InputError) as error:
        AttributeSet(words)
    assert str(error.value).startswith(sentence)


def test_asking_for_an_unknown_attribute_is_refused():
    with pytest.raises(InputError, match="unknown attribute 'hat'"):
        AttributeSet({}).get("hat")
