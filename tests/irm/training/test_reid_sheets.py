"""Every sheet of the second stage trains and is judged, small: a tiny exported tower on tiny people."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from irm.config import read_run
from irm.evaluation import evaluate_rows, open_run, rows_of, trained_embedder
from irm.models import build_backbone, save_backbone
from irm.training.run import train_run

SHEETS = sorted((Path(__file__).parents[3] / "configs" / "mllm").glob("reid_*.yaml"))
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 4}


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A backbone folder as tools.export_backbone leaves one: CLIP's architecture, made small."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("exported") / "backbone"
    save_backbone(
        build_backbone("clip_vit_large", (56, 28), **TINY), folder, name="clip_vit_large", overrides=TINY
    )
    return folder


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
def test_a_sheet_trains_two_steps_and_every_row_is_judged(path, exported, tiny_root, tmp_path):
    run = read_run(
        path,
        [
            f"data={tiny_root}",
            f"model.backbone={exported}",
            "model.pretrained=false",
            "model.image_size=[56,28]",
            "batch.num_identities=3",
            "batch.num_instances=2",
            "optimizer.steps=2",
            "loader.workers=0",
        ],
    )
    summary = train_run(run, tmp_path / "run", resume=False, console=Console(file=io.StringIO()))
    assert summary.is_finished
    finished = open_run(tmp_path / "run")
    results = evaluate_rows(trained_embedder(finished), rows_of(finished), tiny_root)
    assert [result.row.dataset for result in results] == [row.dataset for row in run.evaluation]
    for result in results:
        by_matcher = [one.is_matched for one in result.evaluations]
        assert by_matcher == ([True, False] if run.model.matcher else [False])
        assert all(0 < one.mean_ap <= 1 for one in result.evaluations)
