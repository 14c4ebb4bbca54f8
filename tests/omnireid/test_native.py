"""C code is compiled once; without a compiler callers fall back to Python."""

import ctypes

import numpy as np
import pytest

from omnireid import native
from omnireid.native import address, aligned, compiled


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A source in a folder of its own, and a cache that begins empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "add.c"
    path.write_text("int add(int a, int b) { return a + b; }\n")
    yield path
    compiled.cache_clear()


def test_a_library_is_built_once_and_again_when_its_source_changes(source, tmp_path):
    library = compiled(source)
    if library is None:
        pytest.skip("no C compiler here")
    assert library.add(2, 3) == 5
    (built,) = (tmp_path / "cache" / "instruct-reid").iterdir()
    written = built.stat().st_mtime_ns
    compiled.cache_clear()
    assert compiled(source).add(2, 3) == 5
    assert built.stat().st_mtime_ns == written
    source.write_text("int add(int a, int b) { return a + b + 1; }\n")
    compiled.cache_clear()
    assert compiled(source).add(2, 3) == 6


@pytest.mark.parametrize(
    "cause", ["the wish of the user", "no compiler", "no place", "a source that does not compile"]
)
def test_without_a_compiler_there_is_no_library(cause, source, tmp_path, monkeypatch):
    if cause == "the wish of the user":
        monkeypatch.setenv("INSTRUCT_REID_NATIVE", "0")
    elif cause == "no compiler":
        monkeypatch.setenv("PATH", "/nowhere")
    elif cause == "no place":
        (tmp_path / "file").write_text("no folder")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    else:
        source.write_text("int add(")
    assert compiled(source) is None


def test_a_half_built_library_is_never_loaded(source, monkeypatch):
    real = native.subprocess.run

    def interrupted(command, **options):
        real(command, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(native.subprocess, "run", interrupted)
    if native.shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    with pytest.raises(KeyboardInterrupt):
        compiled(source)
    assert not list(native._folder().rglob("*"))


@pytest.mark.parametrize("shape", [(0, 3), (5, 7), (64,)])
def test_aligned_memory_starts_at_a_cache_line(shape):
    for _ in range(4):
        array = aligned(shape, np.int16)
        assert array.shape == shape
        assert array.ctypes.data % native.ALIGNMENT == 0 or not array.size
        array[...] = 3
        assert isinstance(address(array), ctypes.c_void_p)
