"""Records in columns equal the records."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnireid import texts
from omnireid.columns import Records, RecordsBuilder, clothes_of, column_of, images_of, labels_of, selected
from omnireid.records import Record, Split

TEXT = st.text(min_size=1, max_size=6)
RECORDS = st.lists(
    st.builds(
        Record,
        image=st.sampled_from(["/data/a/", "/data/", "/else/", "here/"]).flatmap(
            lambda p: TEXT.map(p.__add__)
        ),
        pid=st.integers(-1, 2**40),
        camid=st.integers(-2, 30),
        clothes_id=st.integers(-1, 2**33),
        modality=st.sampled_from(["rgb", "ir"]),
        captions=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        clothes=st.none() | TEXT,
    ),
    max_size=7,
)


@settings(max_examples=80, deadline=None)
@given(records=RECORDS, chunk=st.integers(1, 4), prefix=st.sampled_from(["", "/data/", "/data/a/"]))
def test_columns_give_every_record_back_whatever_the_prefix_and_the_chunks(records, chunk, prefix):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "CHUNK", chunk)
        stored = Records.of(records, prefix)
        assert list(stored) == records == [stored[row] for row in range(len(stored))]
    assert stored == tuple(records) and tuple(records) == stored
    assert list(images_of(stored)) == list(images_of(records))
    assert list(clothes_of(stored)) == list(clothes_of(records))
    for name in ("pid", "camid", "clothes_id", "modality", "num_captions"):
        np.testing.assert_array_equal(column_of(stored, name), column_of(records, name))


@settings(max_examples=60, deadline=None)
@given(records=RECORDS, chunk=st.integers(1, 4), data=st.data())
def test_some_records_in_any_order_are_those_records(records, chunk, data):
    rows = data.draw(st.lists(st.integers(0, len(records) - 1), max_size=9) if records else st.just([]))
    again = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9) if rows else st.just([]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "CHUNK", chunk)
        taken = Records.of(records, "/data/").take(np.array(rows, dtype=np.int64))
        assert list(taken) == [records[row] for row in rows]
        assert list(taken.take(np.array(again, dtype=np.int64))) == [records[rows[row]] for row in again]
        chosen = np.array([record.pid % 2 == 0 for record in records], dtype=bool)
        for kept in (records, Records.of(records)):
            assert list(selected(kept, chosen)) == [record for record in records if record.pid % 2 == 0]


@pytest.mark.parametrize("prefix", ["", "/data/"])
@pytest.mark.parametrize("path", ["\0", "\0a", "/data/\0a", "/data/", "/data/a"])
def test_unusual_paths_are_read_back(prefix, path):
    record = Record(path, 0, 0, clothes=path)
    assert list(Records.of([record], prefix)) == [record]


@settings(max_examples=60, deadline=None)
@given(records=RECORDS, places=st.lists(st.integers(0, 2), min_size=7, max_size=7))
def test_records_of_one_image_are_merged_with_all_their_captions(records, places):
    records = [replace(record, image="xyz"[place]) for record, place in zip(records, places, strict=False)]
    expected = {}
    for record in records:
        said = expected[record.image].captions if record.image in expected else ()
        expected.setdefault(record.image, record)
        expected[record.image] = replace(expected[record.image], captions=said + record.captions)
    assert list(Records.of(records).merged()) == list(expected.values())


def test_captions_may_be_rows_of_a_book_or_stand_beside_it():
    book = Records.of((Record("", 0, 0, captions=("one", "two", "three")),))._captions
    for beside in ((), ("four", "five")):
        builder = RecordsBuilder("", book)
        builder.append("a", 1, 0, captions=range(1, 3))
        builder.append("b", 1, 0, captions=beside)
        builder.append("c", 1, 0, captions=range(2))
        assert [record.captions for record in builder.finish()] == [("two", "three"), beside, ("one", "two")]


A, B, C = (
    Record("a.jpg", 1, 0, 5),
    Record("b.jpg", 2, 1, modality="ir"),
    Record("c.jpg", 3, -1, captions=("C.",)),
)


def test_columns_are_indexed_and_sliced_like_a_tuple():
    stored = Records.of((A, B, C))
    assert stored[-1] == C and stored[1:] == (B, C) and stored[::-2] == (C, A)
    for row in (3, -4):
        with pytest.raises(IndexError, match=rf"row {row} of 3 records"):
            stored[row]


def test_columns_with_another_record_or_another_length_are_not_equal():
    assert Records.of((A, B)) != (A, C)
    assert Records.of((A, B)) != (A,)
    assert Records.of((A,)) != "a.jpg"
    assert hash(Records.of((A, B))) == hash(Records.of([A, B]))


def test_columns_can_be_sent_to_a_worker():
    assert pickle.loads(pickle.dumps(Records.of((A, B, C)))) == (A, B, C)


def test_protocols_see_no_difference():
    ours, plain = labels_of(Records.of((A, B, C))), labels_of((A, B, C))
    for name in ("pids", "camids", "clothes_ids", "modalities"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(plain, name))
    assert labels_of((C,)).clothes_ids is None
    assert len(labels_of(())) == 0


def test_a_file_name_that_is_not_unicode_survives():
    odd = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert Records.of((Record(odd, 1, 0),))[0].image == odd


def test_a_split_takes_columns():
    assert Split("x", train=Records.of((A,))).train[0] == A
