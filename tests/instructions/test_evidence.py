"""missing_words on sentences as people and language models write them."""

import pytest

from instructions.attributes import ATTRIBUTES, AttributeSet
from instructions.evidence import _phrasings, missing_words

NAMED = [
    ("coat_color", "black coat", "The man's coat is black."),
    ("coat_color", "black coat", "A BLACK, long-sleeved jacket."),
    ("coat_color", "gray coat", "He wears a grey t-shirt."),
    ("coat_color", "white coat", "The coat, which is white, hangs open."),
    ("coat_color", "blue coat", "a blue and white shirt"),
    ("trousers_color", "blue trousers", "She wears a short blue skirt."),
    ("trousers_color", "black trousers", "His pants are a dark black."),
    ("trousers_length", "shorts trousers", "He has shorts on."),
    ("coat_length", "long sleeve coat", "The sleeves are long."),
    ("gender_code", "female", "She carries a bag."),
    ("gender_code", "agnostic gender", "It is unclear whether the person is male or female."),
    ("gender_code", "agnostic gender", "A person of unknown gender."),
    ("gender_code", "agnostic gender", "You can't tell the gender."),
    ("glass_style", "without glasses", "He isn't wearing a hat or glasses."),
    ("glass_style", "with sunglasses", "She wears sunglasses."),
    ("hair_color", "black hair", "A black-haired woman."),
    ("hair_color", "agnostic color hair", "His hair is of an unknown colour."),
    ("hair_color", "agnostic color hair", "The colour of the hair is not clearly visible."),
    ("hair_style", "bald hair", "He is bald."),
    ("hair_style", "agnostic style hair", "The hair color and style are hidden by the hat."),
    ("bag_style", "without bag", "There is no umbrella, hat or bag."),
    ("bag_style", "agnostic style bag", "carrying a bag whose style cannot be seen"),
    ("cap_style", "with hat", "He has no glasses but wears a cap."),
    ("cap_style", "with hat", "no glasses and a hat"),
    ("cap_style", "without hat", "She does not wear a hat."),
    ("shoes_style", "leather shoes", "black leather shoes"),
    ("person_angle", "back", "He stands with his back to the camera."),
    ("pose", "pose agnostic", "The pose is unknown."),
    ("smoking", "without smoking", "He isn't smoking."),
    ("smoking", "agnostic smoking", "It's not clear whether she wears gloves or smokes."),
    ("glove", "agnostic glove", "The gloves are not visible."),
    ("uniform", "chef uniform", "dressed in a chef's uniform"),
]

NOT_NAMED = [
    ("coat_color", "black coat", "A blue coat and black shoes."),
    ("coat_color", "black coat", "Her hair is black, her coat is blue."),
    ("coat_color", "black coat", "He wears a coat and black leather shoes."),
    ("coat_color", "black coat", "This is not a black coat."),
    ("hair_color", "white hair", "A woman with yellow hair in a white coat."),
    ("hair_style", "long hair", "A long sleeve coat; the hair is short."),
    ("gender_code", "male", "A female walks by."),
    ("gender_code", "male", "A woman walks by."),
    ("gender_code", "agnostic gender", "The gender is male and the hair color is not visible."),
    ("gender_code", "agnostic gender", "A male, of a size unknown."),
    ("glass_style", "with glasses", "He wears sunglasses."),
    ("glass_style", "without glasses", "He has no hat but wears glasses."),
    ("cap_style", "with hat", "without a hat"),
    ("cap_style", "with hat", "It is unclear whether he wears a hat."),
    ("cap_style", "without hat", "He wears a hat and no gloves."),
    ("bag_style", "without bag", "She carries a backpack and no umbrella."),
    ("person_angle", "back", "He carries a backpack on his back."),
    ("age", "old", "She is twelve years old."),
    ("smoking", "smoking", "She does not smoke."),
    ("smoking", "smoking", "The smoking is unclear."),
    ("glove", "with glove", "The gloves cannot be made out."),
    ("coat_style", "shirt", "a red t-shirt"),
    ("coat_style", "long coat", "a long sleeve coat"),
    ("hair_color", "agnostic color hair", "His hair is black and the coat color is unclear."),
    ("pose", "stand", ""),
]


@pytest.mark.parametrize(("name", "word", "text"), NAMED)
def test_a_word_is_found_however_it_is_said(name, word, text):
    assert missing_words(AttributeSet({name: word}), text) == []


@pytest.mark.parametrize(("name", "word", "text"), NOT_NAMED)
def test_a_word_that_is_not_said_is_missed(name, word, text):
    assert missing_words(AttributeSet({name: word}), text) == [word]


def test_every_word_of_table_7_has_an_accepted_phrasing():
    assert list(_phrasings()["words"]) == [word for words in ATTRIBUTES.values() for word in words]


def test_every_word_that_shows_something_is_named_by_itself():
    for name, words in ATTRIBUTES.items():
        for word in (word for word in words if "agnostic" not in word):
            text = f"seen from the {word}" if name == "person_angle" else word
            assert missing_words(AttributeSet({name: word}), text) == [], word
