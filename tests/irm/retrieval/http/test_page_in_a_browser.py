"""What the page does when something goes wrong, in headless Chromium where there is one."""

import csv
import shutil
import threading
import time

import pytest

from irm.retrieval.answer import MEANINGS
from irm.retrieval.http.app import build_app
from irm.retrieval.http.settings import ServerSettings

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TOKEN = "a-token-of-the-tests"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, own_gallery):
    """The page of a server with a token, before the token is given."""
    import uvicorn

    config = uvicorn.Config(build_app(own_gallery, ServerSettings(token=TOKEN)), port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    opened = browser.new_page()
    opened.set_default_timeout(10_000)
    opened.goto(f"http://{host}:{port}/")
    yield opened
    opened.close()
    server.should_exit = True
    thread.join()


@pytest.fixture
def entered(page):
    """The page with the token given."""
    page.fill("#token-text", TOKEN)
    page.click("#token-form button")
    page.wait_for_selector("#tasks label")
    return page


@pytest.fixture
def pictures(tmp_path, encode):
    files = [tmp_path / f"{number}.jpg" for number in range(13)]
    for number, file in enumerate(files):
        file.write_bytes(encode(seed=number))
    return files


def test_a_wrong_token_is_told_and_the_dialog_can_be_left(page):
    page.wait_for_selector("#token[open]")
    assert page.is_hidden("#token-told")
    page.fill("#token-text", "ключ")
    page.click("#token-form button")
    assert page.is_visible("#token")
    assert "ASCII" in page.eval_on_selector("#token-text", "input => input.validationMessage")
    page.fill("#token-text", "a wrong token of somebody")
    page.click("#token-form button")
    page.wait_for_selector("#token-told:visible")
    page.keyboard.press("Escape")
    page.wait_for_function("document.getElementById('index-line').textContent.includes('token')")
    page.wait_for_timeout(300)
    assert page.is_hidden("#token")


def test_two_failures_side_by_side_are_told_and_count_nothing(entered):
    entered.click("#compare-part summary")
    entered.click("#search")
    entered.wait_for_selector("#status.error")
    assert "the query is empty" in entered.inner_text("#status")
    assert entered.is_hidden("#pager")


def test_files_for_which_there_is_no_room_are_told(entered, pictures):
    entered.set_input_files("#picture-file", pictures)
    entered.wait_for_selector("#picture-strip li")
    assert entered.locator("#picture-strip li").count() == 8
    assert entered.inner_text("#status") == "Only 8 of 13 images were added: at most 8 are allowed."


def test_the_figures_of_a_hit_are_explained_to_eyes_pointer_and_screen_reader(entered, pictures):
    entered.set_input_files("#picture-file", pictures[:1])
    entered.click("#search")
    entered.wait_for_selector(".hit")
    legend = entered.locator(f"#{entered.get_attribute('.hit .picture', 'aria-describedby')}")
    assert legend.is_visible() and MEANINGS["chance"] in legend.inner_text()
    assert MEANINGS["chance"] in entered.get_attribute(".hit .figures", "title")


def test_an_exported_list_names_each_picture_by_its_key(entered, pictures, own_gallery):
    entered.set_input_files("#picture-file", pictures[:1])
    entered.click("#search")
    entered.wait_for_selector(".hit")
    entered.click("#export-open")
    with entered.expect_download() as download:
        entered.click("#export-csv")
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    known = own_gallery.catalog.images([int(row["image"]) for row in rows])
    assert [row["key"] for row in rows] == [known[int(row["image"])].key for row in rows]
    shown = entered.locator(".hit .key").first
    assert (shown.get_attribute("title"), shown.inner_text()) == (
        rows[0]["key"],
        rows[0]["key"].split("/")[-1],
    )


def test_an_erased_person_leaves_the_session_whole(entered, pictures, tmp_path, own_gallery):
    entered.set_input_files("#picture-file", pictures[:1])
    entered.click("#search")
    entered.wait_for_selector(".hit")
    card = entered.locator(".hit", has_text="person").first
    person = card.inner_text().split("person ")[1].split()[0]
    people = entered.eval_on_selector_all(".hit", "cards => cards.map(card => String(card.hit.pid))")
    assert people.count(person) > 1
    card.locator("button[title=Right]").click()
    card.locator("button[title=Explain]").click()
    entered.click("#look-body details summary")
    entered.on("dialog", lambda dialog: dialog.accept())
    entered.click(f"#look-body button:has-text('Erase person {person}')")
    entered.wait_for_selector("#look-body p[role=status]:has-text('Erased')")
    entered.keyboard.press("Escape")
    assert entered.is_hidden("#mark-count")
    entered.click("#export-open")
    with entered.expect_download() as download:
        entered.click("#export-csv")
    download.value.save_as(tmp_path / "session.csv")
    rows = [line.split(",") for line in (tmp_path / "session.csv").read_text().splitlines()]
    place = rows[0].index("pid")
    assert person not in {row[place] for row in rows[1:]}
    assert len(rows) > 1
