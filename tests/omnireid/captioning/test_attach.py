"""Captions on ReID images: matched, never of test people, propagated with their provenance."""

import numpy as np
import pytest
from PIL import Image

from instructions.errors import InputError
from omnireid.captioning.attach import attach_captions, read_captions, write_captions
from omnireid.captioning.continuations import Continuation, ContinuationCache, question_key
from omnireid.captioning.matching import match_names, match_pixels
from omnireid.captioning.sources import Described, read_source
from omnireid.records import Record, Split


def record(name, pid, camid):
    return Record(f"/data/market/{name}.jpg", pid, camid)


SPLIT = Split(
    "market1501",
    train=(
        record("a1", 1, 0),
        record("a2", 1, 0),
        record("a3", 1, 1),
        record("b1", 2, 0),
        record("c1", 3, 0),
    ),
    query=(record("q1", 9, 0),),
    gallery=(record("g1", 8, 0),),
)


def described(name, pid, *captions):
    return Described(f"/data/CUHK-PEDES/imgs/Market/{name}.png", pid, captions)


IMAGE_PATHS = [
    described("a1", 11, "own words", "more words"),
    described("q1", 12, "a test person"),
    described("b1", 12, "the same described person, in training under another number"),
    described("zz", 13, "somebody else"),
]


def attached(tmp_path, **options):
    from pathlib import Path

    return attach_captions(SPLIT, {"cuhk_pedes": IMAGE_PATHS}, Path("/data"), **options)


def test_captions_travel_within_person_and_camera_and_say_where_from(tmp_path):
    rows, coverage = attached(tmp_path)
    assert [(row.image, row.via, row.origin) for row in rows] == [
        ("market/a1.jpg", "own", "market/a1.jpg"),
        ("market/a2.jpg", "same_camera", "market/a1.jpg"),
    ]
    assert rows[1].captions == ("own words", "more words")
    assert coverage.sentences()[0] == (
        "2 of 5 training images (3 people) have captions: 1 own, 1 same camera"
    )


def test_a_described_person_with_a_test_image_is_left_out_whole(tmp_path):
    rows, coverage = attached(tmp_path)
    assert all("test person" not in text for row in rows for text in row.captions)
    assert coverage.filtered == {
        "cuhk_pedes: it is a test image": 1,
        "cuhk_pedes: another image of its person is a test image": 1,
        "cuhk_pedes: it is not an image of this set": 1,
    }


def test_how_far_captions_travel_is_chosen(tmp_path):
    assert [row.via for row in attached(tmp_path, reach="own")[0]] == ["own"]
    far = attached(tmp_path, reach="same_person")[0]
    assert [row.via for row in far] == ["own", "same_camera", "same_person"]


def test_a_caption_file_gives_back_what_was_written(tmp_path):
    rows, _ = attached(tmp_path)
    write_captions(tmp_path / "c.jsonl", rows)
    assert list(read_captions(tmp_path / "c.jsonl").values()) == list(rows)
    with pytest.raises(
        InputError, match=r"there is no caption file .*; write it with python -m tools.write_cont"
    ):
        read_captions(tmp_path / "none.jsonl")
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"bad.jsonl:1 is not a caption"):
        read_captions(tmp_path / "bad.jsonl")


def test_a_name_that_two_images_share_matches_neither():
    assert match_names(["x/a.png", "b.jpg", "c.jpg"], ["a.jpg", "y/b.jpg", "z/b.png"]) == [0, None, None]


def test_a_renamed_image_is_known_by_its_pixels(tmp_path):
    rng = np.random.default_rng(0)
    names = []
    for number in range(6):
        coarse = rng.integers(0, 256, (8, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((48, 96), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"{number}.jpg", quality=95)
        image.resize((40, 90)).save(tmp_path / f"renamed_{5 - number}.jpg", quality=70)
        names.append(str(tmp_path / f"{number}.jpg"))
    renamed = [str(tmp_path / f"renamed_{number}.jpg") for number in range(6)]
    assert match_pixels(renamed, names[:5]) == [None, 4, 3, 2, 1, 0]
    assert match_pixels(renamed[5:], [names[0], names[0]]) == [None]  # which of the two is not known


def test_a_caption_source_is_read_under_its_own_field_names(tmp_path):
    folder = tmp_path / "RSTPReid"
    folder.mkdir()
    (folder / "data_captions.json").write_text(
        '[{"id": 0, "img_path": "0.jpg", "captions": ["a man", " a  boy "], "split": "test"},'
        ' {"id": 1, "img_path": "1.jpg", "captions": []}]'
    )
    assert read_source(tmp_path, "rstpreid") == (Described(f"{folder}/imgs/0.jpg", 0, ("a man", "a boy")),)
    with pytest.raises(InputError, match="the captions of icfg_pedes were not found; tried"):
        read_source(tmp_path, "icfg_pedes")
    with pytest.raises(InputError, match=r"no caption source 'rstpreit' \(did you mean 'rstpreid'\?\)"):
        read_source(tmp_path, "rstpreit")


def test_a_damaged_cache_is_refused_and_a_torn_last_line_is_cut_off_by_the_next_one(tmp_path):
    path = tmp_path / "c.jsonl"
    key = question_key("a", {"model": "m"})
    ContinuationCache(path).add([Continuation(key, "a", "b", "b", "m")])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    cache = ContinuationCache(path)
    assert key in cache and cache.by_caption() == {"a": ("b",)}
    assert path.read_bytes() == whole + whole[:20]  # whoever writes it may be at work
    cache.add([Continuation("k", "a", "c", "c", "n")])
    cache.add([Continuation("l", "a", "", "", "n")])
    assert path.read_bytes().splitlines(keepends=True)[0] == whole
    assert ContinuationCache(path).by_caption() == {"a": ("b", "c")}
    assert ContinuationCache(path).models({"a"}) == {"m": 1, "n": 1}
    assert ContinuationCache(path).models({"b"}) == {}
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(InputError, match=r"c.jsonl:1 is not a continuation"):
        ContinuationCache(path)
    assert question_key("a", {"model": "n"}) != key


def test_cuhk03_is_known_by_its_pixels_because_its_copies_have_other_names(tmp_path):
    noise = np.random.default_rng(0)
    paths = [tmp_path / name for name in ("0001_c1_1.png", "0002_c1_1.png", "1_001_1_01.png")]
    images = [noise.integers(0, 256, (40, 20, 3), dtype=np.uint8) for _ in range(2)]
    for path, pixels in zip(paths, (*images, images[1]), strict=True):
        Image.fromarray(pixels).save(path)
    split = Split("cuhk03", train=tuple(Record(str(path), pid, 0) for pid, path in enumerate(paths[:2])))
    described = {"cuhk_pedes": [Described(str(paths[2]), 7, ("words",))]}
    (row,), _ = attach_captions(split, described, tmp_path)
    assert (row.image, row.pid) == ("0002_c1_1.png", 1)
