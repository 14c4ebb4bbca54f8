"""The whole of MLLMReID on drawn people, small: the exported tower knows strangers better than it did."""

import importlib.util
import sys
from pathlib import Path

import pytest
from rich.console import Console

PATH = Path(__file__).parents[2] / "examples" / "pretrain_and_plug_in.py"


@pytest.mark.slow
def test_the_exported_tower_finds_strangers_better_than_before(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("pretrain_and_plug_in", PATH)
    example = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, example)
    spec.loader.exec_module(example)
    # People and seed on which no setting was ever chosen.
    outcome = example.run_chain(tmp_path, seed=101, overrides=["seed=101"], console=Console(quiet=True))
    assert outcome.exported > 2 * outcome.untrained
    assert set(outcome.irm) == {"trad", "vi"}
    assert all(0 < score < 1 for score in outcome.irm.values())
