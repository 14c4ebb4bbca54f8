"""What somebody serves without our code says what the model says."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from instructions.errors import InputError
from irm.deploy import writing
from irm.deploy.graph import ImagePath, PlainImagePath
from irm.deploy.writing import export
from irm.models import IRM, SentenceTokenizer
from omnireid.loading.image import read_image
from omnireid.loading.resizing import resize

VIEW, SENTENCE = "trad/market1501", "do not change clothes"


@pytest.fixture(scope="module")
def model():
    """Two layers with open gates, searched by F and F_out."""
    torch.manual_seed(0)
    made = IRM(
        backbone={"name": "tiny", "image_size": [64, 32]},
        instruction={"text": {"name": "tiny"}, "image": {"name": "tiny", "image_size": [32, 32]}},
        necks=[VIEW, "cc/ltcc"],
        match={"layers": 1},
        retrieval={"feature": "both"},
    )
    made.attach_tokenizer(SentenceTokenizer.characters())
    for block in made.editing_transformer.vit.blocks:
        torch.nn.init.constant_(block.attn.gate, 0.5)
    made.necks.banks["trad/market1501"]["fused"].running_mean.normal_()
    return made.eval()


@pytest.fixture
def images():
    return torch.rand(3, 3, 64, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
def test_onnx_with_the_sentence_built_in_serves_from_its_description_alone(model, images, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    difference = export(
        model, tmp_path / "served", view=VIEW, instruction=SENTENCE, form="onnx", provenance={"run": "tiny"}
    )
    assert difference.max_abs_difference < 1e-5 and difference.min_cosine > 0.99999
    told = json.loads((tmp_path / "served/export.json").read_text())
    assert [one["name"] for one in told["inputs"]] == ["images"]
    assert told["inputs"][0]["shape"] == ["batch", 3, 64, 32]
    session = onnxruntime.InferenceSession(tmp_path / "served/model.onnx")
    (found,) = session.run([told["outputs"][0]["name"]], {"images": images.numpy()})
    expected = model.embed(images, [SENTENCE] * 3, view=VIEW).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape[1] == told["outputs"][0]["shape"][1]


def test_pt2_takes_an_instructions_tokens_from_the_table(model, images, tmp_path):
    export(model, tmp_path / "served", view=VIEW, instruction=None, form="pt2", provenance={})
    told = json.loads((tmp_path / "served/export.json").read_text())
    table = np.load(tmp_path / "served/instructions.npz")
    row = told["table"]["sentences"].index(SENTENCE)
    tokens, mask = (torch.from_numpy(table[name][[row] * 3]) for name in ("tokens", "mask"))
    served = torch.export.load(tmp_path / "served/model.pt2").module()
    torch.testing.assert_close(served(images, tokens, mask), model.embed(images, [SENTENCE] * 3, view=VIEW))
    assert set(told["files"]) == {"model.pt2", "instructions.npz"}
    for words in (f" {model.retrieval.resize} ", "EXIF orientation", "on white"):
        assert words in told["pictures"]["preparation"]


@pytest.fixture(params=["turned", "transparent", "palette", "grey"])
def picture(request, tmp_path):
    """A picture as telephones and programs write them, under the name that the documentation opens."""
    levels = np.linspace(0, 255, 40 * 90 * 4).reshape(40, 90, 4).astype(np.uint8)
    made, options = Image.fromarray(levels[:, :, :3]), {"format": "PNG"}
    if request.param == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"format": "JPEG", "exif": exif}
    elif request.param == "transparent":
        made = Image.fromarray(np.dstack([levels[:, :, :3], levels[:, ::-1, 3]]))
    elif request.param == "palette":
        made = made.convert("P", palette=Image.Palette.ADAPTIVE)
        options["transparency"] = 0
    else:
        made = made.convert("L")
    made.save(tmp_path / "someone.jpg", **options)
    return tmp_path / "someone.jpg"


def test_the_documentation_prepares_a_picture_as_the_store_does(picture, monkeypatch):
    text = (Path(__file__).parents[3] / "docs/inside.md").read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "onnxruntime" in block)
    told = {"height": 64, "width": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    (picture.parent / "served").mkdir()
    (picture.parent / "served/export.json").write_text(json.dumps({"pictures": told}))
    given = []
    session = SimpleNamespace(run=lambda _, fed: [given.append(fed["images"])])
    library = SimpleNamespace(InferenceSession=lambda _: session)
    monkeypatch.setitem(sys.modules, "onnxruntime", library)
    monkeypatch.chdir(picture.parent)
    exec(code, {})
    expected = resize(read_image(picture), (64, 32), "bilinear") / 255 * 2 - 1
    np.testing.assert_allclose(given[0][0].transpose(1, 2, 0), expected, atol=3 / 128)


def test_images_for_descriptions_are_exported_alone(model, images, tmp_path):
    export(model, tmp_path / "served", view="t2i", instruction=None, form="pt2", provenance={})
    served = torch.export.load(tmp_path / "served/model.pt2").module()
    torch.testing.assert_close(served(images), model.embed_image(images))


def test_only_what_images_pass_is_written(model):
    names = ImagePath(model, VIEW).state_dict()
    assert not any("instruction_encoder" in name or "match_head" in name for name in names)
    assert all(
        name.startswith(("transformer.", "projection.")) for name in PlainImagePath(model).state_dict()
    )
    assert model.instruction_encoder is not None  # the model itself has lost nothing


def test_features_that_differ_are_refused_and_nothing_is_left(model, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "TOLERANCE", -1.0)
    with pytest.raises(InputError, match=r"differ from the model's by .*; nothing was written"):
        export(model, tmp_path / "served", view="t2i", instruction=None, form="pt2", provenance={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("view", "instruction", "reason"),
    [
        ("trad/market", None, "no view 'trad/market'.*trad/market1501, cc/ltcc, t2i"),
        ("t2i", SENTENCE, "takes no instruction with an image"),
        ("cc/ltcc", " ", "--instruction is empty"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(model, tmp_path, view, instruction, reason):
    with pytest.raises(InputError, match=reason):
        export(model, tmp_path / "served", view=view, instruction=instruction, form="pt2", provenance={})


def test_a_folder_with_something_in_it_is_left_alone(model, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="is not empty"):
        export(model, tmp_path, view="t2i", instruction=None, form="pt2", provenance={})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
