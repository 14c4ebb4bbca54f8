"""tools.convert_weights from outside: folders that load, exit codes, one sentence for what does not fit."""

import sys

import pytest
import torch

from irm import load_backbone
from irm.models import SentenceTokenizer
from irm.models.weights.convert import KINDS
from tests import checkpoints
from tools import convert_weights
from tools._program import run

SMALL = {"dim": 64, "depth": 2}


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["convert_weights", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        run(convert_weights.main)
    printed = capsys.readouterr()
    return stopped.value.code, printed.out, printed.err


@pytest.fixture
def hap(tmp_path):
    path = tmp_path / "hap.pth"
    shapes = checkpoints.hap(**SMALL, inner=32, decoder_depth=1)
    torch.save({"epoch": 399, "model": checkpoints.filled(shapes), "scaler": {}}, path)
    return path


def test_it_writes_a_backbone_and_says_what_became_of_every_tensor(monkeypatch, capsys, tmp_path, hap):
    code, out, _ = call(monkeypatch, capsys, "--kind", "hap", hap, "--out", tmp_path / "weights" / "hap")
    assert code == 0
    assert "30 tensors used" in out and "dropped: decoder of the masked pretraining" in out
    assert load_backbone(tmp_path / "weights" / "hap", (384, 192)).patch_embed.grid_size == (24, 12)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--kind", "happ"), "--kind 'happ' is unknown (did you mean 'hap'?)"),
        (("--kind", "albef"), "has no"),
        (("--kind", "pass"), "has no 'part_token1'"),
        (("--kind", "timm"), "name the backbone it corresponds to, e.g. vit_base (--backbone)"),
        (("--kind", "timm", "--backbone", "vit_base"), "(height and width) that they are for (--image-size)"),
        (("--kind", "hap", "--sha256", "00"), "not the expected file"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(
    monkeypatch, capsys, tmp_path, hap, arguments, sentence
):
    code, _, err = call(monkeypatch, capsys, *arguments, hap, "--out", tmp_path / "out")
    assert code == 2
    assert sentence in err and len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["hap.pth"]


def test_a_text_encoder_of_another_vocabulary_asks_for_its_tokenizer(monkeypatch, capsys, tmp_path):
    sizes = {"dim": 64, "depth": 2, "joint": 16, "queue": 8, "positions": 5, "vocab": 40}
    small = checkpoints.filled(checkpoints.albef(**sizes, crossing=range(1, 2)))
    torch.save({"model": small}, tmp_path / "ALBEF.pth")
    arguments = ("--kind", "albef", tmp_path / "ALBEF.pth", "--out", tmp_path / "out")
    code, _, err = call(monkeypatch, capsys, *arguments)
    assert code == 2 and err.endswith("(--tokenizer)\n"), err
    SentenceTokenizer.characters().save(tmp_path / "letters")
    code, _, err = call(monkeypatch, capsys, *arguments, "--tokenizer", tmp_path / "letters")
    assert code == 2 and err.endswith("give the tokenizer that it was trained with (--tokenizer)\n")


def test_a_folder_is_never_overwritten_and_a_hub_name_needs_its_commit(monkeypatch, capsys, tmp_path, hap):
    code, _, err = call(monkeypatch, capsys, "--kind", "hap", hap, "--out", tmp_path)
    assert code == 2 and "already exists" in err
    code, _, err = call(monkeypatch, capsys, "--kind", "blip", "lab/blip", "--out", tmp_path / "out")
    assert code == 2 and "write owner/name@COMMIT" in err


def test_help_names_every_kind(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "--help")
    assert code == 0
    assert [kind for kind in KINDS if kind not in out] == []
