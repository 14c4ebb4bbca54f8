"""The leakage program: copies found by look in a table, in JSON and side by side, and what it refuses."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools._program import run
from tools.check_leakage import main


def program(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tools.check_leakage", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


@pytest.fixture
def data(tmp_path):
    """Market-1501 and LTCC, each of a few images; one LTCC training image copies a Market query."""

    def drawn(seed):
        patches = np.random.default_rng(seed).integers(0, 255, (9, 5, 3), dtype=np.uint8)
        return Image.fromarray(patches).resize((64, 128), Image.Resampling.BICUBIC)

    images = {
        "market/bounding_box_train/0002_c1s1_000451_03.jpg": 1,
        "market/bounding_box_test/0003_c2s1_000451_03.jpg": 2,
        "market/query/0003_c1s1_000001_00.jpg": 3,
        "LTCC_ReID/train/001_1_c1_000001.png": 3,
        "LTCC_ReID/train/002_1_c1_000002.png": 4,
    }
    for name, seed in images.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn(seed).save(path)
    return tmp_path / "data"


def test_a_copy_is_told_and_shown(monkeypatch, capsys, tmp_path, data):
    out = ("--json", tmp_path / "out/r.json", "--picture", tmp_path / "out/pairs.jpg")
    asked = ("--data", data, "--train", "ltcc", "--test", "market1501")
    assert program(monkeypatch, *asked, *out) == 0
    told = capsys.readouterr().out
    assert "none of 2 training images shows a test person" in told and "no sheet was written" in told
    assert program(monkeypatch, *asked, "--look-at-all", *out) == 0
    assert "1 people dropped, also found in a test set (same picture by look" in capsys.readouterr().out
    (leak,) = json.loads((tmp_path / "out/r.json").read_text())["leaks"]
    assert Path(leak["image"]).name == "001_1_c1_000001.png"
    assert Path(leak["test_image"]).name == "0003_c1s1_000001_00.jpg"
    image = np.asarray(Image.open(io.BytesIO((tmp_path / "out/pairs.jpg").read_bytes())).convert("RGB"))
    left, right = image[12:204, 12:108].astype(int), image[12:204, 108:204].astype(int)
    assert np.abs(left - right).mean() < 8
    assert (data / ".fingerprints").is_dir()


@pytest.mark.parametrize(
    ("train", "complaint"), [("ltc", "did you mean 'ltcc'"), ("prcc", "PRCC"), ("ltcc:x", "no variant 'x'")]
)
def test_a_mistake_is_one_sentence_and_exit_code_2(monkeypatch, capsys, data, train, complaint):
    assert program(monkeypatch, "--data", data, "--train", train, "--test", "market1501") == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1
