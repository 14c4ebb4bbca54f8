"""COCAS+: Real1 by its lists, Real2 by its two tables."""

import pytest

from instructions.errors import InputError
from omnireid.datasets import DATASETS

REAL1, REAL2 = DATASETS["cocas_real1"], DATASETS["cocas_real2"]


def test_a_image_in_both_lists_of_real1_has_clothes_and_caption(make):
    split = REAL1.read(make("cocas_real1"))
    assert [(r.clothes.rpartition("/")[2], r.captions) for r in split.train] == [
        ("1.jpg", ("A man.",)),
        ("2.jpg", ("A woman.",)),
    ]


def test_lists_of_real1_in_another_order_mean_the_same_people(make):
    root = make("cocas_real1")
    lists = {
        "train_ctcc.txt": ["a.jpg t.jpg 5 1 0", "b.jpg t.jpg 6 2 0", "e.jpg t.jpg 6 2 0"],
        "train_attr.txt": [
            "c.jpg a_man 7 3 0",
            "b.jpg a_man 6 2 0",
            "d.jpg a_man 5 1 0",
            "a.jpg a_man 5 1 0",
        ],
    }
    for name, lines in lists.items():
        (root / "real1/datalist" / name).write_text("\n".join(lines))
    a, b, c, d, e = sorted(REAL1.read(root).train, key=lambda record: record.image)
    assert (a.pid, a.clothes_id) == (d.pid, d.clothes_id) and (b.pid, b.clothes_id) == (e.pid, e.clothes_id)
    assert len({a.pid, b.pid, c.pid}) == len({a.clothes_id, b.clothes_id, c.clothes_id}) == 3


def test_one_list_of_real1_is_enough(make):
    root = make("cocas_real1")
    (root / "real1/datalist/train_ctcc.txt").unlink()
    split = REAL1.read(root)
    assert all(r.captions and r.clothes is None for r in split.train)
    assert "no lists for ctcc" in split.notes


def test_a_query_of_real2_has_its_template_and_a_gallery_image_nothing(make):
    split = REAL2.read(make("cocas_real2"))
    (query,), (gallery,) = split.query, split.gallery
    assert query.clothes.endswith("/templates/t.jpg") and gallery.clothes is None
    assert (query.pid, query.camid, gallery.camid) == (1, 2, 4)
    assert query.clothes_id == gallery.clothes_id


def test_cameras_that_start_at_0_stay_as_they_are(make):
    root = make("cocas_real2")
    (root / REAL2.card.folders[0] / "gallery.txt").write_text("images/b.jpg 1 2 0\n")
    split = REAL2.read(root)
    assert (split.query[0].camid, split.gallery[0].camid) == (3, 0)


def test_commas_and_bare_file_names_are_read_too(make):
    root = make("cocas_real2")
    own = root / REAL2.card.folders[0]
    (own / "query.txt").write_text("a.jpg, t.jpg, 1, 2, 3\r\n")
    (own / "gallery.txt").write_text("b.jpg,1,2,5\n")
    split = REAL2.read(root)
    assert split.query[0].image == f"{own}/images/a.jpg"
    assert split.query[0].clothes == f"{own}/templates/t.jpg"


@pytest.mark.parametrize("line", ["images/a.jpg templates/t.jpg 1 2", "images/a.jpg templates/t.jpg one 2 3"])
def test_a_row_that_is_not_understood_is_named(make, line):
    root = make("cocas_real2")
    (root / REAL2.card.folders[0] / "query.txt").write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"query\.txt:1"):
        REAL2.read(root)


def test_a_missing_table_is_named(make):
    root = make("cocas_real2")
    (root / REAL2.card.folders[0] / "query.txt").unlink()
    with pytest.raises(InputError, match=r"query\.txt is missing"):
        REAL2.read(root)
