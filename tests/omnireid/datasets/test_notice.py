"""The table in NOTICE.md equals the cards."""

from pathlib import Path

from omnireid.datasets.notice import all_cards, terms_table, with_table

NOTICE = Path(__file__).parents[3] / "NOTICE.md"


def test_the_table_of_the_notice_is_the_one_of_the_cards():
    text = NOTICE.read_text(encoding="utf-8")
    assert text == with_table(text), "docs/data.md says how to regenerate the table"


def test_withdrawn_data_sets_are_marked():
    rows = terms_table(all_cards()).splitlines()
    assert [row for row in rows if "DukeMTMC" in row and "(withdrawn)" in row]
    assert len(rows) == 2 + len(all_cards())


def test_no_cell_breaks_the_table():
    assert {row.count(" | ") for row in terms_table(all_cards()).splitlines()} == {5}
