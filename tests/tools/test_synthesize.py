"""tools.synthesize from outside: exit codes, one sentence for bad input, and a killed run that goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import synthesize
from tools._program import run

ROOT = Path(__file__).parents[2]


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["synthesize", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        run(synthesize.main)
    printed = capsys.readouterr()
    return stopped.value.code, printed.out, printed.err


def tree(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_writes_a_tree_with_a_contact_sheet_and_reuses_it(monkeypatch, capsys, tmp_path):
    arguments = ("--out", tmp_path, "--preset", "tiny", "--datasets", "synth_pedes,cuhk03", "--workers", "1")
    code, out, _ = call(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "40 images drawn" in out
    assert (tmp_path / "contact_sheet.jpg").exists()
    assert (tmp_path / "synthetic.json").exists()
    code, out, _ = call(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "nothing to draw: all 152 image files of preset tiny, seed 0 already exist" in out


def test_help_shows_examples(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "--help")
    assert code == 0
    assert "python -m tools.synthesize --out data/demo --preset demo" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--out", "{tmp}/new", "--preset", "tinny"), "no preset is called 'tinny'; did you mean 'tiny'?"),
        (("--out", "{tmp}/new", "--preset", "tiny", "--seed", "-4"), "the seed is -4; it must be 0 or more"),
        (("--out", "{tmp}/new", "--preset", "tiny", "--seed", "x"), "invalid int value: 'x'"),
        (
            ("--out", "{tmp}/new", "--preset", "tiny", "--datasets", "market"),
            "no data set is called 'market'",
        ),
        (("--out", "{tmp}/new", "--preset", "tiny", "--workers", "0"), "the number of workers is 0"),
        (("--preset", "tiny"), "the following arguments are required: --out"),
        (("--out", "{tmp}/file/tree", "--preset", "tiny"), "cannot be written"),
        (("--out", "{tmp}/foreign", "--preset", "tiny"), "not empty and was not written by tools.synthesize"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_two(monkeypatch, capsys, tmp_path, arguments, sentence):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("work")
    code, out, err = call(monkeypatch, capsys, *(part.replace("{tmp}", str(tmp_path)) for part in arguments))
    assert code == 2
    assert out == ""
    assert sentence in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert tree(tmp_path) == {"file": b"a file", "foreign/thesis.txt": b"work"}


def test_a_killed_run_goes_on_and_ends_in_the_same_tree(monkeypatch, capsys, tmp_path):
    arguments = ("--preset", "tiny", "--datasets", "synth_pedes,market1501", "--workers", "1")
    command = [sys.executable, "-m", "tools.synthesize", "--out", str(tmp_path / "killed"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **quiet) as process:
        deadline = time.monotonic() + 240  # a busy machine takes long to import
        while sum(1 for _ in (tmp_path / "killed").rglob("*.jpg")) < 20 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    num_left = len(tree(tmp_path / "killed"))
    assert call(monkeypatch, capsys, "--out", tmp_path / "killed", *arguments)[0] == 0
    assert call(monkeypatch, capsys, "--out", tmp_path / "whole", *arguments)[0] == 0
    killed, whole = tree(tmp_path / "killed"), tree(tmp_path / "whole")
    assert 20 <= num_left < len(whole)
    assert killed == whole
