"""PRCC: letters are cameras, A and B are one outfit, C another."""

from omnireid.datasets import DATASETS

PRCC = DATASETS["prcc"]


def by_letter(records):
    return {r.image.rpartition("/")[2][0]: r for r in records}


def test_a_and_b_are_the_same_clothes_and_c_is_not(make):
    worn = by_letter(PRCC.read(make("prcc")).train)
    assert worn["A"].clothes_id == worn["B"].clothes_id != worn["C"].clothes_id
    assert [worn[letter].camid for letter in "ABC"] == [0, 1, 2]


def test_the_gallery_is_camera_a_and_the_variant_picks_the_query_camera(make):
    root = make("prcc")
    change, same = PRCC.read(root), PRCC.read(root, "same_clothes")
    assert {r.camid for r in change.gallery} == {0} and change.gallery == same.gallery
    assert [r.camid for r in change.query] == [2] and [r.camid for r in same.query] == [1]
    assert change.query[0].clothes_id != change.gallery[0].clothes_id
    assert same.query[0].clothes_id == same.gallery[0].clothes_id


def test_validation_and_sketches_are_not_read(make):
    split = PRCC.read(make("prcc"))
    images = [r.image for r in (*split.train, *split.query, *split.gallery)]
    assert not any("/val/" in image or "/sketch/" in image for image in images)


def test_the_rgb_folder_itself_is_accepted(make):
    assert len(PRCC.read(make("prcc") / "prcc" / "rgb").train) == 3


def test_a_folder_that_is_no_person_is_skipped_with_a_note(make):
    root = make("prcc")
    (root / "prcc/rgb/test/A/005 (copy)").mkdir()
    (root / "prcc/rgb/test/A/__MACOSX").mkdir()
    split = DATASETS["prcc"].read(root)
    assert len(split.gallery) == 2
    assert (
        f"1 folders in {root}/prcc/rgb/test/A skipped: name not recognised, e.g. '005 (copy)'" in split.notes
    )
