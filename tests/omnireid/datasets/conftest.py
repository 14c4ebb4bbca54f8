"""A tiny tree of every data set with file names as published; the images are empty files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Tree:
    """Files below a data set's own folder, and how many records of train, query and gallery they make."""

    images: tuple[str, ...]
    sizes: tuple[int, int, int]
    texts: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path, *, reverse: bool = False) -> Path:
        """Make the files; ``reverse`` makes them in the other order."""
        for path in sorted(self.images, reverse=reverse):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
        for path, text in self.texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        return folder


def annotation(split: str, pid: int, path: str, *captions: str) -> dict[str, object]:
    return {"split": split, "captions": list(captions), "file_path": path, "id": pid, "processed_tokens": []}


PEDES = [
    annotation("train", 1, "CUHK01/0363004.png", "A tall man.", "He wears a red coat."),
    annotation("train", 2, "Market/0001_c1s1_001051_00.jpg", "A woman  with a bag. "),
    annotation("val", 11004, "cam_a/000_45.bmp", "A boy."),
    annotation("test", 12004, "test_query/p10376_s14337.jpg", "A girl.", "She runs."),
    annotation("test", 12005, "train_query/p11600_s14885.jpg", "An old man."),
]
SYNTH = [
    {
        "id": 7,
        "file_path": "Part1/7/1.jpg",
        "attributes": ["man,black hair"],
        "captions": ["A man.", "Somebody."],
    },
    {"id": 900, "file_path": "Part2/900/1.jpg", "attributes": ["woman"], "captions": ["A woman."]},
    {"id": 5000, "file_path": "Part9/5000/1.jpg", "attributes": ["woman"], "captions": ["Not here."]},
]
RSTP = [
    {"id": 0, "img_path": "0000_c14_0031.jpg", "captions": ["A man.", "He walks."], "split": "train"},
    {"id": 3701, "img_path": "3701_c1_0004.jpg", "captions": ["A boy.", "A pupil."], "split": "val"},
    {"id": 3901, "img_path": "3901_c5_0022.jpg", "captions": ["A girl.", "She runs."], "split": "test"},
]
ICFG = [
    annotation("train", 0, "train/0000/0000_000_01_0303morning_0015_0.jpg", "A tall man."),
    annotation("train", 1, "test/0627/0627_010_05_0303noon_0004_1.jpg", "A woman."),
    annotation("test", 3102, "train/0007/0007_001_02_0303noon_0009_1.jpg", "A boy."),
]

