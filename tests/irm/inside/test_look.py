"""Images of a model at work, and a split in the projector: of the tiny run, read back from their files."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from instructions.errors import InputError
from irm.inside.drawing import draw
from irm.inside.inspection import inspect_image
from irm.inside.projector import COLUMNS, thin_out, write_projector
from omnireid.datasets import load_split
from omnireid.loading.image import read_image
from omnireid.tasks import TASKS


@pytest.fixture(scope="module")
def image(tiny_root):
    return read_image(load_split(tiny_root, "market1501", "trad").query[0].image)


def test_a_sentence_is_shown_word_by_word_layer_by_layer(search_model, image):
    inspection = inspect_image(search_model, image, text="a red coat")
    effect = inspection.effect
    assert (inspection.task, inspection.instruction, len(inspection.layers)) == ("li", "a red coat", 2)
    assert inspection.rollout.shape == effect.influence_map.shape == (4, 2)
    assert [word for word, _ in effect.words] == ["a", "red", "coat"]
    assert sum(share for _, share in effect.words) == pytest.approx(1)
    np.testing.assert_array_equal(effect.gates, np.full((2, 4), 0.5))
    assert effect.influence.shape == (2, 4) and (effect.influence > 0).all()


def test_clothes_are_shown_as_a_map_over_them(search_model, image):
    inspection = inspect_image(search_model, image, clothes=image[:40])
    assert inspection.task == "ctcc"
    assert inspection.effect.words == ()
    assert inspection.effect.clothes.shape == (2, 2)  # 32 pixels each way, patches of 16


def test_an_instruction_turns_the_feature_and_a_shut_gate_does_not(search_model, image):
    influence_map = inspect_image(search_model, image, text="a red coat").effect
    assert 0 < influence_map.angle < 180
    blocks = search_model.embedder.model.editing_transformer.vit.blocks
    gates = [block.attn.gate.detach().clone() for block in blocks]
    searched = search_model.embedder.model.retrieval
    try:
        search_model.embedder.model.retrieval = replace(searched, feature="edited")
        with torch.no_grad():
            for block in blocks:
                block.attn.gate.zero_()
        shut = inspect_image(search_model, image, text="a red coat").effect
    finally:
        search_model.embedder.model.retrieval = searched
        with torch.no_grad():
            for block, gate in zip(blocks, gates, strict=True):
                block.attn.gate.copy_(gate)
    assert shut.angle == pytest.approx(0, abs=0.05) and shut.influence.max() == 0


def test_a_image_that_stands_alone_has_no_instruction(search_model, image):
    inspection = inspect_image(search_model, image, task="t2i")
    assert inspection.effect is None and inspection.instruction == ""
    with pytest.raises(InputError, match="task t2i takes no instruction with an image"):
        inspect_image(search_model, image, task="t2i", text="a red coat")


def test_an_instruction_without_words_is_refused(search_model, image):
    with pytest.raises(InputError, match="--text is empty"):
        inspect_image(search_model, image, text=" ")


@pytest.mark.parametrize("given", [{"text": "a red coat"}, {"task": "t2i"}], ids=["told", "alone"])
def test_the_drawing_is_a_png_that_is_not_blank(search_model, image, given):
    page = draw(inspect_image(search_model, image, **given), subtitle="tiny")
    pixels = np.asarray(Image.open(io.BytesIO(page)).convert("RGB"))
    assert pixels.shape[0] > 500 and pixels.shape[1] > 700
    assert pixels.std() > 10


def test_the_projector_has_a_point_a_line_and_a_thumbnail_for_each_image(search_model, tiny_root, tmp_path):
    split = thin_out(load_split(tiny_root, "cocas_real2", "li"), 5)
    assert (len(split.query), len(split.gallery)) == (5, 5)
    assert write_projector(tmp_path / "seen", search_model.embedder, split, TASKS["li"]) == 10
    (told,) = (tmp_path / "seen").rglob("metadata.tsv")
    header, *rows = [line.split("\t") for line in told.read_text().splitlines()]
    assert header == list(COLUMNS)
    records = (*split.query, *split.gallery)
    assert [row[:3] for row in rows] == [[str(x) for x in (r.pid, r.camid, r.clothes_id)] for r in records]
    assert rows[0][6] == split.query[0].captions[0]
    points = np.loadtxt(told.with_name("tensors.tsv"))
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-4)
    sprite = np.asarray(Image.open(told.with_name("sprite.png")))
    assert sprite.shape == (4 * 64, 4 * 64, 3)  # ten squares in rows of four
    shown = sprite[:64, :64].astype(int)
    height, width = read_image(records[0].image).shape[:2]
    margin = (64 - round(64 * width / height)) // 2
    assert (abs(shown[:, : margin - 1] - 245) <= 1).all() and shown[:, margin + 2 : -margin - 2].std() > 5
    assert "sprite" in (tmp_path / "seen/projector_config.pbtxt").read_text()


def test_a_projector_without_thumbnails_holds_no_images(search_model, tiny_root, tmp_path):
    split = thin_out(load_split(tiny_root, "market1501", "trad"), 3)
    write_projector(tmp_path / "seen", search_model.embedder, split, TASKS["trad"], thumbnails=False)
    assert list((tmp_path / "seen").rglob("*.png")) == []
    with pytest.raises(InputError, match="is not empty"):
        write_projector(tmp_path / "seen", search_model.embedder, split, TASKS["trad"])
