"""Own tables are read like any other data set, as CSV and as JSON lines."""

import json

import pytest

from instructions.errors import InputError
from omnireid.datasets import load_split
from omnireid.datasets.own import own_names
from omnireid.records import UNKNOWN

HEADER = "split,image,pid,camera,clothes_id,modality,captions,clothes_image\n"
ROWS = (
    "train,a.jpg,7,1,red,rgb,A man. | He runs.,shirts/a.jpg\n"
    "query,b.jpg,8,2,red,ir,A boy.,\n"
    'gallery,c.jpg,8,3,blue,,"A boy, in blue.",\n'
    "gallery,/else/d.jpg,-1,3,,,,\n"
)


@pytest.fixture
def table(tmp_path):
    """Writes a table below a data root; gives the root."""

    def write(text, name="shop.csv"):
        path = tmp_path / "data/own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / "data"

    return write


def test_every_column_becomes_a_field(table):
    root = table(HEADER + ROWS)
    split = load_split(root, "own/shop", "trad")
    (train,), (query,), (gallery,) = split.train, split.query, split.gallery
    assert train.image == f"{root}/own/a.jpg" and train.clothes == f"{root}/own/shirts/a.jpg"
    assert (train.pid, train.camid, train.captions) == (7, 1, ("A man.", "He runs."))
    assert (query.modality, gallery.modality) == ("ir", "rgb")
    assert gallery.captions == ("A boy, in blue.",)
    assert (
        len({train.clothes_id, query.clothes_id, gallery.clothes_id}) == 3
    )  # "red" of two people is two outfits
    assert "1 junk images" in split.notes[1]
    assert split.name == "own/shop"


@pytest.mark.parametrize("name", ["shop.CSV", "shop/records.CSV"])
def test_a_table_with_an_upper_case_suffix_is_read(table, name):
    root = table(HEADER + ROWS, name)
    assert own_names(root) == ["own/shop"]
    split = load_split(root, "own/shop", "trad")
    assert split.train[0].captions == ("A man.", "He runs.")
    assert split.name == "own/shop"


def test_json_lines_read_the_same(table):
    expected = load_split(table(HEADER + ROWS), "own/shop", "trad")
    names = HEADER.strip().split(",")
    cells = [row.split(",", 6) for row in ROWS.replace('"A boy, in blue.",', "A boy; in blue.,").splitlines()]
    cells = [[*row[:6], *row[6].rsplit(",", 1)] for row in cells]
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    for row in rows:
        row["captions"] = [text.strip().replace(";", ",") for text in row["captions"].split("|") if text]
        row["pid"] = int(row["pid"])
    root = table("".join(f"{json.dumps(row)}\n\n" for row in rows), "shop2.jsonl")
    split = load_split(root, "own/shop2", "trad")
    assert (split.train, split.query, split.gallery) == (expected.train, expected.query, expected.gallery)


def test_three_columns_are_enough_and_without_cameras_nothing_is_junk(table):
    split = load_split(
        table("split,image,pid\ntrain,a.jpg,1\nquery,b.jpg,2\ngallery,c.jpg,2\n"), "own/shop", "trad"
    )
    assert [r[0].camid for r in (split.train, split.query, split.gallery)] == [0, -1, -2]
    assert split.train[0].clothes_id == UNKNOWN


def test_a_camera_of_minus_one_is_unknown_and_so_are_clothes(table):
    rows = ("query,a.jpg,7,-1,-1", "query,b.jpg,7,3,2", "gallery,c.jpg,7,-1,-1", "gallery,d.jpg,7,3,2")
    split = load_split(table("\n".join(("split,image,pid,camera,clothes_id", *rows))), "own/shop", "cc")
    assert [record.camid for record in (*split.query, *split.gallery)] == [-1, 3, -2, 3]
    assert [record.clothes_id for record in (*split.query, *split.gallery)] == [-1, 0, -1, 0]


