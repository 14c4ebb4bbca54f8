"""CUHK-PEDES and SYNTH-PEDES: one training record per image, one query per caption."""

import json

import pytest

from instructions.errors import InputError
from omnireid.datasets import DATASETS

PEDES, SYNTH = DATASETS["cuhk_pedes"], DATASETS["synth_pedes"]


def annotations(root, name="reid_raw.json"):
    return root / PEDES.card.folders[0] / name


def test_training_keeps_all_captions_and_each_caption_is_a_query(make):
    split = PEDES.read(make("cuhk_pedes"))
    assert [r.captions for r in split.train] == [
        ("A tall man.", "He wears a red coat."),
        ("A woman with a bag.",),
    ]
    assert [(r.pid, r.captions) for r in split.query] == [
        (12004, ("A girl.",)),
        (12004, ("She runs.",)),
        (12005, ("An old man.",)),
    ]
    assert [(r.pid, r.captions) for r in split.gallery] == [(12004, ()), (12005, ())]


def test_query_and_gallery_have_no_camera_in_common(make):
    split = PEDES.read(make("cuhk_pedes"))
    assert {r.camid for r in split.query} == {-1} and {r.camid for r in split.gallery} == {-2}


def test_the_validation_people_can_be_searched(make):
    split = PEDES.read(make("cuhk_pedes"), "val")
    assert [r.pid for r in split.query] == [11004] and len(split.train) == 2


def test_without_a_split_column_the_person_number_tells(make):
    root = make("cuhk_pedes")
    expected = PEDES.read(root)
    entries = json.loads(annotations(root).read_text())
    for entry in entries:
        del entry["split"]
    annotations(root).unlink()
    annotations(root, "caption_all.json").write_text(json.dumps(entries))
    split = PEDES.read(root)
    assert (split.train, split.query, split.gallery) == (expected.train, expected.query, expected.gallery)


def test_an_image_without_caption_is_no_query_and_is_noted(make):
    root = make("cuhk_pedes")
    entries = json.loads(annotations(root).read_text())
    entries[-1]["captions"] = ["  "]
    annotations(root).write_text(json.dumps(entries))
    split = PEDES.read(root)
    assert [r.pid for r in split.query] == [12004, 12004] and len(split.gallery) == 2
    assert "1 images have no caption" in split.notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "one"}, "entry 0: field 'id'"),
        ({"id": None}, "entry 0: field 'id'"),
        ({"file_path": 3}, "entry 0: field 'file_path'"),
        ({"captions": 3}, "entry 0: expected a caption"),
        ({"split": "dev"}, "split 'dev'"),
    ],
)
def test_a_field_of_another_kind_is_named(make, change, message):
    root = make("cuhk_pedes")
    entries = json.loads(annotations(root).read_text())
    entries[0] |= change
    annotations(root).write_text(json.dumps(entries))
    with pytest.raises(InputError, match=message):
        PEDES.read(root)


def test_images_of_absent_parts_of_synth_pedes_are_left_out_and_counted(make):
    split = SYNTH.read(make("synth_pedes"))
    assert [(r.pid, r.captions) for r in split.train] == [(7, ("A man.", "Somebody.")), (900, ("A woman.",))]
    assert any(note.startswith("1 images of Part9") for note in split.notes)


def test_the_other_spelling_of_the_annotation_file_is_read(make):
    root = make("synth_pedes")
    own = root / SYNTH.card.folders[0]
    (own / "synthpedes_dataset.json").rename(own / "synthpedes-dataset.json")
    assert len(SYNTH.read(root).train) == 2
