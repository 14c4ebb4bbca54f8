"""Every sheet of the second stage trains and is judged, small: a tiny exported tower on tiny people."""

import io
import json
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


def small(path, exported, root, *overrides):
    """A sheet with everything that is large made small."""
    return read_run(
        path,
        [
            f"data={root}",
            f"model.backbone={exported}",
            "model.pretrained=false",
            "model.image_size=[56,28]",
            "batch.num_identities=3",
            "batch.num_instances=2",
            "optimizer.steps=2",
            "loader.workers=0",
            *overrides,
        ],
    )


def trained(run, out):
    summary = train_run(run, out, resume=False, console=Console(file=io.StringIO()))
    assert summary.is_finished
    return open_run(out)


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
def test_a_sheet_trains_two_steps_and_every_row_is_judged(path, exported, tiny_root, tmp_path):
    run = small(path, exported, tiny_root)
    finished = trained(run, tmp_path / "run")
    results = evaluate_rows(trained_embedder(finished), rows_of(finished), tiny_root)
    assert [result.row.dataset for result in results] == [row.dataset for row in run.evaluation]
    for result in results:
        by_matcher = [one.is_matched for one in result.evaluations]
        assert by_matcher == ([True, False] if run.model.matcher else [False])
        assert all(0 < one.mean_ap <= 1 for one in result.evaluations)


def test_cameras_of_the_set_trained_on_are_learnt_and_others_add_nothing(exported, tiny_root, tmp_path):
    path = next(path for path in SHEETS if path.stem == "reid_transreid")
    undecayed = ("model.camera_embedding=3.0", "optimizer.weight_decay=0", "evaluation=[]")
    settings = (*undecayed, "optimizer.warmup_from=0.008")
    model = trained_embedder(trained(small(path, exported, tiny_root, *settings), tmp_path / "run")).model
    assert model.cameras.domains == ("trad/market1501",)
    torch.manual_seed(0)
    images, camids = torch.randn(2, 3, 56, 28), torch.tensor([0, 1])
    with torch.no_grad():
        plain = model(images).edited
        own = model(images, None, model.cameras("trad/market1501", camids)).edited
        assert (own != plain).any(dim=1).all()
        assert model.cameras("trad/msmt17", camids) is None
    still = small(path, exported, tiny_root, *undecayed, "optimizer.lr=1e-30", "optimizer.warmup_from=0")
    start = trained_embedder(trained(still, tmp_path / "still")).model
    to_device = (model.cameras.tables[0] != start.cameras.tables[0]).any(dim=1)
    assert to_device.any()


def test_a_batch_in_parts_gives_the_matcher_the_same_loss(exported, tiny_root, tmp_path):
    path = next(path for path in SHEETS if path.stem == "reid_gs_market1501")
    logs = []
    for name, parts in (("whole", 1), ("parts", 2)):
        out = tmp_path / name
        settings = (f"batch.parts={parts}", "model.drop_path=0", "evaluation=[]", "logging.every=1")
        trained(small(path, exported, tiny_root, *settings), out)
        logs.append([json.loads(line)["terms"] for line in (out / "metrics.jsonl").read_text().splitlines()])
    for whole, in_parts in zip(*logs, strict=True):
        (domain,) = whole
        assert in_parts[domain]["score_triplet"] == pytest.approx(whole[domain]["score_triplet"], rel=1e-4)
