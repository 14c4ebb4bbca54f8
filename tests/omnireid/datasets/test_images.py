"""Images are opened once, faults are named, and good images are kept in the ledger."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omnireid.datasets import DATASETS, images
from omnireid.datasets.check import LoadedSplit
from omnireid.datasets.images import duplicate_images, open_images, unreadable_images
from omnireid.datasets.ledger import Ledger, key_of
from omnireid.records import Record, Split
from omnireid.tasks import TASKS


@pytest.fixture
def paths(tmp_path):
    """Three good images."""
    made = [str(tmp_path / f"{name}.png") for name in "abc"]
    for level, path in enumerate(made):
        Image.new("RGB", (2, 4), (level, 0, 0)).save(path)
    return made


def opened(paths, ledger=None, workers=2):
    return open_images(paths, workers, lambda _: None, ledger)


def reading(**parts):
    split = Split("market1501", **{part: tuple(Record(p, 1, 0) for p in ps) for part, ps in parts.items()})
    return LoadedSplit(DATASETS["market1501"].card, "raw", TASKS["trad"], "", split)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_image_is_opened_and_counted_whatever_the_chunks(paths, workers, monkeypatch):
    monkeypatch.setattr(images, "_CHUNK", 2)
    steps = []
    result = open_images(paths, workers, steps.append)
    assert steps == [2, 1] and result.num_images == 3 and result.failures == ()
    assert len(set(result.contents.values())) == 3


def spoil(path, how, monkeypatch=None):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", path)

    match how:
        case "closed":  # chmod does not keep root out
            whole = Path.read_bytes
            monkeypatch.setattr(Path, "read_bytes", lambda p: refuse() if str(p) == path else whole(p))
            monkeypatch.setattr("builtins.open", refuse)
        case "missing":
            Path(path).unlink()
        case "empty":
            Path(path).write_bytes(b"")
        case "not images":
            Path(path).write_text("not an image at all")
        case "too large":
            Image.new("1", (8000, 5000)).save(path)
        case "damaged":
            data = Path(path).read_bytes()
            Path(path).write_bytes(data[:-24])


@pytest.mark.parametrize("how", [kind[0] for kind in images.KINDS])
def test_each_kind_of_unreadable_image_is_named_with_a_remedy(paths, how, monkeypatch):
    spoil(paths[1], how, monkeypatch)
    (finding,) = unreadable_images("market1501", opened(paths))
    assert finding.message.startswith(f"1 of 3 images cannot be read ({how}): {paths[1]}")
    assert finding.severity == "problem" and finding.fix


def test_a_missing_image_with_another_suffix_is_suggested(paths, tmp_path):
    Path(paths[0]).rename(tmp_path / "a.PNG")
    (finding,) = unreadable_images("market1501", opened(paths))
    assert "did you mean 'a.PNG'?" in finding.message


def test_a_dangling_link_is_distinguished_from_a_missing_file(paths, tmp_path):
    (tmp_path / "d.png").symlink_to("/nowhere/d.png")
    (finding,) = unreadable_images("market1501", opened([*paths, str(tmp_path / "d.png")]))
    assert "(a link to /nowhere/d.png, which does not exist)" in finding.message


def test_a_path_with_backslashes_is_reported(paths, tmp_path):
    (finding,) = unreadable_images("own/shop", opened([*paths, f"{tmp_path}/imgs\\a.png"]))
    assert "(use / instead of \\ between folders)" in finding.message


def test_an_image_is_opened_again_only_if_it_changed(paths, tmp_path, monkeypatch):
    with Ledger(tmp_path / "ledger") as ledger:
        first = opened(paths, ledger)
    Image.new("RGB", (9, 9)).save(paths[2])
    decoded = []
    decode = images.decode_image
    monkeypatch.setattr(
        images, "decode_image", lambda data, name: decoded.append(name) or decode(data, name=name)
    )
    with Ledger(tmp_path / "ledger") as ledger:
        second = opened(paths, ledger)
    assert decoded == [paths[2]]
    assert (first.num_known, second.num_known) == (0, 2)
    assert [second.contents[p] == first.contents[p] for p in paths] == [True, True, False]
    with Ledger(tmp_path / "ledger", afresh=True) as ledger:
        assert opened(paths, ledger).num_known == 0


def test_an_image_that_lost_its_permissions_is_reported(paths, tmp_path, shut):
    with Ledger(tmp_path / "ledger") as ledger:
        opened(paths, ledger)
    shut(Path(paths[1]))
    with Ledger(tmp_path / "ledger") as ledger:
        assert opened(paths, ledger).num_known == 2


def test_a_damaged_image_is_never_kept_in_the_ledger(paths, tmp_path):
    spoil(paths[0], "damaged")
    for _ in range(2):
        with Ledger(tmp_path / "ledger") as ledger:
            assert len(opened(paths, ledger).failures) == 1


def test_an_interrupted_check_keeps_what_is_done(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_CHUNK", 1)

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Ledger(tmp_path / "ledger") as ledger:
        open_images(paths, 1, interrupt, ledger)
    with Ledger(tmp_path / "ledger") as ledger:
        assert opened(paths, ledger).num_known == 1


@pytest.mark.parametrize("cut", [1, 15, 16, 17])
def test_a_truncated_ledger_loses_only_its_last_rows(paths, tmp_path, cut):
    path = tmp_path / "ledger"
    with Ledger(path) as ledger:
        opened(paths, ledger)
    path.write_bytes(path.read_bytes()[:-cut])
    with Ledger(path) as ledger:
        assert opened(paths, ledger).num_known == 3 - -(-cut // 16)
    with Ledger(path) as ledger:
        assert opened(paths, ledger).num_known == 3


def test_a_file_that_is_no_ledger_is_ignored(paths, tmp_path):
    (tmp_path / "ledger").write_bytes(np.arange(8, dtype=np.uint64).tobytes())
    with Ledger(tmp_path / "ledger") as ledger:
        assert ledger.content(2) is None
        ledger.enter(key_of(paths[0]), 5)
    with Ledger(tmp_path / "ledger") as ledger:
        assert ledger.content(key_of(paths[0])) == 5


@pytest.mark.parametrize(
    ("first", "second", "severity"),
    [("train", "query", "problem"), ("train", "gallery", "problem"), ("query", "gallery", "warning")],
)
def test_the_same_bytes_in_two_parts_under_two_names_are_found(paths, first, second, severity):
    Path(paths[1]).write_bytes(Path(paths[0]).read_bytes())
    look = reading(**{first: paths[::2], second: [paths[1]]})
    (finding,) = duplicate_images(look, opened(paths).contents)
    assert finding.severity == severity
    assert (
        f"1 {first} images are in the {second} too under another name, e.g. {paths[0]} and {paths[1]}"
        in finding.message
    )


def test_one_image_in_two_parts_under_one_name_is_no_copy(paths):
    look = reading(query=[paths[0]], gallery=[paths[0], paths[1]])
    assert list(duplicate_images(look, opened(paths).contents)) == []