TREES: dict[str, Tree] = {
    "market1501": Tree(
        (
            "bounding_box_train/0002_c1s1_000451_03.jpg",
            "bounding_box_train/0002_c6s3_038467_00.jpg",
            "bounding_box_train/0007_c3s3_077419_03.jpg",
            "bounding_box_train/Thumbs.db",
            "bounding_box_train/._0002_c1s1_000451_03.jpg",
            "query/0001_c1s1_001051_00.jpg",
            "bounding_box_test/-1_c1s1_000401_03.jpg",
            "bounding_box_test/0000_c2s1_000151_01.jpg",
            "bounding_box_test/0001_c2s1_000301_00.jpg",
            "bounding_box_test/1501_c6s4_001902_01.jpg",
        ),
        (3, 1, 3),
    ),
    "msmt17": Tree(
        (
            "train/0000/0000_045_12_0303morning_0006_2.jpg",
            "train/0001/0001_010_07_0303morning_0008_2.jpg",
            "train/0001/0001_011_07_0303morning_0009_2_ex.jpg",
            "test/0000/0000_000_01_0303morning_0015_0.jpg",
            "test/0000/0000_030_14_0303noon_0245_0.jpg",
            "test/0001/0001_008_15_0303afternoon_0019_2.jpg",
        ),
        (2, 1, 2),
        {
            "list_train.txt": "0000/0000_045_12_0303morning_0006_2.jpg 0\n"
            "0001/0001_010_07_0303morning_0008_2.jpg 1\n",
            "list_val.txt": "0001/0001_011_07_0303morning_0009_2_ex.jpg 1\n",
            "list_query.txt": "0000/0000_000_01_0303morning_0015_0.jpg 0\n",
            "list_gallery.txt": "0000/0000_030_14_0303noon_0245_0.jpg 0\n"
            "0001/0001_008_15_0303afternoon_0019_2.jpg 1\n",
        },
    ),
    "cuhk03": Tree(
        tuple(
            f"{boxes}/{name}"
            for boxes in ("detected", "labeled")
            for name in (
                "bounding_box_train/0003_c1_21.png",
                "bounding_box_train/0003_c2_26.png",
                "query/0002_c1_22.png",
                "bounding_box_test/0002_c2_27.png",
            )
        ),
        (2, 1, 1),
    ),
    "ltcc": Tree(
        (
            "train/094_1_c9_015923.png",
            "train/094_2_c10_015923.png",
            "train/003_1_c12_000123.png",
            "query/000_1_c11_000007.png",
            "test/000_1_c1_000009.png",
            "test/000_2_c1_000011.png",
            "templates/094_1.jpg",
            "templates/094_2.jpg",
            "croped_clothes/train/094_2_c10_015923.png",
        ),
        (3, 1, 2),
        {"info/cloth-change_id_train.txt": "94\n", "info/cloth-change_id_test.txt": "0\n"},
    ),
    "prcc": Tree(
        (
            "rgb/train/001/A_cropped_rgb001.jpg",
            "rgb/train/001/B_cropped_rgb033.jpg",
            "rgb/train/001/C_cropped_rgb064.jpg",
            "rgb/val/001/A_cropped_rgb002.jpg",
            "rgb/test/A/005/cropped_rgb001.jpg",
            "rgb/test/A/005/cropped_rgb002.jpg",
            "rgb/test/B/005/cropped_rgb100.jpg",
            "rgb/test/C/005/cropped_rgb200.jpg",
            "sketch/train/001/A_cropped_rgb001.jpg",
        ),
        (3, 1, 2),
    ),
    "vc_clothes": Tree(
        (
            "train/0001-01-01-01.jpg",
            "train/0001-04-02-01.jpg",
            "query/0300-03-01-01.jpg",
            "query/0300-04-02-01.jpg",
            "gallery/0300-02-01-01.jpg",
            "gallery/0300-01-02-01.jpg",
        ),
        (2, 2, 2),
    ),
    "llcm": Tree(
        (
            "vis/cam1/0001/0001_c01_s190019_f0001_vis.jpg",
            "nir/cam2/0001/0001_c02_s190019_f0002_nir.jpg",
            "test_vis/cam3/0003/0003_c03_s185734_f3195_vis.jpg",
            "test_vis/cam1/0003/0003_c01_s185734_f3195_vis.jpg",
            "test_nir/cam1/0003/0003_c01_s185734_f3195_nir.jpg",
        ),
        (2, 2, 1),
        {
            "idx/train_vis.txt": "vis/cam1/0001/0001_c01_s190019_f0001_vis.jpg 0\n",
            "idx/train_nir.txt": "nir/cam2/0001/0001_c02_s190019_f0002_nir.jpg 0\n",
            "idx/test_id.txt": "3,5\n",
        },
    ),
    "cocas_real1": Tree(
        ("COCAS/images/1.jpg", "COCAS/images/2.jpg", "crops/1.jpg", "crops/2.jpg"),
        (2, 0, 0),
        {
            "datalist/train_ctcc.txt": "COCAS/images/1.jpg crops/1.jpg 17 1\n"
            "COCAS/images/2.jpg crops/2.jpg 18 1\n",
            "datalist/train_attr.txt": "COCAS/images/1.jpg one.jpg 17 1\nCOCAS/images/2.jpg two.jpg 18 1\n",
            "datalist/runner_real1_v1_gpt.json": json.dumps({"one.jpg": "A man.", "two.jpg": "A woman."}),
        },
    ),
    "cocas_real2": Tree(
        ("images/a.jpg", "images/b.jpg", "templates/t.jpg"),
        (0, 1, 1),
        {"query.txt": "images/a.jpg templates/t.jpg 1 2 3\n", "gallery.txt": "images/b.jpg 1 2 5\n"},
    ),
    "cuhk_pedes": Tree(
        tuple(f"imgs/{entry['file_path']}" for entry in PEDES),
        (2, 3, 2),
        {"reid_raw.json": json.dumps(PEDES)},
    ),
    "synth_pedes": Tree(
        ("Part1/7/1.jpg", "Part2/900/1.jpg"), (2, 0, 0), {"synthpedes_dataset.json": json.dumps(SYNTH)}
    ),
    "rstpreid": Tree(
        tuple(f"imgs/{entry['img_path']}" for entry in RSTP),
        (1, 2, 1),
        {"data_captions.json": json.dumps(RSTP)},
    ),
    "icfg_pedes": Tree(
        tuple(f"imgs/{entry['file_path']}" for entry in ICFG),
        (2, 1, 1),
        {"ICFG-PEDES.json": json.dumps(ICFG)},
    ),
    "dukemtmc_reid": Tree(
        (
            "bounding_box_train/0001_c2_f0046182.jpg",
            "bounding_box_train/0001_c8_f0046985.jpg",
            "query/0005_c2_f0046985.jpg",
            "bounding_box_test/0005_c1_f0050000.jpg",
            "bounding_box_test/7139_c4_f0060000.jpg",
        ),
        (2, 1, 2),
    ),
}


@pytest.fixture
def trees() -> dict[str, Tree]:
    return TREES


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """``make("ltcc")`` writes its tree below a fresh data root; gives the data root."""

    def write(name: str, folder: str | None = None, *, reverse: bool = False, under: str = "data") -> Path:
        from omnireid.datasets import dataset_named

        root = tmp_path / under
        TREES[name].write(root / (folder or dataset_named(name).card.folders[0]), reverse=reverse)
        return root

    return write


@pytest.fixture
def write_lists(tmp_path: Path) -> Callable[..., Path]:
    """``write_lists("market/datalist", train="...")`` writes ``train.txt``; gives the data root."""

    def write(folder: str, **lists: str | bytes) -> Path:
        root = tmp_path / "lists"
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, text in lists.items():
            content = text.encode() if isinstance(text, str) else text
            (root / folder / f"{name}.txt").write_bytes(content)
        return root

    return write
