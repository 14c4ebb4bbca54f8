"""What all programs share at their edges."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from instructions.errors import InputError
from tools._program import refuse_unwritable

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(path.stem for path in (ROOT / "tools").glob("[!_]*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_mistyped_option_is_one_sentence_with_exit_code_2(program):
    found = subprocess.run(
        [sys.executable, "-m", f"tools.{program}", "--nonsense"], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert found.stderr.endswith("; --help shows examples\n")
    assert found.stderr.count("\n") == 1


def test_a_reader_that_has_had_enough_is_no_error():
    code = "from tools._program import run\nrun(lambda: [print('x' * 99) for _ in range(9999)])"
    program = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout.readline() == b"x" * 99 + b"\n"
    program.stdout.close()
    assert (program.wait(), program.stderr.read()) == (141, b"")
    program.stderr.close()


def test_the_bars_of_libraries_do_not_fill_a_log(tmp_path):
    """Saving and loading a model by transformers draws one on a terminal."""
    code = (
        "from tools._program import run\n"
        "def main():\n"
        "    from irm.mllm.parts import load_tower\n"
        f"    load_tower('tiny').save_pretrained({str(tmp_path)!r})\n"
        f"    load_tower({str(tmp_path)!r})\n"
        "run(main)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_a_pipe_may_be_written_to_where_a_file_may_not(tmp_path, monkeypatch):
    """As /dev/stdout may by anybody, though nobody but root may put a file into /dev."""
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    refuse_unwritable(tmp_path / "pipe")
    with pytest.raises(InputError, match="no permission to write"):
        refuse_unwritable(tmp_path / "file")
