"""Lists written from the raw trees equal the official lists."""

from collections import Counter
from pathlib import Path

import pytest

from instructions.errors import InputError
from omnireid.datasets import load_split
from omnireid.datasets.list_table import LISTS
from omnireid.datasets.list_writer import write_lists
from omnireid.synthetic.layouts import LAYOUTS
from omnireid.synthetic.plan import SyntheticSpec
from omnireid.synthetic.presets import PRESETS

RAW = ("market1501", "msmt17", "cuhk03", "ltcc", "prcc", "vc_clothes", "llcm", "cuhk_pedes", "synth_pedes")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The drawn trees with their official lists; images as empty files."""
    out = tmp_path_factory.mktemp("official")
    for name in RAW:
        plan = LAYOUTS[name](SyntheticSpec(PRESETS["tiny"], 0))
        contents = {file.path: b"" for image in plan.images for file in image.files} | plan.texts
        for path, content in contents.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
    return out


@pytest.fixture(scope="module")
def ours(root, tmp_path_factory):
    """Lists of ours in a data root of their own."""
    out = tmp_path_factory.mktemp("ours")
    for name in RAW:
        write_lists(root, out, name)
    return out


def said(split, part, *, people):
    """Who is where in which image; images by name, and people only where lists number them alike."""
    return Counter(
        (r.image.rpartition("/")[2], r.pid if people else None, r.camid, r.modality, r.captions)
        for r in getattr(split, part)
    )


@pytest.mark.parametrize(
    ("name", "task", "variant"),
    [
        (name, task, variant)
        for (name, task), names in LISTS.items()
        if name in RAW and (name, task) != ("cuhk_pedes", "t2i")
        for variant in names.test or (None,)
    ],
)
def test_what_is_written_equals_what_is_official(root, ours, name, task, variant):
    official = load_split(root, name, task, variant or None, "lists")
    written = load_split(ours, name, task, variant or None, "lists")
    for part in ("train", "query", "gallery"):
        people = name != "msmt17" and part != "train"
        assert said(official, part, people=people) == said(written, part, people=people), part


def test_captions_become_keys_and_keys_captions_again(root, ours):
    raw, written = load_split(root, "cuhk_pedes", "t2i", source="raw"), load_split(ours, "cuhk_pedes", "t2i")
    for part in ("train", "query", "gallery"):
        expected = Counter((r.image.rpartition("/")[2], r.captions) for r in getattr(raw, part))
        assert Counter((r.image.rpartition("/")[2], r.captions) for r in getattr(written, part)) == expected


def test_paths_lead_to_the_images_from_wherever_the_lists_are(ours):
    split = load_split(ours, "ltcc", "ctcc")
    assert all(Path(r.image).is_file() and Path(r.clothes).is_file() for r in split.train)


def test_lists_that_are_there_stay_unless_they_may_be_replaced(root):
    with pytest.raises(InputError, match=r"train\.txt already exists; use --replace"):
        write_lists(root, root, "market1501")


def test_lists_that_no_raw_layout_can_give_are_reported(make, tmp_path):
    sentences = write_lists(make("cocas_real2"), tmp_path / "out", "cocas_real2")
    assert sentences == ["cocas_real2 li: its raw layout has no instructions"]
    split = load_split(tmp_path / "out", "cocas_real2", "ctcc", source="lists")
    assert split.query[0].clothes.endswith("templates/t.jpg") and split.gallery[0].clothes is None


def test_a_blank_in_a_path_is_refused(make, tmp_path):
    root = make("market1501", under="my data")
    with pytest.raises(InputError, match="contains a space"):
        write_lists(root, tmp_path / "out", "market1501")
    write_lists(root, root, "market1501")  # beside the images the blank is not in the lists
    assert len(load_split(root, "market1501", "trad", source="lists").train) == 3
