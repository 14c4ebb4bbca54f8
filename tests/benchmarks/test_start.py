"""Every benchmark starts: what it imports is there."""

import importlib
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_imports(path):
    importlib.import_module(f"benchmarks.{path.stem}")
