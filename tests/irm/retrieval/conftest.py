"""What the tests of search share: a run with a random tiny model, and a store of the tiny world."""

from pathlib import Path

import pytest

TINY = Path(__file__).parents[3] / "configs" / "irm" / "tiny.yaml"


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny_root) -> Path:
    """A run of all six tasks that was never trained; nobody writes into it."""
    import torch

    from irm.build import build_irm
    from irm.config import dump, read_run
    from irm.training.seeding import seed_all

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    sheet = read_run(TINY, [f"data={tiny_root}", "loader.workers=0"])
    seed_all(3)
    model, _ = build_irm(sheet)
    for name, tensor in model.named_parameters():
        if name.endswith(".gate"):
            torch.nn.init.constant_(tensor, 0.5)  # open, so that instructions are heard
    for module in model.necks.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(std=0.1)
    model.save_pretrained(folder / "model")
    (folder / "config.yaml").write_text(dump(sheet))
    return folder


@pytest.fixture(scope="session")
def search_model(tiny_run):
    """The run's model, loaded once."""
    from irm.retrieval import SearchModel

    return SearchModel.load(tiny_run)


@pytest.fixture(scope="session")
def tiny_items(tiny_root):
    """The gallery of COCAS+ Real2: images with captions and clothes images."""
    from irm.retrieval import items_of_records
    from omnireid.datasets import load_split

    split = load_split(tiny_root, "cocas_real2", "li")
    clothed = {
        record.image: record.clothes for record in load_split(tiny_root, "cocas_real2", "ctcc").gallery
    }
    items = items_of_records(split.gallery, split.name, tiny_root)
    return [
        item.__class__(**{**vars(item), "clothes": clothed.get(item.path), "taken": 1000.0 + place})
        for place, item in enumerate(items)
    ]


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory, search_model, tiny_items) -> Path:
    """A store of the tiny world; tests that write copy it first."""
    from irm.retrieval import Gallery

    folder = tmp_path_factory.mktemp("stores") / "tiny"
    with Gallery.create(folder, search_model, dataset="cocas_real2") as gallery:
        gallery.add(tiny_items, now=0.0)
    return folder


@pytest.fixture
def gallery(tiny_store, search_model):
    """The shared store, open for questions."""
    from irm.retrieval import Gallery

    with Gallery.open(tiny_store, model=search_model) as opened:
        yield opened


@pytest.fixture
def own_gallery(tmp_path, tiny_store, search_model):
    """A copy of the store that a test may change."""
    import shutil

    from irm.retrieval import Gallery

    shutil.copytree(tiny_store, tmp_path / "store")
    with Gallery.open(tmp_path / "store", model=search_model) as opened:
        yield opened
