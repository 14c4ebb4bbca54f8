"""Annotation work on the synthetic COCAS+ Real1, whose attributes and clothes are known."""

import csv
import shutil
from pathlib import Path

import pytest

from instructions.attributes import ATTRIBUTES
from omnireid.annotation.work import Work, images_of_list
from omnireid.synthetic.layouts.cocas import plan_real1
from omnireid.synthetic.plan import SyntheticSpec
from omnireid.synthetic.presets import PRESETS

NOW = "2026-01-02T03:04:05+0000"


@pytest.fixture(scope="session")
def truth():
    """What the drawer knows of every Real1 image, by its path in the lists."""
    spec = SyntheticSpec(PRESETS["tiny"], 0)
    population = spec.populations["cocas_real1"]
    return {
        file.path.removeprefix("real1/"): population.attributes(image.key)
        for image in plan_real1(spec).images
        for file in image.files
        if "/images/" in file.path
    }


@pytest.fixture
def root(tiny_root, tmp_path):
    """Real1 without its annotations: the images, and a list that says who is in them."""
    root = tmp_path / "real1"
    shutil.copytree(tiny_root / "real1" / "COCAS", root / "COCAS")
    lines = (tiny_root / "real1/datalist/train_attr.txt").read_text().splitlines()
    columns = [line.split() for line in lines]
    listed = "".join(f"{image} - {pid} {clothes} {camera}\n" for image, _, pid, clothes, camera in columns)
    (root / "people.txt").write_text(listed)
    return root


@pytest.fixture
def work(root, tmp_path):
    return Work.start(tmp_path / "work", root, "cocas_real1", "train", images_of_list(root / "people.txt"))


@pytest.fixture
def table(truth, work, tmp_path):
    """The truth as a table, as an annotator would hand it in."""
    path = tmp_path / "attributes.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["image", *ATTRIBUTES])
        writer.writeheader()
        for listed in work.images():
            writer.writerow({"image": listed.image, **truth[listed.image].to_dict()})
    return path


def template_of(image: str) -> str:
    """The template that the drawer made of the outfit in an image."""
    person, outfit, *_ = Path(image).name.split("_")
    return f"{person}_{outfit}.jpg"
