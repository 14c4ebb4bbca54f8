"""Test people are never trained on, under whatever number or file name they appear."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omnireid.leakage import (
    SHARED_IMAGES,
    Fingerprints,
    Leak,
    People,
    drop_test_people,
    find_copies,
    fingerprint,
    fingerprints_of,
)
from omnireid.leakage.drop_test_people import SHARED
from omnireid.leakage.fingerprints import MAX_BITS, MAX_COLOR, SIDE
from omnireid.leakage.people import COLUMNS
from omnireid.records import Record

TEST_IMAGE = "/data/market/Market-1501/bounding_box_test/0004_c2s1_022375_01.jpg"
MARKET_TEST = People(
    "market1501", (Record(TEST_IMAGE, 4, 1), Record("/data/q/0001_c1s1_001051_00.jpg", 1, 0))
)


def kept_pids(train, *tests):
    (kept,), report = drop_test_people([train], tests)
    return [record.pid for record in kept.records], report


def pedes(*images):
    return People(
        "cuhk_pedes", tuple(Record(f"/data/CUHK-PEDES/imgs/{path}", pid, 0) for path, pid in images)
    )


def test_nothing_is_dropped_without_a_test():
    train = pedes(("Market/0004_c2s1_022375_01.jpg", 7))
    pids, report = kept_pids(train)
    assert pids == [7] and report.num_dropped == 0
    assert report.sentences() == ("none of 1 training images shows a test person",)


def test_a_pid_leaks_within_its_own_data_set_only():
    records = (Record("x.jpg", 4, 0), Record("y.jpg", 5, 0))
    assert kept_pids(People("market1501", records), MARKET_TEST)[0] == [5]
    assert kept_pids(People("msmt17", records), MARKET_TEST)[0] == [4, 5]


def test_a_copy_of_a_test_image_drops_its_whole_person():
    train = pedes(("CUHK01/0363004.png", 1), ("Market/0004_c2s1_022375_01.jpg", 7), ("CUHK01/0001001.png", 7))
    pids, report = kept_pids(train, MARKET_TEST)
    assert pids == [1]
    assert (report.num_records, report.num_dropped) == (3, 2)
    assert report.people == {("cuhk_pedes", "same picture"): 1}
    assert report.leaks[0].pid == 7


def test_a_test_person_is_recognised_by_the_file_name():
    train = pedes(("Market/0004_c6s3_099999_05.jpg", 7), ("Market/0005_c6s3_099999_05.jpg", 8))
    pids, report = kept_pids(train, MARKET_TEST)
    assert pids == [8]
    assert report.people == {("cuhk_pedes", "same person by name"): 1}


def test_a_name_counts_only_in_the_folder_of_the_borrowed_set():
    assert kept_pids(pedes(("cam_a/0004_c2s1_022375_01.jpg", 7)), MARKET_TEST)[0] == [7]


def test_cuhk03_and_msmt17_images_are_found_by_name():
    cuhk03 = People("cuhk03", (Record("/data/cuhk03/images_detected/1_001_1_01.png", 1, 0),))
    assert kept_pids(pedes(("CUHK03/1_001_2_07.png", 3), ("CUHK03/1_002_2_07.png", 4)), cuhk03)[0] == [4]
    name = "0000/0000_000_01_0303morning_0015_0.jpg"
    msmt = People("msmt17", (Record(f"/data/MSMT17_V1/test/{name}", 1041, 0),))
    icfg = People("icfg_pedes", (Record(f"/data/ICFG-PEDES/imgs/test/{name}", 9, 0),))
    assert kept_pids(icfg, msmt)[0] == []


@pytest.mark.parametrize("link", ["folder", "file"])
def test_the_same_file_is_found_through_links(tmp_path, link):
    (tmp_path / "test").mkdir()
    (tmp_path / "test/a.jpg").touch()
    if link == "folder":
        (tmp_path / "train").symlink_to(tmp_path / "test")
        image = tmp_path / "train/a.jpg"
    else:
        (tmp_path / "train").mkdir()
        image = tmp_path / "train/renamed.jpg"
        image.symlink_to(tmp_path / "test/a.jpg")
    train = People("synth_pedes", (Record(str(image), 7, 0), Record(str(tmp_path / "train/b.jpg"), 8, 0)))
    pids, report = kept_pids(train, People("ltcc", (Record(str(tmp_path / "test/a.jpg"), 3, 0),)))
    assert pids == [8]
    assert report.people == {("synth_pedes", "same file"): 1}


def test_sources_keep_their_order_and_are_checked_separately():
    sources = [pedes(("Market/0004_c2s1_022375_01.jpg", 7)), People("prcc", (Record("p.jpg", 7, 0),))]
    kept, report = drop_test_people(sources, [MARKET_TEST])
    assert [(people.dataset, len(people.records)) for people in kept] == [("cuhk_pedes", 0), ("prcc", 1)]
    assert len(report.sentences()) == 2


def test_the_result_does_not_depend_on_the_order_of_the_tests():
    train = pedes(("Market/0004_c2s1_022375_01.jpg", 7), ("Market/0001_c9s1_000000_00.jpg", 9))
    other = People("ltcc", (Record("/data/ltcc/a.png", 1, 0),))
    assert drop_test_people([train], [MARKET_TEST, other]) == drop_test_people([train], [other, MARKET_TEST])


def test_borrowed_data_sets_are_in_the_catalog():
    from omnireid.datasets import DATASETS

    assert {row.dataset for rows in SHARED_IMAGES.values() for row in rows} <= set(DATASETS)


def drawn(seed, size=(128, 64)):
    """An image of nothing in particular: smooth patches of colour."""
    patches = np.random.default_rng(seed).integers(0, 255, (9, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(patches).resize(size[::-1], Image.Resampling.BICUBIC))


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return str(path)


def seen(*images):
    hashes, colors = zip(*map(fingerprint, images), strict=True)
    return Fingerprints(np.array(hashes, dtype=np.uint64), np.array(colors), np.ones(len(colors), dtype=bool))


def recoded(pixels, quality):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("quality", [95, 75, 50])
@pytest.mark.parametrize("size", [(128, 64), (64, 32), (256, 128), (384, 128)])
def test_a_copy_is_found_after_scaling_and_coding_anew(quality, size):
    images = [drawn(seed) for seed in range(8)]
    copies = [
        recoded(np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)), quality)
        for image in images
    ]
    found = find_copies(seen(*copies), seen(*images))
    assert found.rows.tolist() == list(range(8))
    assert (found.bits <= MAX_BITS).all() and (found.color <= MAX_COLOR).all()


def test_the_hash_is_that_of_a_plain_cosine_transform():
    pixels = drawn(3, (SIDE, SIDE))
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=float)
    place = np.arange(SIDE)
    basis = np.cos(np.pi * np.outer(place, 2 * place + 1) / (2 * SIDE))
    basis[0] /= np.sqrt(2)
    coefficients = basis @ grey @ basis.T
    order = sorted(np.ndindex(SIDE, SIDE), key=lambda uv: (uv[0] ** 2 + uv[1] ** 2, uv))[1:65]
    lowest = np.array([coefficients[uv] for uv in order])
    bits = "".join("1" if value > np.median(lowest) else "0" for value in lowest)
    assert fingerprint(pixels)[0] == int(bits, 2)


def test_the_same_shapes_in_other_colors_are_no_copy():
    image = drawn(1)
    grey = np.asarray(Image.fromarray(image).convert("L"))
    tinted = np.stack([grey, grey, grey], axis=2)
    assert int(np.bitwise_count(seen(tinted).hashes ^ seen(image).hashes)[0]) <= MAX_BITS
    assert find_copies(seen(tinted), seen(image)).rows.tolist() == [-1]


def test_empty_and_unreadable_images_have_no_copies(tmp_path):
    white = np.full((64, 32, 3), 255, dtype=np.uint8)
    assert find_copies(seen(white), seen(white)).rows.tolist() == [-1]
    (tmp_path / "text.jpg").write_text("no image")
    found = fingerprints_of([str(tmp_path / "text.jpg"), str(tmp_path / "gone.jpg")])
    assert found.seen.tolist() == [False, False]
    assert find_copies(found, found).rows.tolist() == [-1, -1]


def test_searching_in_blocks_equals_the_loop_over_pairs():
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2**63, 40, dtype=np.uint64)

    def noisy(count):
        flips = (rng.random((count, 64)) < 0.06) @ (np.uint64(1) << np.arange(64, dtype=np.uint64))
        colors = rng.integers(0, 12, (count, 16, 8, 3), dtype=np.uint8) * 3
        return Fingerprints(rng.choice(centres, count) ^ flips, colors, np.ones(count, dtype=bool))

    first, second = noisy(75), noisy(9000)
    found = find_copies(first, second, max_bits=9, max_color=14.1)
    for row in range(75):
        bits = np.bitwise_count(first.hashes[row] ^ second.hashes)
        color = np.sqrt(((first.colors[row].astype(float) - second.colors) ** 2).mean(axis=(1, 2, 3)))
        fits = np.flatnonzero((bits <= 9) & (color <= 14.1))
        best = min(fits, key=lambda other: (bits[other], np.float32(color[other]), other), default=-1)
        assert found.rows[row] == best
    assert 10 < (found.rows >= 0).sum() < 75


def test_a_renamed_copy_is_found_by_appearance_and_drops_its_person(tmp_path):
    test = save(tmp_path / "msmt/test/0000/0000_000_01_0303morning_0015_0.jpg", drawn(1))
    copy = save(tmp_path / "rstp/imgs/0007_c1_0001.jpg", recoded(drawn(1), 60), quality=80)
    other = save(tmp_path / "rstp/imgs/0007_c2_0002.jpg", drawn(2))
    stranger = save(tmp_path / "rstp/imgs/0008_c2_0002.jpg", drawn(3))
    train = People("rstpreid", (Record(other, 7, 1), Record(copy, 7, 0), Record(stranger, 8, 1)))
    msmt = People("msmt17", (Record(test, 0, 0),))
    pids, report = kept_pids(train, msmt)
    assert pids == [8]
    assert report.leaks == (Leak("rstpreid", 7, copy, "same picture by look", test),)
    assert (report.num_dropped, report.num_unreadable) == (2, 0)
    assert kept_pids(People("prcc", train.records), msmt)[0] == [7, 7, 8]  # not known to share images
    ((kept,), report) = drop_test_people([train], [msmt], by_appearance=False)
    assert report.num_dropped == 0
    pair = frozenset((frozenset(("prcc", "msmt17")),))
    ((kept,), report) = drop_test_people([People("prcc", train.records)], [msmt], by_appearance=pair)
    assert [record.pid for record in kept.records] == [8]


def test_fingerprints_are_kept_until_the_image_changes(tmp_path):
    images = [save(tmp_path / f"{seed}.png", drawn(seed)) for seed in range(3)]
    cache = tmp_path / "cache"
    first = fingerprints_of(images, cache=cache, name="x")
    stamp = Path(images[0]).stat()
    Path(images[0]).write_bytes(b"0" * stamp.st_size)  # unseen: same size and time
    os.utime(images[0], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    save(Path(images[1]), drawn(9))
    os.utime(images[1], ns=(0, 0))
    again = fingerprints_of([*reversed(images), images[0]], cache=cache, name="x")
    assert again.hashes.tolist() == [
        first.hashes[2],
        fingerprint(drawn(9))[0],
        first.hashes[0],
        first.hashes[0],
    ]
    assert again.seen.all()
    assert [entry.name for entry in cache.iterdir()] == ["x-v1.npz"]
    (cache / "x-v1.npz").write_bytes(b"half a fi")
    assert not fingerprints_of(images, cache=cache, name="x").seen[0]


def test_a_cache_whose_arrays_disagree_in_length_is_ignored(tmp_path):
    image = save(tmp_path / "a.png", drawn(0))
    expected = fingerprints_of([image], cache=tmp_path, name="x")
    with np.load(tmp_path / "x-v1.npz") as file:
        arrays = {**file, "hashes": np.zeros(2, dtype=np.uint64)}
    np.savez(tmp_path / "x-v1.npz", **arrays)
    assert fingerprints_of([image], cache=tmp_path, name="x").hashes.tolist() == expected.hashes.tolist()


def test_a_cache_that_cannot_be_written_is_not_needed(tmp_path):
    (tmp_path / "file").touch()
    image = save(tmp_path / "a.png", drawn(0))
    assert fingerprints_of([image], cache=tmp_path / "file" / "cache").seen.all()


def test_the_report_has_a_table_and_every_dropped_person_in_json():
    train = pedes(("Market/0004_c2s1_022375_01.jpg", 7), ("Market/0001_c9s1_000000_00.jpg", 9))
    _, report = kept_pids(train, MARKET_TEST)
    assert [row[:3] for row in report.rows()] == [
        ("cuhk_pedes", "same person by name", "1"),
        ("cuhk_pedes", "same picture", "1"),
    ]
    assert all(len(row) == len(COLUMNS) for row in report.rows())
    assert [leak["pid"] for leak in json.loads(report.to_json())["leaks"]] == [7, 9]


def test_every_pair_of_data_sets_known_to_share_images_is_compared():
    text, owners = ("cuhk_pedes", "icfg_pedes", "rstpreid"), {"cuhk_pedes": ("market1501", "cuhk03")}
    pairs = {frozenset((one, other)) for one in text for other in owners.get(one, ("msmt17",))}
    assert pairs | {frozenset(("rstpreid", "icfg_pedes"))} == SHARED
    assert {name: {row.dataset for row in rows} for name, rows in SHARED_IMAGES.items()} == {
        "cuhk_pedes": {"market1501", "cuhk03"},
        "icfg_pedes": {"msmt17"},
    }
