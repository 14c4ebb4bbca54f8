"""LTCC: two-digit cameras, outfits that are numbered within a person."""

from omnireid.datasets import DATASETS

LTCC = DATASETS["ltcc"]


def test_cameras_10_to_12_are_not_camera_1(make):
    split = LTCC.read(make("ltcc"))
    assert {r.image.rpartition("/")[2]: r.camid for r in split.train} == {
        "094_1_c9_015923.png": 8,
        "094_2_c10_015923.png": 9,
        "003_1_c12_000123.png": 11,
    }
    assert [r.camid for r in split.query] == [10]


def test_the_first_outfit_of_two_people_is_not_the_same_outfit(make):
    split = LTCC.read(make("ltcc"))
    outfits = {r.image.rpartition("/")[2]: r.clothes_id for r in split.train}
    assert len(set(outfits.values())) == 3


def test_query_and_gallery_agree_on_outfits(make):
    split = LTCC.read(make("ltcc"))
    worn = {r.image.rpartition("/")[2]: r.clothes_id for r in (*split.query, *split.gallery)}
    assert worn["000_1_c11_000007.png"] == worn["000_1_c1_000009.png"] != worn["000_2_c1_000011.png"]


def test_every_setting_has_the_same_records(make):
    root = make("ltcc")
    splits = [LTCC.read(root, variant) for variant in ("general", "cc", "sc")]
    assert len({(split.train, split.query, split.gallery) for split in splits}) == 1


def test_for_ctcc_training_images_come_with_a_template_or_their_own_crop_by_turns(make):
    split = LTCC.read(make("ltcc"), task="ctcc")
    worn = {r.image.rpartition("/")[2]: r.clothes.rpartition("LTCC_ReID/")[2] for r in split.train}
    assert worn == {
        "094_1_c9_015923.png": "templates/094_1.jpg",
        "094_2_c10_015923.png": "templates/094_2.jpg",
    }
    assert (split.query, split.gallery) == ((), ())
    assert any(note.startswith("1 training images have no clothes image") for note in split.notes)


def test_clothes_images_beside_the_folder_are_found_as_in_the_omnireid_tree(make):
    root = make("ltcc")
    own = root / "ltcc/LTCC_ReID"
    for name in ("templates", "croped_clothes"):
        (own / name).rename(root / "ltcc" / name)
    (root / "ltcc/templates/094_2.jpg").unlink()
    worn = [r.clothes for r in LTCC.read(root, task="ctcc").train]
    assert worn == [
        f"{root}/ltcc/templates/094_1.jpg",
        f"{root}/ltcc/croped_clothes/train/094_2_c10_015923.png",
    ]
