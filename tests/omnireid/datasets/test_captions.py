"""Annotation arrays are read piece by piece; caption books take a caption or a list."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instructions.errors import InputError
from omnireid.datasets import captions
from omnireid.datasets.captions import iter_entries, read_caption_book

ENTRIES = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers(), max_size=3), max_size=5
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(entries=ENTRIES, chunk=st.integers(1, 9), indent=st.sampled_from([None, 1]))
def test_an_array_read_in_pieces_is_the_array(tmp_path, monkeypatch, entries, chunk, indent):
    monkeypatch.setattr(captions, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(entries, indent=indent), encoding="utf-8")
    assert list(iter_entries(path)) == entries


@pytest.mark.parametrize("text", ['{"a": 1}', "", "[", '[{"a": 1}', '[{"a": }]', "[3]", '[{"a": 1}, x]'])
def test_what_is_not_an_array_of_objects_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        list(iter_entries(path))


def test_a_caption_book_takes_a_caption_or_a_list(tmp_path):
    path = tmp_path / "book.json"
    path.write_text(json.dumps({"a": "A man.\n", "b": ["One.", "", " Two."], "c": []}))
    book = read_caption_book(path)
    assert [book.captions(key) for key in "abcd"] == [("A man.",), ("One.", "Two."), (), ()]
    assert book.rows("c") == range(3, 3)
    assert book.rows("d") is None


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    content=st.dictionaries(
        st.text(max_size=4),
        st.lists(st.text(min_size=1, max_size=5).filter(lambda text: text == captions.tidy(text) != "")),
        max_size=5,
    ),
    chunk=st.integers(1, 9),
    indent=st.sampled_from([None, 1]),
)
def test_a_caption_book_read_in_pieces_is_the_book(tmp_path, monkeypatch, content, chunk, indent):
    monkeypatch.setattr(captions, "CHUNK", chunk)
    path = tmp_path / "book.json"
    path.write_text(json.dumps(content, indent=indent), encoding="utf-8")
    book = read_caption_book(path)
    assert {key: list(book.captions(key)) for key in book.places} == content


def test_the_last_of_two_equal_keys_counts(tmp_path):
    path = tmp_path / "book.json"
    path.write_text('{"a": "One.", "b": "Two.", "a": "Three."}')
    assert read_caption_book(path).captions("a") == ("Three.",)


@pytest.mark.parametrize("read", [read_caption_book, lambda path: list(iter_entries(path))])
def test_captions_that_are_no_text_are_refused(tmp_path, read):
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"a": "caf\xe9"}')
    with pytest.raises(InputError, match=r"latin\.json is not UTF-8"):
        read(path)


@pytest.mark.parametrize("text", ["[]", "", "{", '{"a": 3}', '{"a": [3]}', '{"a" "b"}', '{1: "b"}', '{"a":'])
def test_what_is_not_a_caption_book_is_refused(tmp_path, text):
    path = tmp_path / "book.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"book\.json"):
        read_caption_book(path)
