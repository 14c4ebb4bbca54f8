"""Tables of items: what stands in a cell is what the item says."""

import pytest

from instructions.errors import InputError
from irm.retrieval.items import items_of_folder, items_of_table, scan_folder, time_of


def test_a_cell_may_hold_line_breaks_of_any_kind(tmp_path):
    table = tmp_path / "items.csv"
    table.write_text(
        'path,pid,caption\na.jpg,1,"red coat\nblue jeans"\nb.jpg,2,red\u2028coat\n', encoding="utf-8"
    )
    first, second = items_of_table(table)
    assert first.captions == ("red coat\nblue jeans",)
    assert second.captions == ("red\u2028coat",)


def table(folder, text, name="items.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("a.jpg,1,,a coat, red", r"row 2: the row has more cells than the header \('red' is the last\)"),
        ("a.jpg,1,1767225600000,", "outside the years 1 to 9999; perhaps it is in milliseconds"),
        ("a.jpg,1,nan,", "'nan' is outside the years"),
        ("a.jpg,99999999999999999999,,", "pid is '99999999999999999999', which is out of range"),
        ("a.jpg,one,,", "pid is 'one', not a whole number"),
    ],
)
def test_a_cell_that_would_be_lost_or_break_a_search_is_refused_with_its_row(tmp_path, row, complaint):
    with pytest.raises(InputError, match=complaint):
        items_of_table(table(tmp_path, f"path,pid,time,caption\n{row}\n"))


def test_empty_cells_behind_a_row_are_nothing(tmp_path):
    assert [item.pid for item in items_of_table(table(tmp_path, "path,pid\na.jpg,7,,\n"))] == [7]


def test_the_last_second_of_the_calendar_is_a_time():
    assert time_of("9999-12-31T23:59:59", "here") == 253402300799.0
    with pytest.raises(InputError, match="outside the years"):
        time_of("9999-12-31T23:59:59-01:00", "here")


def test_a_table_in_capitals_is_told_by_its_ending_too(tmp_path):
    (item,) = items_of_table(table(tmp_path, "path\tpid\na,b.jpg\t7\n", "ITEMS.TSV"))
    assert (item.key, item.pid) == ("a,b.jpg", 7)


def test_a_folder_gives_every_kind_of_picture_and_those_that_nobody_reads_to_be_named(tmp_path):
    names = ["a.webp", "b.tiff", "c.gif", "d.JPG", "e.heic", "notes.txt", ".hidden.jpg"]
    for name in names:
        (tmp_path / name).touch()
    assert [item.key for item in items_of_folder(tmp_path)] == names[:5]


def test_hidden_files_and_folders_are_left_out_and_counted(tmp_path):
    names = [
        "day.1/a.jpg",
        ".b.jpg",
        ".thumbnails/c.jpg",
        "day/@eaDir/d.jpg",
        "__MACOSX/e.jpg",
        ".cache/f.txt",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    (item,) = items_of_folder(tmp_path)
    assert (item.key, item.path, scan_folder(tmp_path)[1]) == (names[0], str(tmp_path / names[0]), 4)


def test_a_hidden_folder_that_was_named_is_not_hidden(tmp_path):
    (tmp_path / ".photos").mkdir()
    (tmp_path / ".photos" / "a.jpg").touch()
    assert [item.key for item in items_of_folder(tmp_path / ".photos")] == ["a.jpg"]


def test_a_quote_that_is_never_closed_is_one_sentence(tmp_path):
    table = tmp_path / "items.csv"
    table.write_text('path,caption\na.jpg,"' + "red coat " * 20_000)
    with pytest.raises(
        InputError, match=r"items\.csv cannot be read as a table after row \d+ .*unclosed quote"
    ):
        items_of_table(table)
