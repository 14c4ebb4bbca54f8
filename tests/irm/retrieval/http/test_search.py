"""The API: every form of a query, answered as the engine answers it."""

import io

import numpy as np
import pytest
from PIL import Image

from irm.retrieval import Filter, Picture, Question
from omnireid.tasks import PAPER_INSTRUCTIONS, InstructionSettings


def test_an_answer_is_the_engines(gallery, ask, encode):
    jpeg = encode()
    given = ask(images=[jpeg], text="a man in a red coat", top=7).json()
    answer = gallery.search(Question(images=(Picture.decode(jpeg),), text="a man in a red coat", top=7))
    assert [hit["image"] for hit in given["hits"]] == [hit.image for hit in answer.hits]
    assert [hit["key"] for hit in given["hits"]] == [hit.key for hit in answer.hits]
    assert [hit["score"] for hit in given["hits"]] == pytest.approx([hit.score for hit in answer.hits])
    assert (given["task"], given["view"], given["total"]) == (answer.task, answer.view, answer.total)
    assert given["route"]["reason"] == answer.route.reason


@pytest.mark.parametrize(
    ("form", "task"),
    [
        ({"images": 1}, "trad"),
        ({"images": 1, "task": "cc"}, "cc"),
        ({"images": 1, "task": "vi"}, "vi"),
        ({"images": 1, "task": "ctcc", "clothes": 9}, "ctcc"),
        ({"images": 1, "clothes": 9}, "ctcc"),
        ({"images": 1, "task": "li", "text": "a man in a red coat"}, "li"),
        ({"text": "a man in a red coat"}, "t2i"),
        ({"images": 3}, "trad"),
        ({"images": 1, "negatives": 5}, "trad"),
        ({"like": 1}, "trad"),
        ({"like": [1, 2], "unlike": [3]}, "trad"),
        ({"images": 1, "re_rank": True}, "trad"),
    ],
)
def test_each_form_of_a_query_is_answered(ask, encode, form, task):
    pictures = {"images": form.get("images", 0), "negatives": int("negatives" in form)}
    seeds = {name: [encode(seed=seed) for seed in range(count)] for name, count in pictures.items() if count}
    if "clothes" in form:
        seeds["clothes"] = encode(seed=9)
    reply = ask(**{**form, **seeds})
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["task"] == task
    assert [hit["rank"] for hit in answer["hits"]] == list(range(1, len(answer["hits"]) + 1))
    assert len(answer["hits"]) > 5


def test_pages_join_to_the_whole_list(ask, encode):
    jpeg = encode()
    whole = ask(images=[jpeg], top=12).json()["hits"]
    parts = [ask(images=[jpeg], top=4, first=first).json() for first in (0, 4, 8)]
    assert [hit for part in parts for hit in part["hits"]] == whole
    assert [part["first"] for part in parts] == [0, 4, 8]
    assert ask(images=[jpeg], first=9999, top=1).json()["hits"] == []


def test_a_filter_leaves_what_passes_it(gallery, ask):
    first = min(hit["camid"] for hit in ask().json()["hits"] if hit["camid"] is not None)
    found = ask(like=1, camids=first, top=100).json()
    assert found["total"] == gallery.facets().camids[first]
    assert {hit["camid"] for hit in found["hits"]} == {first}
    timed = ask(like=1, since=1002, until=1004, top=100).json()["hits"]
    assert {hit["taken"] for hit in timed} == {1002.0, 1003.0, 1004.0}
    assert ask(like=1, datasets="nowhere").json()["hits"] == []


def test_the_user_overrides_the_view(ask):
    routed = ask(like=1, text="ignore clothes").json()
    chosen = ask(like=1, text="ignore clothes", view="vi").json()
    assert routed["route"] is not None
    assert (chosen["view"], chosen["route"]) == ("vi", None)


def test_a_result_is_the_next_query(ask):
    third = ask().json()["hits"][2]["image"]
    assert ask(like=third).json()["hits"][0]["image"] == third


def test_an_explanation_has_maps_gates_and_words(ask, gallery):
    reply = ask(path="/v1/explain", like=1, text="a man in a red coat", image=2).json()
    assert np.shape(reply["query"]) == np.shape(reply["hit"]) == (4, 2)
    assert max(map(max, reply["hit"])) <= 1
    assert len(reply["gates"]) == 2
    assert [word for word, _ in reply["words"]] == ["a", "man", "in", "a", "red", "coat"]
    assert ask(path="/v1/explain", text="a man in a red coat", image=2).json()["query"] is None


def test_thumbnails_come_by_number(client, gallery):
    reply = client.get("/v1/images/1/thumbnail")
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.content == gallery.picture(1)
    assert Image.open(io.BytesIO(reply.content)).format == "JPEG"


