"""After an erasure nothing that the server says reveals the person."""

import pytest
from starlette.testclient import TestClient

from irm.retrieval.catalog import sole_indexer
from irm.retrieval.http.app import build_app
from irm.retrieval.http.settings import ServerSettings

TOKEN = "a-token-of-the-tests"


@pytest.fixture
def client(own_gallery):
    with TestClient(build_app(own_gallery, ServerSettings(token=TOKEN))) as opened:
        opened.headers["Authorization"] = f"Bearer {TOKEN}"
        yield opened


def test_an_erased_person_is_in_no_answer(client):
    hits = client.post("/v1/search", data={"like": 1, "top": 100}).json()["hits"]
    person = hits[0]["pid"]
    images = [hit["image"] for hit in hits if hit["pid"] == person]
    before = client.get("/v1/index").json()
    receipt = client.post("/v1/erase", data={"pids": person})
    assert receipt.status_code == 200, receipt.text
    assert receipt.json()["images"] == len(images) > 1
    assert receipt.json()["found"] == 0
    other = next(hit["image"] for hit in hits if hit["pid"] != person)
    queries = [{"like": other, "task": task} for task in ("trad", "cc", "vi")]
    queries += [{"like": other, "text": "a man in a red coat"}, {"text": "a man in a red coat"}]
    for query in queries:
        answer = client.post("/v1/search", data={**query, "top": 100}).json()
        assert answer["total"] == len(hits) - len(images)
        assert not {hit["image"] for hit in answer["hits"]} & set(images)
        assert all(hit["pid"] != person for hit in answer["hits"])
    for image in images:
        assert client.get(f"/v1/images/{image}").status_code == 404
        assert client.get(f"/v1/images/{image}/thumbnail").status_code == 404
        assert client.post("/v1/search", data={"like": image}).status_code == 422
        assert client.post("/v1/explain", data={"like": other, "image": image}).status_code == 422
    after = client.get("/v1/index").json()
    assert after["images"] == before["images"] - len(images)
    assert after["people"] == before["people"] - 1


def test_whoever_erases_stands_in_the_audit(client, own_gallery):
    client.post("/v1/erase", data={"images": 1})
    newest = own_gallery.audit()[0]
    assert (newest.who, newest.action) == ("http testclient", "erase")


def test_an_erasure_of_nobody_is_refused(client):
    assert client.post("/v1/erase", data={}).status_code == 422
    assert client.post("/v1/erase", data={"pids": 12345}).status_code == 422


def test_an_erasure_beside_an_indexing_is_to_be_asked_again(client, own_gallery):
    with sole_indexer(own_gallery.catalog.folder):
        reply = client.post("/v1/erase", data={"images": 1})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "busy")
    assert int(reply.headers["retry-after"]) > 0
    assert client.post("/v1/erase", data={"images": 1}).status_code == 200


def test_without_a_token_nobody_erases(own_gallery):
    with TestClient(build_app(own_gallery)) as client:
        reply = client.post("/v1/erase", data={"images": 1})
        assert reply.status_code == 403
        assert "--token" in reply.json()["error"]["message"]
        assert client.get("/v1/images/1").status_code == 200
