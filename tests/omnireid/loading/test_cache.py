"""Images are decoded once."""

import pickle

import numpy as np
import pytest

from instructions.errors import InputError
from omnireid.loading import cache as module
from omnireid.loading.cache import ImageCache
from omnireid.loading.image import read_image
from omnireid.loading.resizing import resize

SIZE = (32, 16)
BYTES = 32 * 16 * 3


def test_a_image_is_decoded_once(crowd, monkeypatch):
    decoded = []
    monkeypatch.setattr(module, "read_image", lambda path: decoded.append(path) or read_image(path))
    cache = ImageCache(max_bytes=10 * BYTES)
    first, again = (cache.read(crowd[0].image, SIZE) for _ in range(2))
    np.testing.assert_array_equal(first, resize(read_image(crowd[0].image), SIZE))
    assert first is again
    assert decoded == [crowd[0].image]
    assert cache.read(crowd[0].image, (8, 8)).shape == (8, 8, 3)


def test_no_more_is_kept_than_fits(crowd):
    cache = ImageCache(max_bytes=3 * BYTES + 1)
    cache.fill([record.image for record in crowd], SIZE, threads=2)
    for record in crowd:
        cache.read(record.image, SIZE)
    assert len(cache) == 3
    assert cache.num_bytes == 3 * BYTES


def test_a_image_that_a_batch_asks_for_twice_counts_once(crowd):
    cache = ImageCache(max_bytes=10 * BYTES)
    assert len(list(cache.read_each([crowd[0].image] * 4, SIZE))) == 4
    assert (len(cache), cache.num_bytes) == (1, BYTES)


def test_without_room_every_read_decodes(crowd):
    cache = ImageCache()
    assert cache.read(crowd[0].image, SIZE) is not cache.read(crowd[0].image, SIZE)


def test_kept_images_cannot_be_changed(crowd):
    with pytest.raises(ValueError, match="read-only"):
        ImageCache(BYTES).read(crowd[0].image, SIZE)[0] = 0


def test_filling_skips_bad_files_and_reading_names_them(tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    cache = ImageCache(BYTES)
    cache.fill([str(bad)], SIZE)
    with pytest.raises(InputError, match=r"bad\.jpg"):
        cache.read(str(bad), SIZE)


def test_a_copy_for_another_process_starts_empty(crowd):
    cache = ImageCache(BYTES)
    cache.read(crowd[0].image, SIZE)
    copied = pickle.loads(pickle.dumps(cache))
    assert (len(cache), len(copied), copied.max_bytes, copied.num_bytes) == (1, 0, BYTES, 0)


@pytest.mark.parametrize("large", [0, module.LARGE])
def test_reading_many_gives_what_reading_one_by_one_gives(crowd, tmp_path, monkeypatch, large):
    monkeypatch.setattr(module, "GROUP", 3)
    monkeypatch.setattr(module, "LARGE", large)
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    paths = [record.image for record in crowd[:7]]
    paths.insert(4, str(bad))
    cache = ImageCache(2 * BYTES)
    for _ in range(2):  # from the files, then some from memory
        read = list(cache.read_each(paths, SIZE))
        assert isinstance(read.pop(4), InputError)
        for image, record in zip(read, crowd, strict=False):
            np.testing.assert_array_equal(image, resize(read_image(record.image), SIZE))
    assert len(read) == 7
    assert len(cache) == 2
