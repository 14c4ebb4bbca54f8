"""Every benchmark and example starts: what it imports is there."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(path for folder in ("benchmarks", "examples") for path in (ROOT / folder).glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_imports(path):
    importlib.import_module(f"{path.parent.name}.{path.stem}")
