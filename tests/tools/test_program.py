"""What all programs share at their edges."""

import subprocess
import sys
from pathlib import Path

import pytest

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
