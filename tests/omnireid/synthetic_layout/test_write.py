"""A tree has the same bytes for any number of workers and interruptions; other folders are not touched."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from instructions.errors import InputError
from omnireid.synthetic import write
from omnireid.synthetic.contact_sheet import write_contact_sheet
from omnireid.synthetic.manifest import FILE_NAME
from omnireid.synthetic.write import write_omnireid


def tree(root, *folders):
    """Files below some folders of a tree, or all of them with the manifest."""
    paths = (
        root.rglob("*")
        if not folders
        else (path for folder in folders for path in (root / folder).rglob("*"))
    )
    return {str(path.relative_to(root)): path.read_bytes() for path in paths if path.is_file()}


@pytest.fixture(scope="module")
def whole(crumb, tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    written = write_omnireid(root, crumb, seed=2, workers=1)
    return root, written


def test_every_planned_file_is_there_and_no_other(whole):
    root, written = whole
    planned = {file.path for row in written for image in row.plan.images for file in image.files}
    planned |= {path for row in written for path in row.plan.texts}
    assert set(tree(root)) == planned | {FILE_NAME}


def test_every_image_opens_in_the_size_of_the_preset(whole):
    root, written = whole
    for row in written:
        for image in row.plan.images:
            for file in image.files:
                with Image.open(root / file.path) as image:
                    image.load()
                    person = file.view in ("whole", "loose", "cut")
                    assert image.size == ((16, 32) if person else (16, 16)), file
                    assert image.mode == "RGB"


def test_the_overlap_is_the_same_bytes(whole):
    root, _ = whole
    overlaps = json.loads((root / FILE_NAME).read_text())["overlaps"]["cuhk_pedes"]
    assert overlaps
    for copy, original in overlaps.items():
        assert (root / copy).read_bytes() == (root / original).read_bytes()


def test_two_processes_write_the_same_bytes_as_one(whole, crumb, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_WORTH_WORKERS", 0)
    some = ["market1501", "llcm", "cocas_real2"]
    write_omnireid(tmp_path, crumb, seed=2, workers=2, datasets=some)
    assert tree(tmp_path, "market", "llcm", "real2") == tree(whole[0], "market", "llcm", "real2")


def test_another_seed_writes_other_images_under_the_same_rules(whole, crumb, tmp_path):
    write_omnireid(tmp_path, crumb, seed=3, workers=1, datasets=["market1501"])
    images = {path: content for path, content in tree(tmp_path).items() if path.endswith(".jpg")}
    assert images
    assert not set(images.values()) & set(tree(whole[0]).values())


class StoppedError(Exception):
    pass


def test_an_interrupted_run_resumes_to_the_same_tree(whole, crumb, tmp_path):
    def stop_soon(progress):
        if progress.done > 15:
            raise StoppedError

    some = ["market1501", "prcc"]
    with pytest.raises(StoppedError):
        write_omnireid(tmp_path, crumb, seed=2, workers=1, progress=stop_soon, datasets=some)
    assert not json.loads((tmp_path / FILE_NAME).read_text())["complete"]
    half = tmp_path / "market" / "Market-1501" / "query"
    victim = sorted(half.iterdir())[0]
    victim.rename(victim.with_name(f".{victim.name}.part"))  # what a kill in the middle of a file leaves
    emptied = sorted(half.iterdir())[-1]
    emptied.write_bytes(b"")  # what a power cut leaves
    written = write_omnireid(tmp_path, crumb, seed=2, workers=1, datasets=some)
    assert sum(row.num_reused for row in written) > 5
    assert tree(tmp_path, "market", "prcc") == tree(whole[0], "market", "prcc")


def test_a_second_run_draws_nothing(whole, crumb):
    root, first = whole
    before = {path: (root / path).stat().st_mtime_ns for path in tree(root)}
    second = write_omnireid(root, crumb, seed=2, workers=1)
    assert sum(row.num_drawn for row in second) == 0
    assert [row.num_reused for row in second] == [row.num_files for row in first]
    assert before == {path: (root / path).stat().st_mtime_ns for path in tree(root)}


def test_data_sets_may_be_added_one_after_the_other(whole, crumb, tmp_path):
    for name in ("synth_pedes", "cuhk_pedes"):
        write_omnireid(tmp_path / "one by one", crumb, seed=2, workers=1, datasets=[name])
    write_omnireid(tmp_path / "at once", crumb, seed=2, workers=1, datasets=["cuhk_pedes", "synth_pedes"])
    assert tree(tmp_path / "one by one") == tree(tmp_path / "at once")
    assert tree(tmp_path / "at once", "PLIP") == tree(whole[0], "PLIP")


def test_a_folder_of_another_preset_or_seed_is_refused(whole, crumb):
    root, _ = whole
    before = tree(root)
    with pytest.raises(InputError, match=r"holds preset crumb, seed 2.*not preset crumb, seed 9"):
        write_omnireid(root, crumb, seed=9)
    with pytest.raises(
        InputError, match=r"holds preset crumb, .* fingerprint \w{16}, not fingerprint \w{16};"
    ):
        write_omnireid(root, replace(crumb, clothes_size=32), seed=2)
    assert tree(root) == before


def test_a_foreign_folder_is_refused_and_left_alone(crumb, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(InputError, match="not empty and was not written by"):
        write_omnireid(tmp_path, crumb)
    assert tree(tmp_path) == {"thesis.txt": b"three years of work"}


def test_a_broken_manifest_is_refused(crumb, tmp_path):
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(InputError, match="not a manifest that this version understands"):
        write_omnireid(tmp_path, crumb)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"seed": -1}, "the seed is -1"),
        ({"workers": 0}, "the number of workers is 0"),
        ({"datasets": ["market"]}, "no data set is called 'market'; known are market1501"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(crumb, tmp_path, wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        write_omnireid(tmp_path / "new", crumb, **wrong)
    assert not (tmp_path / "new").exists()


def test_a_folder_below_a_file_is_refused(crumb, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_omnireid(tmp_path / "file" / "tree", crumb)


def test_two_runs_in_one_folder_are_refused(crumb, tmp_path):
    def second(_):
        write_omnireid(tmp_path, crumb, workers=1)

    with pytest.raises(InputError, match="another run is writing"):
        write_omnireid(tmp_path, crumb, workers=1, progress=second)


def test_the_contact_sheet_shows_what_is_there(whole, crumb, tmp_path):
    root, _ = whole
    path = write_contact_sheet(root)
    with Image.open(path) as sheet:
        assert sheet.width > 1000
        full = sheet.height
    path.unlink()
    write_omnireid(tmp_path, crumb, seed=2, workers=1, datasets=["llcm"])
    with Image.open(write_contact_sheet(tmp_path)) as sheet:
        assert sheet.height < full / 2
    assert write_contact_sheet(tmp_path / "llcm") is None
