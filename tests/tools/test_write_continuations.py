"""A second call of the caption program: nothing is compared twice, and nothing is replaced in silence."""

import json
import os
import shutil
import sys

import pytest

from omnireid.datasets import load_split
from tools import write_continuations
from tools._program import run


@pytest.fixture
def ask(monkeypatch, capsys, tmp_path, tiny_root):
    """The program on MSMT17, one training image of which RSTPReid describes under a new name."""
    shutil.copytree(tiny_root / "msmt", tmp_path / "msmt")
    image = tmp_path / "RSTPReid" / "imgs" / "renamed.jpg"
    image.parent.mkdir(parents=True)
    shutil.copy(load_split(tiny_root, "msmt17", "trad").train[0].image, image)
    _describe(tmp_path, "own words")

    def call(*more, out="words"):
        given = ("--data", tmp_path, "--dataset", "msmt17", "--captions", "rstpreid", "--out", tmp_path / out)
        monkeypatch.setattr(sys, "argv", ["write_continuations", *map(str, (*given, *more))])
        with pytest.raises(SystemExit) as ended:
            run(write_continuations.main)
        told = capsys.readouterr()
        return ended.value.code, told.out + told.err

    return call


def _describe(root, words):
    entry = {"id": 1, "img_path": "renamed.jpg", "captions": [words], "split": "train"}
    (root / "RSTPReid" / "data_captions.json").write_text(json.dumps([entry]))


def test_images_are_compared_once_and_again_when_they_change(ask, tmp_path):
    code, first = ask()
    assert code == 0 and "comparing images" in first
    path, image = tmp_path / "words" / "captions.jsonl", tmp_path / "RSTPReid" / "imgs" / "renamed.jpg"
    written, stat = path.read_bytes(), image.stat()
    image.write_bytes(bytes(stat.st_size))  # no image any more, but of the same size and time
    os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    code, second = ask()
    assert code == 0 and second.endswith("captions.jsonl (as before)\n")
    assert second.splitlines()[:-1] == [line for line in first.splitlines() if " have captions" in line]
    os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    code, third = ask()
    assert code == 2 and "renamed.jpg" in third
    assert path.read_bytes() == written


def test_captions_that_changed_are_written_anew_and_other_settings_are_refused(ask, tmp_path):
    assert ask()[0] == 0
    _describe(tmp_path, "other words")
    code, told = ask()
    assert code == 0 and "captions.jsonl (rewritten, because images or captions changed)" in told
    path = tmp_path / "words" / "captions.jsonl"
    written = path.read_bytes()
    assert b"other words" in written
    code, told = ask("--reach", "own")
    assert code == 2 and told.startswith("error: ") and told.count("\n") == 1
    assert "for msmt17, --captions rstpreid, --reach same_camera, not for msmt17" in told
    assert path.read_bytes() == written


def test_captions_of_unknown_origin_stay_unless_they_are_the_same(ask, tmp_path):
    assert ask()[0] == 0
    ledger = tmp_path / "words" / "captions.origin.json"
    ledger.unlink()
    code, told = ask()
    assert code == 0 and "rewritten" not in told and ledger.is_file()
    ledger.unlink()
    path = tmp_path / "words" / "captions.jsonl"
    path.write_text(path.read_text().replace("own words", "by hand"))
    code, told = ask()
    assert code == 2 and "captions.jsonl holds other captions" in told
    assert "by hand" in path.read_text() and not ledger.exists()


def test_a_file_in_place_of_the_folder_is_one_sentence(ask, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in ("file", "file/words"):
        code, told = ask(out=out)
        assert code == 2
        assert told == f"error: {tmp_path / 'file'} is a file, not a folder; name another\n"
