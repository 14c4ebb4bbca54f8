"""Feature files of other programs: rows by name or by order, and refusals in one sentence."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from instructions.errors import InputError
from omnireid.columns import labels_of
from omnireid.extraction import Features
from omnireid.feature_file import features_npz, order_table, read_features
from omnireid.records import Record, Split
from omnireid.tasks import TASKS

TRAD, T2I = TASKS["trad"], TASKS["t2i"]
SPLIT = Split(
    "tiny_set",
    query=tuple(Record(f"/data/q/{name}.jpg", pid, 0) for pid, name in enumerate("abc")),
    gallery=tuple(
        Record(f"/data/g/{folder}/{name}.jpg", pid, 1)
        for folder in ("one", "two")
        for pid, name in enumerate("de")
    ),
)
QUERY, GALLERY = np.arange(12, dtype=np.float32).reshape(3, 4), np.arange(16, dtype=np.float32).reshape(4, 4)


def sides(path, split=SPLIT, task=TRAD, **options):
    file = read_features(path)
    return [file.side(split, side, task, **options).vectors.float().numpy() for side in ("query", "gallery")]


def saved(path, **arrays):
    np.savez(path, **{"query": QUERY, "gallery": GALLERY, **arrays})
    return path


def test_rows_without_names_are_in_the_order_of_the_split(tmp_path):
    query, gallery = sides(saved(tmp_path / "f.npz"))
    np.testing.assert_array_equal(query, QUERY)
    np.testing.assert_array_equal(gallery, GALLERY)


def test_named_rows_come_in_any_order_and_from_any_folder(tmp_path):
    names = ["C:\\elsewhere\\c.jpg", "a.jpg", "q/b.jpg"]
    gallery_names = ["g/two/e.jpg", "x/one/d.jpg", "one/e.jpg", "two/d.jpg"]
    query, gallery = sides(saved(tmp_path / "f.npz", query_images=names, gallery_images=gallery_names))
    np.testing.assert_array_equal(query, QUERY[[1, 2, 0]])
    np.testing.assert_array_equal(gallery, GALLERY[[1, 2, 3, 0]])


def test_one_table_of_images_serves_both_sides(tmp_path):
    images = [record.image for record in (*SPLIT.gallery, *SPLIT.query)]
    np.savez(tmp_path / "f.npz", features=np.concatenate([GALLERY, QUERY]), images=images)
    query, gallery = sides(tmp_path / "f.npz")
    np.testing.assert_array_equal(query, QUERY)
    np.testing.assert_array_equal(gallery, GALLERY)
    with pytest.raises(InputError, match="a query of t2i is an image with its instruction"):
        sides(tmp_path / "f.npz", task=T2I)


def test_safetensors_carry_their_names_as_metadata_and_may_be_bfloat16(tmp_path):
    tensors = {"query": torch.tensor(QUERY).bfloat16(), "gallery": torch.tensor(GALLERY).bfloat16()}
    names = json.dumps([record.image for record in reversed(SPLIT.query)])
    save_file(tensors, tmp_path / "f.safetensors", metadata={"query_images": names})
    query, gallery = sides(tmp_path / "f.safetensors")
    np.testing.assert_array_equal(query, QUERY[::-1])
    np.testing.assert_array_equal(gallery, GALLERY)


def test_a_file_may_name_the_metric_of_its_features(tmp_path):
    assert read_features(saved(tmp_path / "f.npz")).metric == "cosine"
    file = read_features(saved(tmp_path / "f.npz", metric=np.array("euclidean")))
    assert file.side(SPLIT, "query", TRAD).metric == "euclidean"
    tensors = {"query": torch.from_numpy(QUERY), "gallery": torch.from_numpy(GALLERY)}
    save_file(tensors, tmp_path / "f.safetensors", metadata={"metric": "euclidean"})
    assert read_features(tmp_path / "f.safetensors").metric == "euclidean"
    with pytest.raises(InputError, match="metric is 'hamming'; known: cosine, euclidean"):
        read_features(saved(tmp_path / "f.npz", metric="hamming"))


def test_saved_features_are_read_back_unchanged(tmp_path):
    """Also where an image has several rows and file names repeat."""
    twice = Split("tiny_set", query=(*SPLIT.query, *SPLIT.query), gallery=SPLIT.gallery)
    given = [
        Features(T2I, "tiny_set", "", torch.from_numpy(vectors), labels_of(records), None, 0.0, "euclidean")
        for vectors, records in ((np.concatenate([QUERY, QUERY + 1]), twice.query), (GALLERY, twice.gallery))
    ]
    (tmp_path / "f.npz").write_bytes(features_npz(twice, *given))
    query, gallery = sides(tmp_path / "f.npz", twice, T2I)
    np.testing.assert_array_equal(query, given[0].vectors)
    np.testing.assert_array_equal(gallery, GALLERY)
    assert read_features(tmp_path / "f.npz").metric == "euclidean"


def test_several_captions_of_a_image_take_its_rows_in_turn(tmp_path):
    split = Split(
        "texts",
        query=tuple(Record(f"/d/{name}.jpg", 0, -1, captions=(said,)) for name, said in ("ax", "by", "az")),
        gallery=SPLIT.gallery,
    )
    path = saved(tmp_path / "f.npz", query_images=["b.jpg", "a.jpg", "a.jpg"])
    np.testing.assert_array_equal(sides(path, split, T2I)[0], QUERY[[1, 0, 2]])
    with pytest.raises(InputError, match=r"no row for 1 of 3 images of texts, e\.g\. /d/a\.jpg"):
        sides(saved(path, query=QUERY[:2], query_images=["b.jpg", "a.jpg"]), split, T2I)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"query": QUERY[:2]}, "query has 2 rows, but tiny_set has 3 query images; name the rows"),
        ({"query_images": ["a.jpg", "b.jpg", "x.jpg"]}, r"names 1 images .* e\.g\. x\.jpg"),
        ({"query_images": ["a.jpg", "b.jpg", "b.jpg"]}, r"no row for 1 of 3 .* e\.g\. /data/q/c\.jpg"),
        ({"query_images": ["a.jpg", "b.jpg"]}, "2 names came with 3 rows"),
        ({"gallery_images": ["d.jpg", "e.jpg", "d.jpg", "e.jpg"]}, "may mean .*one/d.jpg or .*two/d.jpg"),
        ({"query": QUERY.astype(int)}, "query is 3x4 of torch.int64; expected one row of floating-point"),
        ({"query": QUERY[0]}, "query is 4 of torch.float32"),
        ({"query": np.ones((3, 5))}, "query features have 5 values, gallery ones 4"),
        ({"query": np.where(QUERY == 5, np.nan, QUERY)}, r"/data/q/b\.jpg hold NaN or infinity \(1 such"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_split_is_named(tmp_path, arrays, complaint):
    with pytest.raises(InputError, match=complaint):
        sides(saved(tmp_path / "f.npz", **arrays))


def test_more_rows_than_the_split_has_images_are_left_out_on_request(tmp_path):
    names = ["a.jpg", "junk.jpg", "b.jpg", "c.jpg"]
    path = saved(tmp_path / "f.npz", query=np.insert(QUERY, 1, 9, axis=0), query_images=names)
    with pytest.raises(InputError, match="--ignore-extra"):
        sides(path)
    np.testing.assert_array_equal(sides(path, ignore_extra=True)[0], QUERY)
    twice = saved(path, query=QUERY[[0, 1, 2, 2]], query_images=["a.jpg", "b.jpg", "c.jpg", "c.jpg"])
    with pytest.raises(InputError, match="2 times, but tiny_set has it 1 times"):
        sides(twice, ignore_extra=True)


def test_files_that_are_no_feature_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no feature file"):
        read_features(tmp_path / "f.npz")
    for name in ("f.npz", "f.safetensors"):
        (tmp_path / name).write_bytes(b"no such thing")
        with pytest.raises(InputError, match="cannot be read as"):
            read_features(tmp_path / name)
    (tmp_path / "f.pt").touch()
    with pytest.raises(InputError, match=r"ends in '\.pt'"):
        read_features(tmp_path / "f.pt")
    np.savez(tmp_path / "f.npz", qf=QUERY, gallery=GALLERY)
    with pytest.raises(InputError, match="lacks query: it holds gallery, qf"):
        read_features(tmp_path / "f.npz")
    np.savez(tmp_path / "f.npz", features=QUERY)
    with pytest.raises(InputError, match="features but no images"):
        read_features(tmp_path / "f.npz")
    np.savez(tmp_path / "f.npz", query=np.array([object()]), gallery=GALLERY)
    with pytest.raises(InputError, match=r"write it with numpy\.savez"):
        read_features(tmp_path / "f.npz")


def test_another_byte_order_is_read_and_strings_are_refused(tmp_path):
    path = tmp_path / "f.npz"
    np.savez(path, query=QUERY.astype(">f4"), gallery=GALLERY.astype("<f8"))
    np.testing.assert_array_equal(read_features(path).rows["query"].vectors.numpy(), QUERY.astype("f4"))
    np.savez(path, query=np.array([["a", "b"]]), gallery=GALLERY)
    with pytest.raises(InputError, match=r"query holds <U1; expected floating-point numbers"):
        read_features(path)


def test_the_order_table_has_a_line_per_image():
    lines = order_table(SPLIT).splitlines()
    assert lines[0].split("\t")[:3] == ["side", "row", "image"]
    assert lines[1].split("\t")[:4] == ["query", "0", "/data/q/a.jpg", "0"]
    assert len(lines) == 1 + 3 + 4
