"""Tables of items: what stands in a cell is what the item says."""

from irm.retrieval.items import items_of_table


def test_a_cell_may_hold_line_breaks_of_any_kind(tmp_path):
    table = tmp_path / "items.csv"
    table.write_text(
        'path,pid,caption\na.jpg,1,"red coat\nblue jeans"\nb.jpg,2,red\u2028coat\n', encoding="utf-8"
    )
    first, second = items_of_table(table)
    assert first.captions == ("red coat\nblue jeans",)
    assert second.captions == ("red\u2028coat",)
