from collections import Counter

import numpy as np
import pytest

from omnireid.synthetic.chance import around, pick


def test_words_are_drawn_in_proportion_to_their_weights():
    rng = np.random.default_rng(0)
    counts = Counter(pick({"a": 6, "b": 3, "never": 0, "c": 1}, rng) for _ in range(4000))
    assert counts["never"] == 0
    assert counts["a"] / 4000 == pytest.approx(0.6, abs=0.03)
    assert counts["b"] / 4000 == pytest.approx(0.3, abs=0.03)


def test_numbers_stay_within_two_deviations():
    rng = np.random.default_rng(0)
    drawn = np.array([around(5.0, 0.5, rng) for _ in range(2000)])
    assert drawn.min() >= 4.0
    assert drawn.max() <= 6.0
    assert drawn.mean() == pytest.approx(5.0, abs=0.05)