def test_people_and_cameras_may_be_words_and_are_the_same_in_every_part(table):
    text = "split,image,pid,camera\ntrain,a.jpg,Ann,door\nquery,b.jpg,Bea,lift\ngallery,c.jpg,Bea,door\n"
    split = load_split(table(text), "own/shop", "cc")
    assert [(r[0].pid, r[0].camid) for r in (split.train, split.query, split.gallery)] == [
        (0, 0),
        (1, 1),
        (1, 0),
    ]


def test_for_text_to_image_each_caption_is_a_query_and_the_gallery_has_none(table):
    text = "split,image,pid,captions\nquery,a.jpg,1,One. | Two.\ngallery,a.jpg,1,One.\n"
    split = load_split(table(text), "own/shop", "t2i")
    assert [(r.captions, r.camid) for r in split.query] == [(("One.",), -1), (("Two.",), -1)]
    assert [(r.captions, r.camid) for r in split.gallery] == [((), -2)]


def test_a_folder_with_a_table_of_records_is_a_data_set_too_and_both_are_found(table):
    table("split,image,pid\ntrain,a.jpg,1\n", "shop.csv")
    root = table("split,image,pid\ntrain,imgs/a.jpg,1\n", "lobby/records.csv")
    assert own_names(root) == ["own/lobby", "own/shop"]
    split = load_split(root, "own/lobby", "trad")
    assert split.train[0].image == f"{root}/own/lobby/imgs/a.jpg" and split.name == "own/lobby"
    assert load_split(root / "own", "own/shop", "trad").train[0].image == f"{root}/own/a.jpg"


def test_hidden_files_are_no_tables_and_a_closed_folder_may_hold_one(table, shut):
    root = table("split,image,pid\n", "._shop.csv")
    (root / "own/lobby").mkdir()
    (root / "own/images").mkdir()
    assert own_names(root) == []
    shut(root / "own/lobby")
    assert own_names(root) == ["own/lobby"]


def test_windows_line_ends_a_byte_order_mark_trailing_blanks_and_unicode_names_are_read(table):
    text = "\ufeffsplit, image ,pid\r\ntrain,Straße/Jörg 1.jpg , 1 \r\n , ,\r\n"
    root = table(text.encode())
    assert [r.image for r in load_split(root, "own/shop", "trad").train] == [f"{root}/own/Straße/Jörg 1.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split,image\n", "has no column 'pid'"),
        ("", "has no column 'split'"),
        ("split,image,pid,captoins\n", r"column 'captoins' \(did you mean 'captions'\?\)"),
        ("split;image;pid\ntrain;a.jpg;1\n", "has ';' between its columns; save it with commas"),
        ("split\timage\tpid\n", r"has '\\t' between its columns"),
        ("split,image,pid\ntrain,a.jpg\n", r"shop\.csv:2: the column 'pid' is empty or missing"),
        ("split,image,pid\ntrian,a.jpg,1\n", r"shop\.csv:2: split 'trian' \(did you mean 'train'\?\)"),
        ("split,image,pid,modality\ntrain,a.jpg,1,nir\n", r"shop\.csv:2: modality 'nir'; use rgb or ir"),
        (b"split,image,pid\ntrain,\xff.jpg,1\n", "is not UTF-8 text"),
    ],
)
def test_what_is_wrong_in_a_table_is_named_with_its_line(table, text, message):
    with pytest.raises(InputError, match=message):
        load_split(table(text), "own/shop", "trad")


@pytest.mark.parametrize("text", ["nonsense\n", "[1]\n"])
def test_a_line_that_is_no_object_is_named(table, text):
    with pytest.raises(InputError, match=r"shop\.jsonl:1: not a JSON object"):
        load_split(table(text, "shop.jsonl"), "own/shop", "trad")


@pytest.mark.parametrize("name", ["own/", "own/a/b", "own/a.csv", "own/../x"])
def test_a_name_that_is_no_plain_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="is not a valid name for your own data"):
        load_split(tmp_path, name, "trad")


def test_a_missing_table_is_refused_with_the_accepted_names(tmp_path):
    with pytest.raises(
        InputError, match=r"expected one that contains shop\.csv or shop\.jsonl or shop/records\.csv"
    ):
        load_split(tmp_path, "own/shop", "trad")
