"""The catalog under many threads, and items whose clothes images change or are damaged."""

import dataclasses
import shutil
import threading
from pathlib import Path

from irm.retrieval import Question


def test_connections_end_with_their_threads(own_gallery):
    def ask():
        own_gallery.catalog.count("images")

    for _ in range(20):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert len(own_gallery.catalog._open) <= 2
    assert own_gallery.catalog.count("images")


def with_own_clothes(tiny_items, folder):
    """Three items with clothes images that a test may change."""
    items = []
    for number, item in enumerate(item for item in tiny_items if item.clothes):
        copy = folder / f"clothes{number}.jpg"
        shutil.copy(item.clothes, copy)
        items.append(dataclasses.replace(item, key=f"own{number}", clothes=str(copy)))
        if number == 2:
            return items
    raise AssertionError("too few items with clothes")


def test_a_damaged_clothes_picture_is_named_and_stops_nobody_else(own_gallery, tiny_items, tmp_path):
    items = with_own_clothes(tiny_items, tmp_path)
    Path(items[1].clothes).write_text("no image")
    found = own_gallery.add(items)
    assert found.added == 2
    assert [key for key, _ in found.failures] == ["own1"]
    assert items[1].clothes in found.failures[0][1]


def test_a_clothes_picture_that_changed_is_seen_anew(own_gallery, tiny_items, tmp_path):
    items = with_own_clothes(tiny_items, tmp_path)
    assert own_gallery.add(items).added == 3
    assert own_gallery.add(items).unchanged == 3
    other = next(
        one.clothes
        for one in tiny_items
        if one.clothes and Path(one.clothes).read_bytes() != Path(items[0].clothes).read_bytes()
    )
    shutil.copy(other, items[0].clothes)
    found = own_gallery.add(items)
    assert (found.updated, found.unchanged) == (1, 2)


def test_who_is_erased_while_a_list_is_re_ranked_does_not_break_it(own_gallery, monkeypatch):
    question = Question(like=(1,), task="trad", top=6, re_rank=True)
    victim = own_gallery.search(question).hits[2].image
    store = own_gallery.store
    find = store.search

    def find_and_erase(*arguments, **options):
        found = find(*arguments, **options)
        own_gallery.erase(images=[victim])
        return found

    monkeypatch.setattr(store, "search", find_and_erase)
    hits = own_gallery.search(question).hits
    assert len(hits) == 6
    assert victim not in [hit.image for hit in hits]
