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
