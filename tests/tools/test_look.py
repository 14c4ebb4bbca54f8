"""tools.look and tools.export_model from outside: what they write, exit codes, one sentence for bad input."""

import json
import sys

import pytest

from omnireid.datasets import load_split
from tests.irm.retrieval.conftest import tiny_run
from tools import export_model, look
from tools._program import run

__all__ = ["tiny_run"]


@pytest.fixture
def call(monkeypatch, capsys):
    def with_arguments(program, *arguments):
        monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            run(program.main)
        printed = capsys.readouterr()
        return stopped.value.code, printed.out, printed.err

    return with_arguments


@pytest.fixture(scope="module")
def image(tiny_root):
    return load_split(tiny_root, "market1501", "trad").query[0].image


def test_look_draws_a_image(call, tiny_run, image, tmp_path):
    code, out, err = call(
        look, tiny_run, "--image", image, "--task", "cc", "--out", tmp_path / "new/look.png"
    )
    assert (code, err) == (0, "")
    assert "task cc, ignore clothes" in out
    assert (tmp_path / "new/look.png").read_bytes().startswith(b"\x89PNG")


def test_look_writes_a_projector_and_says_that_it_holds_images(call, tiny_run, tiny_root, tmp_path):
    asked = ("--projector", tmp_path / "seen", "--dataset", "market1501", "--limit", 2)
    code, out, _ = call(look, tiny_run, *asked)
    assert code == 0
    assert "4 points and images of people" in out and "tensorboard --logdir" in out
    assert (tmp_path / "seen/projector_config.pbtxt").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "name what to inspect"),
        (("--image", "a.jpg"), "--out is missing"),
        (("--image", "a.jpg", "--out", "a.jpg"), "the name must end in .png"),
        (("--image", "nobody.jpg", "--out", "a.png"), "there is no such file"),
        (("--projector", "seen"), "--dataset is missing"),
        (("--projector", "seen", "--dataset", "market1501", "--limit", 0), "above zero"),
        (("--projector", "seen", "--dataset", "market1501", "--task", "cc"), "has no task 'cc'"),
    ],
)
def test_look_refuses_in_one_sentence(call, tiny_run, arguments, sentence):
    code, _, err = call(look, tiny_run, *arguments)
    assert code == 2
    assert sentence in err and err.count("\n") == 1


def test_export_model_writes_and_reports_the_difference(call, tiny_run, tmp_path):
    asked = ("--view", "cc/ltcc", "--instruction", "ignore clothes", "--format", "pt2")
    code, out, _ = call(export_model, tiny_run, "--out", tmp_path / "served", *asked)
    assert code == 0
    assert "view cc/ltcc, instruction built in" in out and "largest difference" in out
    told = json.loads((tmp_path / "served/export.json").read_text())
    assert (told["instruction"], len(told["model_sha256"])) == ("ignore clothes", 64)
    assert sorted(path.name for path in (tmp_path / "served").iterdir()) == ["export.json", "model.pt2"]


def test_export_model_refuses_in_one_sentence(call, tiny_run, tmp_path):
    code, _, err = call(export_model, tiny_run, "--out", tmp_path / "served", "--view", "cc/nowhere")
    assert code == 2
    assert "no view 'cc/nowhere'" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
