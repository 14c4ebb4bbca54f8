"""Images are shifted and erased to the same pixels by C and by numpy, and nothing else is touched."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from omnireid.loading import placing
from omnireid.loading.placing import place
from omnireid.loading.variation import Box, Variation, Variations

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
SHIFTS = st.tuples(st.integers(-50, 50), st.integers(-50, 50))


def by_numpy(images, variations, out):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placing, "library", lambda: None)
        place(images, variations, out)


@given(
    SIZES, st.lists(st.tuples(SHIFTS, st.booleans(), st.booleans()), min_size=1, max_size=4), st.integers(0)
)
@example((8, 4), [((8, 0), False, True), ((0, -4), True, True), ((-3, 2), True, False)], 0)
@settings(max_examples=200, deadline=None)
def test_the_pixels_do_not_depend_on_who_places_them(size, moves, seed):
    rng = np.random.default_rng(seed % 2**32)
    height, width = size
    images = [rng.integers(1, 256, (*size, 3), dtype=np.uint8) for _ in moves]
    rows = []
    for (down, right), flip, is_erased in moves:
        tall, wide = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
        top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
        box = Box(top, left, tall, wide) if is_erased else None
        rows.append(Variation(flip, down, right, box, tuple(rng.integers(0, 256, 3).tolist())))
    variations = Variations.of(rows)
    memory = np.full((len(moves) + 2, *size, 3), 77, dtype=np.uint8)
    expected = np.empty((len(moves), *size, 3), dtype=np.uint8)
    place(images, variations, memory[1:-1])
    by_numpy(images, variations, expected)
    np.testing.assert_array_equal(memory[1:-1], expected)
    assert (memory[[0, -1]] == 77).all()


def test_images_may_be_read_only_and_lie_anyhow():
    image = np.random.default_rng(0).integers(0, 256, (5, 12, 3), dtype=np.uint8)[::-1, ::2]
    image.flags.writeable = False
    out = np.empty((1, 5, 6, 3), dtype=np.uint8)
    place([image], Variations.of([Variation(False, 0, 0, None, (0, 0, 0))]), out)
    np.testing.assert_array_equal(out[0], image)
