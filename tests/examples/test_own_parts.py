"""Whoever adds entries of their own and then runs a program has a program that knows them."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from irm.models import BACKBONES
from irm.training.terms import PAIR_TERMS, PICTURE_TERMS
from omnireid.datasets.catalog import DATASETS
from omnireid.protocols import PROTOCOLS

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "-m", "examples.own_parts", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_own_data_protocol_backbone_and_losses_are_trained_and_evaluated(tiny_root, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mall").symlink_to(tiny_root / "market" / "Market-1501")
    (tmp_path / "data" / "CUHK-Pedes").symlink_to(tiny_root / "CUHK-Pedes")
    trained = run(
        *("tools.train", ROOT / "configs" / "irm" / "tiny.yaml", "--out", tmp_path / "run"),
        *("--data", tmp_path / "data", "optimizer.steps=1", "model.backbone=slim_vit", "loader.workers=1"),
        "mixture=[{task: trad, dataset: mall}, {task: t2i, dataset: cuhk_pedes}]",
        "losses.own={centre: 0.001, sdm: 1}",
        "evaluation=[{task: trad, dataset: mall, protocol: any_camera}]",
    )
    assert trained.returncode == 0, trained.stderr
    (row,) = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert row["terms"]["trad/mall"]["centre"] > 0
    assert row["terms"]["t2i/cuhk_pedes"]["sdm"] > 0
    judged = run("tools.evaluate", tmp_path / "run")
    assert judged.returncode == 0, judged.stderr
    assert "any camera" in judged.stdout
    (evaluation,) = json.loads((tmp_path / "run" / "evaluation.json").read_text())["evaluations"]
    assert (evaluation["dataset"], evaluation["protocol"]) == ("mall", "any_camera")


@pytest.fixture
def parts():
    """What the example defines; the registries are as before afterwards."""
    registries = (DATASETS, PROTOCOLS, BACKBONES, PICTURE_TERMS, PAIR_TERMS)
    before = [dict(registry) for registry in registries]
    yield runpy.run_module("examples.own_parts", run_name="own_parts")
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)


def test_similarity_distribution_matching_is_two_divergences_of_rows(parts):
    images, texts = torch.randn(2, 3, 4, dtype=torch.float64).softmax(dim=-1)
    labels = torch.tensor([5, 6, 5])
    wanted = torch.tensor([[0.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]], dtype=torch.float64) + 1e-8
    expected = 0.0
    for one, other in ((images, texts), (texts, images)):
        for row in range(3):
            found = torch.stack([one[row] @ other[column] / 0.5 for column in range(3)]).softmax(dim=0)
            expected += sum(p * (p.log() - q.log()) for p, q in zip(found, wanted[row], strict=True)) / 3
    term = parts["SimilarityDistributionMatching"](4, temperature=0.5)
    torch.testing.assert_close(term(images, texts, labels), expected, rtol=1e-6, atol=1e-6)


def test_without_a_program_it_prints_its_usage():
    told = run()
    assert told.returncode == 1
    assert told.stderr.startswith("usage: ")
    misspelt = run("tools.trian")
    assert (misspelt.returncode, misspelt.stderr.count("\n")) == (1, 1), misspelt.stderr
