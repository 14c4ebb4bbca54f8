"""Indexing and care from the command line: what is printed, what is refused, what is gone from the files."""

import csv
import json
import shutil
import stat
import subprocess
import sys

import pytest

from instructions.errors import FullError
from irm.retrieval import Gallery, Picture, Question, audit
from irm.retrieval.gallery_store import GalleryStore
from irm.retrieval.info import list_images
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
    assert "there is no pid 1; tools.index list shows all images" in capsys.readouterr().err
    assert program(monkeypatch, "info", "--store", store, "--audit", 5, "--check") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "8 images, 2 people" in told
    assert "erase" in told
    assert "checked: 1 lines of the audit trail" in told


def test_a_model_of_raw_features_is_searched_by_their_cosine(monkeypatch, capsys, tmp_path, tiny_run, people):
    shutil.copytree(tiny_run, tmp_path / "raw")
    config = tmp_path / "raw" / "model" / "config.json"
    told = json.loads(config.read_text())
    told["retrieval"]["normalise"] = False
    config.write_text(json.dumps(told))
    lists = []
    for run_folder in (tiny_run, tmp_path / "raw"):
        store = tmp_path / f"{run_folder.name}-store"
        index = (run_folder, "--images", people / "table.csv", "--store", store, "--views", "trad")
        assert program(monkeypatch, *index) == 0
        assert ("a gallery compares by cosine" in capsys.readouterr().out) == (run_folder.name == "raw")
        assert program(monkeypatch, "info", "--store", store, "--check") == 0
        with Gallery.open(store) as gallery:
            answer = gallery.search(Question(images=(Picture.read(people / "picture_003.jpg"),), top=12))
        lists.append([(hit.image, hit.score) for hit in answer.hits])
    assert lists[0] == lists[1]


@pytest.fixture
def filled(monkeypatch, capsys, tmp_path, tiny_run, people):
    """A store of the table."""
    index = (tiny_run, "--images", people / "table.csv", "--store", tmp_path / "store", "--views", "trad")
    assert program(monkeypatch, *index) == 0
    capsys.readouterr()
    return tmp_path / "store"


def test_images_are_listed_by_person_and_by_the_beginning_of_their_key(monkeypatch, capsys, filled):
    assert program(monkeypatch, "list", "--store", filled) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines(), delimiter="\t"))
    assert [row["key"] for row in rows] == [f"picture_{number:03}.jpg" for number in range(12)]
    facts = ("5", "picture_004.jpg", "2", "0", "1767571200.0", "")
    assert rows[4] == dict(zip(("image", "key", "pid", "camid", "taken", "dataset"), facts, strict=True))
    assert program(monkeypatch, "list", "--store", filled, "--pid", 2, "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["key"] for one in told] == [f"picture_{number:03}.jpg" for number in (1, 4, 7, 10)]
    assert program(monkeypatch, "list", "--store", filled, "--key", "picture_01", "--json") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert program(monkeypatch, "list", "--store", filled, "--key", "picture%", "--json") == 0
    assert capsys.readouterr().out == ""


def test_an_erasure_names_what_it_did_not_find(monkeypatch, capsys, filled):
    asked = (
        "erase",
        "--store",
        filled,
        "--pid",
        2,
        77,
        "--key",
        "picture_000.jpg",
        "picture_0.jpg",
        "--json",
    )
    assert program(monkeypatch, *asked) == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["images"] == 5
    assert told.err == "warning: not found: pid 77, key picture_0.jpg\n"


def test_who_has_expired_is_not_listed(filled):
    with GalleryStore.open(filled) as kept:
        with kept.catalog.writing() as connection:
            connection.execute("UPDATE images SET expires = 10 WHERE id = 3")
        assert [image.id for image in list_images(kept.catalog, 9.0)] == list(range(1, 13))
        assert [image.id for image in list_images(kept.catalog, 11.0)] == [1, 2, *range(4, 13)]


def test_a_store_is_looked_after_without_the_libraries_of_models():
    code = "import sys, irm.retrieval.gallery_store as _; print({'timm', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_a_copy_made_while_others_write_is_a_whole_store(monkeypatch, capsys, tmp_path, filled):
    with GalleryStore.open(filled) as kept:
        audit.write(kept.catalog, [audit.Line("test", "look", {})], 0.0)  # stands in the log, not in the file
        assert program(monkeypatch, "copy", "--store", filled, "--out", tmp_path / "copy") == 0
        kept.erase(images=[1])
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").iterdir()}
    assert files == {"gallery.db": 0o600, "audit.db": 0o600}
    capsys.readouterr()
    assert program(monkeypatch, "info", "--store", tmp_path / "copy", "--check", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["images"], told["checked_audit_lines"]) == (12, 1)
    assert program(monkeypatch, "copy", "--store", filled, "--out", tmp_path / "copy") == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_copy_that_breaks_off_leaves_nothing(monkeypatch, capsys, tmp_path, filled):
    def full(*_):
        raise FullError("the disk is full")

    monkeypatch.setattr("irm.retrieval.catalog.Database.copy_to", full)
    assert program(monkeypatch, "copy", "--store", filled, "--out", tmp_path / "in" / "copy") == 2
    assert capsys.readouterr().err == "error: the disk is full\n"
    assert list((tmp_path / "in").iterdir()) == []


def test_a_head_that_was_noted_is_compared(monkeypatch, capsys, filled):
    with GalleryStore.open(filled) as kept:
        audit.write(kept.catalog, [audit.Line("test", "look", {})] * 2, 0.0)
    assert program(monkeypatch, "info", "--store", filled, "--check", "--json") == 0
    head = json.loads(capsys.readouterr().out)["audit_head"]
    assert head.startswith("2:")
    assert program(monkeypatch, "info", "--store", filled, "--head", head) == 0
    assert f"audit head: {head}" in capsys.readouterr().out
    assert program(monkeypatch, "info", "--store", filled, "--head", "2:00") == 2
    assert "has been altered at or before line 2" in capsys.readouterr().err
    assert program(monkeypatch, "info", "--store", filled, "--head", "3:00") == 2
    assert "ends at line 2 but once had 3" in capsys.readouterr().err


def test_every_picture_left_out_is_in_the_table_of_them(monkeypatch, capsys, tmp_path, tiny_run, people):
    pictures, table = tmp_path / "pictures", tmp_path / "left_out.csv"
    shutil.copytree(people, pictures)
    for number in range(12):
        (pictures / f"damaged, {number:02}.jpg").write_bytes(b"no picture")
    asked = (tiny_run, "--images", pictures, "--store", tmp_path / "store", "--views", "trad")
    (pictures / ".thumbnails").mkdir()
    shutil.copy(pictures / "picture_000.jpg", pictures / ".thumbnails")
    assert program(monkeypatch, *asked, "--left-out", table) == 3
    told = capsys.readouterr().out
    assert "images skipped in hidden files and folders (.*, @eaDir, __MACOSX): 1\n" in told
    assert "12 added, 0 updated, 0 unchanged, 12 could not be read" in told
    assert told.count("left out: damaged") == 10 and "left out: 2 more; --left-out FILE lists all" in told
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["key"] for row in rows] == [f"damaged, {number:02}.jpg" for number in range(12)]
    assert all("not an image" in row["reason"] for row in rows)


