"""Indexing and care from the command line: what is printed, what is refused, what is gone from the files."""

import json
import shutil
import sys

import pytest

from tools._program import run
from tools.index import main


def program(monkeypatch, *arguments):
    """Exit code of the program, run in this process."""
    monkeypatch.setattr(sys, "argv", ["tools.index", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


@pytest.fixture(scope="module")
def people(tmp_path_factory, tiny_items):
    """A table of twelve pictures of three people."""
    folder = tmp_path_factory.mktemp("people")
    lines = ["path,pid,camid,time"]
    for number, item in enumerate(tiny_items[:12]):
        shutil.copy(item.path, folder / f"picture_{number:03}.jpg")
        lines.append(f"picture_{number:03}.jpg,{number % 3 + 1},{number % 2},2026-01-{number + 1:02}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_gallery_is_made_told_about_and_nobody_is_left_after_erasing(
    monkeypatch, capsys, tmp_path, tiny_run, people
):
    store = tmp_path / "store"
    index = (tiny_run, "--images", people / "table.csv", "--store", store, "--views", "trad,plain")
    assert program(monkeypatch, *index) == 0
    assert "12 added, 0 updated, 0 unchanged" in capsys.readouterr().out
    assert program(monkeypatch, *index) == 0
    assert "0 added, 0 updated, 12 unchanged" in capsys.readouterr().out
    assert program(monkeypatch, "export", "--store", store, "--image", 1, "--out", tmp_path / "held") == 0
    held = json.loads((tmp_path / "held" / "image_1.json").read_text())
    assert held["pid"] == 1
    assert set(held["vectors"]) == {"trad", "plain"}
    capsys.readouterr()
    assert program(monkeypatch, "erase", "--store", store, "--pid", 1, "--json") == 0
    receipt = json.loads(capsys.readouterr().out)
    assert (receipt["images"], receipt["found"]) == (4, 0)
    files = b"".join(path.read_bytes() for path in store.iterdir())
    assert b"picture_000.jpg" not in files
    assert b"picture_001.jpg" in files
    assert program(monkeypatch, "erase", "--store", store, "--pid", 1) == 2
    assert "nothing to erase" in capsys.readouterr().err
    assert program(monkeypatch, "info", "--store", store, "--audit", 5, "--check") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "8 images, 2 people" in told
    assert "erase" in told
    assert "checked: 1 lines of the audit" in told


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["RUN"], "--store"),
        (["RUN", "--store", "STORE"], "say what to index"),
        (["RUN", "--store", "STORE", "--images", "/nowhere"], "/nowhere is not a folder"),
        (["RUN", "--store", "STORE", "--images", "PEOPLE", "--views", "tradd"], "did you mean 'trad'?"),
        (["RUN", "--store", "STORE", "--images", "PEOPLE", "--batch-size", "0"], "--batch-size is 0"),
        (["erase", "--store", "STORE"], "say whom to erase"),
        (["info", "--store", "STORE"], "is no gallery store"),
        (["rebuild", "--store", "STORE"], "say which store to fill"),
        (["erase", "--store", "STORE", "--pid", "9" * 20], f"--pid: {'9' * 20} is too large"),
        (["earse", "--store", "STORE"], "did you mean 'erase'?"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    monkeypatch, capsys, tmp_path, tiny_run, people, arguments, complaint
):
    named = {"RUN": tiny_run, "STORE": tmp_path / "store", "PEOPLE": people}
    assert program(monkeypatch, *(named.get(word, word) for word in arguments)) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
