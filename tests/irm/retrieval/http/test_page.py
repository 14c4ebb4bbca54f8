"""The page: whole, self-contained, labelled; its behaviour is in test_page_in_a_browser.py."""

import re
from html.parser import HTMLParser
from importlib import resources

import pytest

from irm.retrieval.http.app import PAGES, SCRIPTS

STATIC = resources.files("irm.retrieval.http").joinpath("static")


class Page(HTMLParser):
    """Ids, labels and controls of the page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.labelled, self.controls, self.attributes, self.depth = [], set(), [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.attributes.append((tag, given))
        self.depth += tag == "label"
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "label" and "for" in given:
            self.labelled.add(given["for"])
        if tag in ("input", "select", "textarea"):
            self.controls.append((given.get("id"), "aria-label" in given or self.depth > 0))

    def handle_endtag(self, tag):
        self.depth -= tag == "label"


@pytest.fixture(scope="module")
def page():
    return Page(STATIC.joinpath("index.html").read_text())


def text_of(name):
    return STATIC.joinpath(name).read_text()


def test_nothing_is_loaded_from_elsewhere():
    for name in {file for file, _ in PAGES.values()}:
        assert not re.findall(r"(?:https?:)?//[a-z]", re.sub(r"^\s*//.*$", "", text_of(name), flags=re.M))


def test_every_file_of_the_page_is_served_and_every_served_file_is_there(client):
    assert {file for file, _ in PAGES.values()} == {path.name for path in STATIC.iterdir()}
    for address, (name, kind) in PAGES.items():
        reply = client.get(address)
        assert reply.text == text_of(name)
        assert reply.headers["content-type"] == kind


def test_scripts_import_only_each_other():
    for name in SCRIPTS:
        assert set(re.findall(r'from "\./([\w.]+)"', text_of(name))) <= set(SCRIPTS)


def test_nothing_runs_or_is_styled_within_the_markup(page):
    """Else the content security policy would have to allow what a stranger's text might bring."""
    for _, given in page.attributes:
        assert not [name for name in given if name == "style" or name.startswith("on")]
    assert not any("innerHTML" in text_of(name) or "eval(" in text_of(name) for name in SCRIPTS)


def test_every_control_has_a_label_and_every_id_is_one(page):
    assert len(page.ids) == len(set(page.ids))
    for name, is_within in page.controls:
        assert is_within or name in page.labelled, name


def test_every_id_that_a_script_asks_for_is_on_the_page(page):
    asked = {name for script in SCRIPTS for name in re.findall(r'\$\("([\w-]+)"\)', text_of(script))}
    assert asked <= set(page.ids)
    assert len(asked) > 30
