"""Whoever adds entries of their own and then runs a program has a program that knows them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "-m", "examples.own_parts", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_own_data_protocol_and_backbone_are_trained_and_judged(tiny_root, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mall").symlink_to(tiny_root / "market" / "Market-1501")
    trained = run(
        *("tools.train", ROOT / "configs" / "irm" / "tiny.yaml", "--out", tmp_path / "run"),
        *("--data", tmp_path / "data", "optimizer.steps=1", "model.backbone=slim_vit", "loader.workers=1"),
        "mixture=[{task: trad, dataset: mall}]",
        "evaluation=[{task: trad, dataset: mall, protocol: any_camera}]",
    )
    assert trained.returncode == 0, trained.stderr
    judged = run("tools.evaluate", tmp_path / "run")
    assert judged.returncode == 0, judged.stderr
    assert "any camera" in judged.stdout
    (evaluation,) = json.loads((tmp_path / "run" / "evaluation.json").read_text())["evaluations"]
    assert (evaluation["dataset"], evaluation["protocol"]) == ("mall", "any_camera")


def test_without_a_program_it_says_what_to_name():
    told = run()
    assert told.returncode == 1
    assert "say which program" in told.stderr
    misspelt = run("tools.trian")
    assert (misspelt.returncode, misspelt.stderr.count("\n")) == (1, 1), misspelt.stderr
