"""The examples in the docstrings, and what importing the words may not bring along."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import instructions

MODULES = [module.name for module in pkgutil.iter_modules(instructions.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_hold(name):
    assert doctest.testmod(importlib.import_module(f"instructions.{name}")).failed == 0


def test_the_words_come_without_torch_or_transformers():
    heavy = (
        "import sys, instructions; print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    assert all(hasattr(instructions, name) for name in instructions.__all__)
