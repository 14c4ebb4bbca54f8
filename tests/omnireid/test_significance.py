"""Significance tests over people, and per-query tables read back from their files."""

import math

import numpy as np
import pytest

from instructions.errors import InputError
from omnireid.per_query import COLUMNS, Scored, Search, read_csv, to_csv
from omnireid.significance import compare, compare_tables, unpaired

SEARCH = Search("trad", "market1501", "market", "do not change clothes", 'a, "quoted" one')


def scores(num_people, num_images, shift, seed=0):
    """Two models' scores whose difference belongs to people, not to images."""
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(num_people), num_images)
    first = rng.random(len(pids))
    return first, first + shift + rng.normal(0, 0.1, num_people)[pids], pids


def test_a_difference_is_that_of_the_means_and_lies_in_its_interval():
    first, second, pids = scores(40, 5, 0.1)
    found = compare(first, second, pids, num_draws=999)
    assert found.difference == pytest.approx(second.mean() - first.mean())
    assert found.low < found.difference < found.high
    assert found.p_value < 0.01
    assert (found.num_queries, found.num_people) == (200, 40)


def test_images_of_one_person_are_not_independent_evidence():
    rejected = [compare(*scores(8, 40, 0.0, seed), num_draws=199).p_value < 0.05 for seed in range(40)]
    assert sum(rejected) <= 6  # a test by query would reject most of these ties


def test_all_sign_changes_of_few_people_are_counted_exactly():
    found = compare(np.zeros(4), np.array([0.1, 0.2, 0.3, 0.4]), np.arange(4))
    assert found.p_value == pytest.approx(2 / 2**4)


def test_swapping_the_models_changes_the_sign_only():
    first, second, pids = scores(20, 3, 0.02)
    one, other = compare(first, second, pids, num_draws=499), compare(second, first, pids, num_draws=499)
    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == pytest.approx(other.p_value)


def test_queries_that_either_model_could_not_answer_are_left_out():
    first = np.array([0.5, math.nan, 0.1, 0.2])
    second = np.array([0.6, 0.9, 0.2, math.nan])
    assert compare(first, second, np.array([1, 1, 2, 3])).num_queries == 2
    with pytest.raises(InputError, match="1 people can be compared"):
        compare(first, second, np.array([1, 1, 1, 1]))


def lines(precision, search=SEARCH):
    return [
        Scored(search, row, f"/data/{row}, x.jpg", row // 2, 0, value, float(value > 0.5))
        for row, value in enumerate(precision)
    ]


def test_a_table_is_read_back_to_the_last_digit(tmp_path):
    table = lines([1 / 3, 0.1 + 0.2, 1.0])
    table.append(table[0]._replace(query=3, average_precision=math.nan, hit=math.nan))
    path = tmp_path / "q.csv"
    path.write_text(to_csv(table))
    again = read_csv(path)
    assert again[:3] == table[:3]
    assert math.isnan(again[3].average_precision) and math.isnan(again[3].hit)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "q.csv"
    with pytest.raises(InputError, match="cannot be read"):
        read_csv(path)
    path.write_text("a,b\n")
    with pytest.raises(InputError, match="--per-query"):
        read_csv(path)
    path.write_text(",".join(COLUMNS) + "\ntrad,x\n")
    with pytest.raises(InputError, match=r"q\.csv:2: expected"):
        read_csv(path)
    for score in ("inf", "nan", "-0.1", "15.5"):
        path.write_text(to_csv(lines([0.5])).replace("0.5", score))
        with pytest.raises(InputError, match=r"q\.csv:2: AP and R1 must be from 0 to 1"):
            read_csv(path)


def test_only_the_same_queries_are_compared():
    other = SEARCH._replace(protocol="irm_released")
    first, second = lines([0.1, 0.2, 0.8, 0.9]), lines([0.3, 0.4, 0.9, 0.9]) + lines([1.0], other)
    (pair,) = compare_tables(first, second)
    assert pair.first == pair.second == SEARCH
    assert pair.precision.difference == pytest.approx(0.125)
    assert pair.hits.difference == 0
    assert unpaired(first, second) == ([], [other])
    with pytest.raises(InputError, match="differ between the two tables"):
        compare_tables(first, second[:3])
    with pytest.raises(InputError, match=r"share no task.* market; the other holds .* irm_released"):
        compare_tables(first, lines([1.0], other))


def test_a_search_that_cannot_be_tested_is_named():
    unanswered = lines([math.nan] * 4)
    with pytest.raises(InputError, match=r"trad .* market: 0 people can be compared"):
        compare_tables(unanswered, unanswered)
    with pytest.raises(InputError, match="one holds nothing; the other holds"):
        compare_tables([], unanswered)


def test_a_search_without_labels_is_compared_with_the_headline_of_the_row():
    told, wrong, silent = (
        SEARCH._replace(query_asked=asked, gallery_asked=asked) for asked in ("a", "b", "")
    )
    run = lines([0.1, 0.2, 0.8, 0.9], told) + lines([0.0] * 4, wrong)
    (pair,) = compare_tables(run, lines([0.3, 0.4, 0.9, 0.9], silent))
    assert (pair.first, pair.second) == (told, silent)
    assert pair.precision.difference == pytest.approx(0.125)
    (back,) = compare_tables(lines([0.3, 0.4, 0.9, 0.9], silent), run)
    assert back.precision.difference == pytest.approx(-0.125)


def test_every_sentence_of_one_table_is_compared_with_the_one_of_the_other():
    sentences = [SEARCH._replace(query_asked=asked, gallery_asked=asked) for asked in ("a", "b", "c")]
    canonical = lines([0.1, 0.2, 0.8, 0.9], sentences[0])
    every = canonical + [line for one in sentences for line in lines([0.1, 0.2, 0.8, 0.9], one)]
    (pair,) = compare_tables(canonical, every)
    assert pair.precision.num_queries == 4 and pair.precision.difference == 0
    assert unpaired(canonical, every) == ([], sentences[1:])