@pytest.mark.parametrize("asking", [PAPER_INSTRUCTIONS, InstructionSettings(sentences="constant")])
def test_the_page_offers_the_sentence_that_the_search_says(client, gallery, asking, monkeypatch):
    monkeypatch.setattr(gallery.model, "asking", asking)
    told = {task["name"]: task["canonical"] for task in client.get("/v1/index").json()["tasks"]}
    assert told["vi"] == asking.task("vi").canonical
    assert told["t2i"] is None


def test_the_index_says_what_can_be_asked_and_no_folder(client, gallery):
    reply = client.get("/v1/index")
    told = reply.json()
    assert told["images"] == gallery.info().images
    assert {task["name"] for task in told["tasks"]} == set(gallery.info().tasks)
    assert len(next(task for task in told["tasks"] if task["name"] == "cc")["bank"]) == 20
    assert not told["can_erase"]
    assert str(gallery.catalog.folder) not in reply.text
    assert gallery.info().run not in reply.text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"text": "  "}, "the query is empty"),
        ({"like": 10**9}, "there is no image"),
        ({"like": 1, "task": "tradd"}, "did you mean 'trad'"),
        ({"like": 1, "view": "nowhere"}, "there is no view"),
        ({"like": 1, "task": "li"}, "needs a text"),
        ({"like": "one"}, "like"),
        ({"like": -1}, "like"),
        ({"like": 2**70}, "like"),
        ({"like": 1, "top": 0}, "top"),
        ({"like": 1, "top": 10**9}, "top"),
        ({"like": 1, "first": -1}, "first"),
        ({"like": 1, "since": "nan"}, "since"),
        ({"like": 1, "since": 5, "until": 3}, "ends"),
        ({"like": 1, "camids": 2**70}, "camids"),
        ({"like": 1, "modalities": "xray"}, "modality"),
        ({"like": 1, "text": "x" * 601}, "text"),
        ({"like": 1, "tex": "x"}, "there is no field 'tex' (did you mean 'text'?); known: images, negatives"),
        ({"like": 1, "since": "yesterday"}, "since: not a time; write 2026-01-31"),
        ({"like": [1] * 9}, "like"),
    ],
)
def test_a_mistake_is_one_sentence_in_json(ask, gallery, form, words):
    reply = ask(**form)
    assert reply.status_code == 422
    error = reply.json()["error"]
    assert error["code"] == "bad_input"
    assert words in error["message"]
    assert str(gallery.catalog.folder) not in reply.text


def test_a_files_name_in_place_of_the_file_is_told(client):
    reply = client.post("/v1/search", data={"images": "me.jpg"})
    told = "images: send the content of a file, not text (with curl: -F images=@FILE)"
    assert (reply.status_code, reply.json()["error"]["message"]) == (422, told)


@pytest.mark.parametrize("written", ["1970-01-01T00:16:43", "1970-01-01T01:16:43+01:00", "1003"])
def test_a_time_may_be_written_as_people_write_it(ask, written):
    taken = [hit["taken"] for hit in ask(like=1, since=written, top=100).json()["hits"]]
    assert taken and min(taken) == 1003


@pytest.mark.parametrize("text", ["a\x00b", "\u202eback", "🙂 " * 50, "'; DROP TABLE images; --", "<script>"])
def test_odd_texts_are_only_texts(ask, text):
    assert ask(like=1, text=text).status_code == 200
    assert ask(text=text).status_code == 200


@pytest.mark.parametrize("beside", [{}, {"like": 1}])
def test_a_text_longer_than_the_model_reads_is_told(ask, beside):
    words = ["coat"] * 20  # the tiny model spells: 68 letters are read
    assert "only the first 17 of the 20 words" in ask(text=" ".join(words), **beside).json()["warning"]
    assert "words" not in (ask(text=" ".join(words[:17]), **beside).json()["warning"] or "")


def test_a_search_stands_in_the_audit_without_its_text(own_gallery):
    from starlette.testclient import TestClient

    from irm.retrieval.http.app import build_app

    with TestClient(build_app(own_gallery)) as client:
        client.post("/v1/search", data={"like": 1, "text": "a secret red coat", "camids": 2})
    newest = own_gallery.audit()[0]
    assert (newest.who, newest.action) == ("http testclient", "search")
    assert "secret" not in str(newest)


def test_filters_reach_the_engine_whole(encode):
    """Every field of the engine's filter that the form has, by the same name."""
    from irm.retrieval.http.forms import SearchForm

    assert set(Filter.__dataclass_fields__) - set(SearchForm.model_fields) == {"pids"}
