"""People are a function of seed and data set."""

from omnireid.synthetic.captions import annotator_caption, describe, informative, tokens
from omnireid.synthetic.people import Population, ShotKey, num_outfits
from omnireid.synthetic.sites import SITES


def test_a_cast_is_reproducible_in_any_order():
    first, second = Population("ltcc", 3), Population("ltcc", 3)
    forwards = [first.outfit(person, 1) for person in range(4)]
    backwards = [second.outfit(person, 1) for person in reversed(range(4))]
    assert forwards == backwards[::-1]
    assert first.cameras == second.cameras


def test_data_sets_and_seeds_have_different_people():
    people = {Population(name, seed).identity(1) for name in SITES for seed in (0, 1)}
    assert len(people) == 2 * len(SITES)


def test_two_outfits_of_a_person_have_coats_of_different_colours():
    population = Population("cocas_real2", 0)
    for person in range(40):
        assert len({population.outfit(person, outfit).coat_color for outfit in range(3)}) == 3


def test_people_are_assigned_once_and_shuffled():
    groups = Population("market1501", 0).shuffled_groups(1, 20, 10)
    assert sorted(groups[0] + groups[1]) == list(range(1, 31))
    assert groups[0] != list(range(1, 21))
    assert [len(group) for group in groups] == [20, 10]


def test_an_itinerary_has_different_cameras_of_those_allowed():
    population = Population("cocas_real2", 0)
    for person in range(10):
        cameras = population.cameras_of_outfit(person, 0, 3, cameras=(4, 5, 6, 7))
        assert len(set(cameras)) == 3
        assert set(cameras) <= {4, 5, 6, 7}


def test_changing_people_have_two_and_three_outfits_alternately():
    assert [num_outfits(person, 3) for person in range(4)] == [2, 3, 2, 3]
    assert {num_outfits(person, 1) for person in range(4)} == {1}


def test_captions_are_reproducible_and_differ_between_annotators():
    key = ShotKey("cuhk_pedes", 7, 0, 2, 0)
    population, again = Population("cuhk_pedes", 0), Population("cuhk_pedes", 0)
    first, second = annotator_caption(population, key, 1), annotator_caption(population, key, 2)
    assert first == annotator_caption(again, key, 1)
    assert first != second
    assert describe(population, key) == describe(again, key)


def test_a_description_omits_absent_attributes():
    population = Population("cocas_real1", 0)
    keys = [ShotKey("cocas_real1", person, 0, 0, 0) for person in range(10)]
    for key in keys:
        words = informative(population.attributes(key)).to_dict()
        assert {"coat_color", "trousers_color"} <= words.keys()
        assert not any(word.startswith("without") or "agnostic" in word for word in words.values())


def test_tokens_are_words_without_punctuation():
    assert tokens("A man, with a T-shirt. He's old!") == [
        "a",
        "man",
        "with",
        "a",
        "t-shirt",
        "he",
        "s",
        "old",
    ]
