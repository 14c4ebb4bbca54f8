"""Rows judged one after another give what each gives alone, though rows alike share their features."""

from pathlib import Path

import numpy as np
import pytest
import torch

from irm.build import build_irm
from irm.config import read_run
from irm.embedder import IRMEmbedder
from irm.evaluation import evaluate_rows
from omnireid.benchmark import Row

TINY = Path(__file__).parents[2] / "configs" / "irm" / "tiny.yaml"
ROWS = [
    Row("cc", "ltcc", "clothes_general"),
    Row("cc", "ltcc", "clothes_change"),
    Row("vi", "llcm", "llcm", "vis_to_ir"),
    Row("vi", "llcm", "llcm", "ir_to_vis"),
]


@pytest.fixture(scope="module")
def embedder():
    torch.manual_seed(0)
    return IRMEmbedder(build_irm(read_run(TINY))[0].eval())


def test_a_row_is_not_judged_by_the_features_of_another(embedder, tiny_root):
    together = evaluate_rows(embedder, ROWS, tiny_root)
    alone = [result for row in ROWS for result in evaluate_rows(embedder, [row], tiny_root)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.headline.average_precision, other.headline.average_precision)