def test_who_interrupts_is_told_how_to_go_on(monkeypatch, capsys, tmp_path, tiny_run, people):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("irm.retrieval.indexing.Indexer._embed", pressed)
    index = (tiny_run, "--images", people, "--store", tmp_path / "store", "--views", "trad")
    assert program(monkeypatch, *index) == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to continue\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["RUN"], "--store"),
        (["RUN", "--store", "STORE"], "specify what to index"),
        (["RUN", "--store", "STORE", "--images", "/nowhere"], "/nowhere is not a folder"),
        (["RUN", "--store", "STORE", "--images", "PEOPLE", "--views", "tradd"], "did you mean 'trad'?"),
        (["RUN", "--store", "STORE", "--images", "PEOPLE", "--batch-size", "0"], "--batch-size is 0"),
        (["RUN", "--store", "PEOPLE", "--images", "PEOPLE"], "holds files but no gallery store; name a new"),
        (["RUN", "--store", "STORE", "--data", "PEOPLE", "--split", "market1501"], "write TASK/DATASET"),
        (
            ["CHECKPOINT", "--store", "STORE", "--images", "PEOPLE"],
            "is a checkpoint of training; give its run",
        ),
        (["erase", "--store", "STORE"], "specify what to erase"),
        (["info", "--store", "STORE"], "is not a gallery store"),
        (["rebuild", "--store", "STORE"], "specify the engine to fill"),
        (
            ["erase", "--store", "STORE", "--pid", "9" * 20],
            f"--pid: the number is '{'9' * 20}', which is out of range",
        ),
        (["earse", "--store", "STORE"], "did you mean 'erase'?"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    monkeypatch, capsys, tmp_path, tiny_run, people, arguments, complaint
):
    checkpoint = tmp_path / "step-00000001"
    checkpoint.mkdir()
    for name in ("state.json", "model.safetensors"):
        (checkpoint / name).touch()
    named = {"RUN": tiny_run, "STORE": tmp_path / "store", "PEOPLE": people, "CHECKPOINT": checkpoint}
    assert program(monkeypatch, *(named.get(word, word) for word in arguments)) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
