"""What stands before every request: token, host, size, pace; and what leaves in headers and logs."""

import asyncio
import logging
import resource
import sqlite3

import pytest
from starlette.testclient import TestClient

from instructions.errors import InputError
from irm.retrieval.http.app import OPEN, PAGES, build_app
from irm.retrieval.http.guard import Guard, host_of
from irm.retrieval.http.metrics import Metrics
from irm.retrieval.http.settings import Limits, ServerSettings, is_loopback, settings_for

TOKEN = "a-token-of-the-tests"


@pytest.fixture
def serve(gallery):
    def serve(**settings):
        return TestClient(build_app(gallery, ServerSettings(**settings)), raise_server_exceptions=False)

    return serve


def test_with_a_token_only_what_says_nothing_of_anybody_is_open(serve):
    with serve(token=TOKEN) as client:
        document = client.get("/openapi.json").json()
        for path, methods in document["paths"].items():
            address = path.replace("{image}", "1")
            for method in methods:
                status = client.request(method, address).status_code
                assert (status == 401) == (path not in OPEN), address
        assert all(client.get(page).status_code == 200 for page in PAGES)
        assert client.get("/nowhere").status_code == 401
        for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer \xff"):
            headers = {"Authorization": wrong.encode("latin-1")}
            assert client.get("/v1/index", headers=headers).status_code == 401
        assert client.get("/v1/index", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_a_server_that_others_reach_wants_a_token():
    for host in ("0.0.0.0", "::", "192.168.1.4", "camera.example"):
        with pytest.raises(InputError, match="requires a token"):
            settings_for(host, None)
        assert settings_for(host, TOKEN).token == TOKEN
    assert settings_for("127.0.0.1", None).token is None
    with pytest.raises(InputError, match="at least 16"):
        settings_for("127.0.0.1", "short")


def test_this_machine_is_known_by_its_names():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost")] == [
        True
    ] * 5
    assert [is_loopback(host) for host in ("0.0.0.0", "10.0.0.1", "localhost.evil.example", "")] == [
        False
    ] * 4
    assert host_of("127.0.0.1:8000") == "127.0.0.1"
    assert host_of("[::1]:8000") == "[::1]"


def test_without_a_token_no_foreign_name_is_answered_to(gallery):
    """A page elsewhere may have its own name point to this machine (DNS rebinding)."""
    with TestClient(build_app(gallery, settings_for("127.0.0.1", None))) as client:
        assert client.get("/v1/index", headers={"Host": "evil.example"}).status_code == 421
        assert client.get("/v1/index", headers={"Host": "localhost:8000"}).status_code == 200


def test_a_body_over_the_limit_is_refused_however_it_comes(serve):
    with serve(limits=Limits(body_bytes=10_000)) as client:
        whole = client.post("/v1/search", data={"text": "x" * 20_000})
        piecemeal = client.post(
            "/v1/search",
            content=(b"x" * 1000 for _ in range(20)),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
        for reply in (whole, piecemeal):
            assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")


def test_a_body_that_does_not_come_is_given_up():
    async def endless(scope, receive, send):
        while True:
            await receive()

    async def never():
        await asyncio.sleep(60)

    sent = []

    async def send(message):
        sent.append(message)

    guard = Guard(endless, ServerSettings(limits=Limits(body_seconds=0.05)), OPEN, Metrics(int))
    scope = {"type": "http", "method": "POST", "path": "/v1/search", "headers": [], "client": None}
    asyncio.run(guard(scope, never, send))
    assert sent[0]["status"] == 408


def test_too_many_requests_at_once_are_asked_to_come_again(serve):
    with serve(limits=Limits(requests=0)) as client:
        reply = client.get("/healthz")
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) > 0


def test_every_answer_carries_the_safe_headers(client):
    for address in ("/", "/main.js", "/v1/index", "/v1/images/1/thumbnail", "/nowhere"):
        headers = client.get(address).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


def test_errors_of_the_protocol_are_json_too(client):
    for reply, code in (
        (client.get("/nowhere"), "not_found"),
        (client.get("/v1/search"), "method_not_allowed"),
        (client.get("/v1/images/one"), "bad_input"),
        (client.get("/v1/images/999999"), "not_found"),
        (client.get("/docs"), "not_found"),
        (client.get("/v1/images/..%2f..%2fetc%2fpasswd/thumbnail"), "not_found"),
        (
            client.post("/v1/search", content=b"x", headers={"Content-Type": "multipart/form-data"}),
            "bad_request",
        ),
    ):
        assert reply.json()["error"]["code"] == code, reply.text
    assert client.get("/v1/search").json()["error"]["message"] == "this address accepts POST"
    assert "/openapi.json describes the API" in client.get("/nowhere").json()["error"]["message"]


def test_what_is_no_form_is_refused_as_such(client):
    for address in ("/v1/search", "/v1/explain", "/v1/erase"):
        reply = client.post(address, json={"text": "a man in a red coat"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (415, "kind_not_taken")
        assert "multipart/form-data" in reply.json()["error"]["message"]


def test_whether_it_lives_can_be_asked_without_a_body(client):
    for address in ("/healthz", "/readyz", *PAGES):
        reply = client.head(address)
        assert (reply.status_code, reply.content) == (200, b""), address


def test_the_document_says_what_asks_for_a_token(serve):
    with serve(token=TOKEN) as client:
        document = client.get("/openapi.json").json()
    (name, scheme), *others = document["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"], others) == ("http", "bearer", [])
    for path, methods in document["paths"].items():
        for told in methods.values():
            assert told.get("security", []) == ([] if path in OPEN else [{name: []}])
    with serve() as client:
        assert "securitySchemes" not in client.get("/openapi.json").json()["components"]


def test_a_bug_is_an_error_without_its_trace(gallery, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(gallery, "search_many", fail)
    with TestClient(build_app(gallery), raise_server_exceptions=False) as client:
        reply = client.post("/v1/search", data={"like": 1})
        assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal")
        assert "secret" not in reply.text
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [
        (sqlite3.OperationalError("database is locked"), 503, "busy"),
        (sqlite3.OperationalError("database or disk is full"), 503, "busy"),
        (sqlite3.OperationalError("disk I/O error"), 503, "busy"),
        (sqlite3.OperationalError("unable to open database file"), 500, "internal"),
        (sqlite3.DatabaseError("database disk image is malformed"), 500, "internal"),
    ],
)
def test_trouble_of_the_server_is_not_laid_to_who_asks(gallery, monkeypatch, trouble, status, code):
    def fail(*_, **__):
        with gallery.catalog.errors():
            raise trouble

    for name in ("search_many", "held", "picture"):
        monkeypatch.setattr(gallery, name, fail)
    with TestClient(build_app(gallery)) as client:
        for reply in (
            client.post("/v1/search", data={"like": 1}),
            client.get("/v1/images/1"),
            client.get("/v1/images/1/thumbnail"),
        ):
            assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
            assert ("retry-after" in reply.headers) == (status == 503)
            assert str(gallery.catalog.folder) not in reply.text


def test_a_store_that_cannot_be_read_is_not_ready(own_gallery):
    with TestClient(build_app(own_gallery)) as client:
        assert client.get("/readyz").status_code == 200
        for file in own_gallery.catalog.folder.glob("gallery.db*"):
            file.unlink()
        reply = client.get("/readyz")
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "busy")
        assert not own_gallery.catalog.file.exists()
        assert client.get("/healthz").status_code == 200


def test_where_a_search_finds_no_room_for_its_line_the_server_is_not_ready(own_gallery):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with TestClient(build_app(own_gallery)) as client:
        assert client.post("/v1/search", data={"like": 1}).status_code == 200
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))  # no file may grow, as on a full disk
        try:
            replies = client.post("/v1/search", data={"like": 1}), client.get("/readyz")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [reply.status_code for reply in replies] == [503, 503]
        assert "is first written to the audit trail" in replies[1].json()["error"]["message"]
        assert [reply.headers["retry-after"] for reply in replies] == ["5", "5"]
        for reply in (client.post("/v1/search", data={"like": 1}), client.get("/readyz")):
            assert reply.status_code == 200


def test_the_log_names_neither_words_nor_pictures(client, encode, caplog):
    with caplog.at_level(logging.DEBUG, logger="irm.retrieval.http"):
        client.post(
            "/v1/search?q=hush", data={"text": "a secret coat"}, files={"images": ("mine.jpg", encode())}
        )
    (line,) = [record.message for record in caplog.records if record.name.startswith("irm.retrieval.http")]
    assert "POST /v1/search 200" in line
    assert not any(word in line for word in ("hush", "secret", "mine"))


def test_a_request_writes_one_line_whatever_its_path_says(client, caplog):
    with caplog.at_level(logging.INFO, logger="irm.retrieval.http"):
        client.get("/x%0a10.0.0.9 POST /v1/erase 200%0d%1b[2K%e2%80%a8")
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("irm.")]
    assert line.isprintable()
    assert "GET /x%0A10.0.0.9%20POST" in line


def test_the_server_is_ready_until_it_closes(serve):
    with serve() as client:
        assert client.get("/healthz").json()["status"] == "alive"
        assert client.get("/readyz").json()["status"] == "ready"
        service = client.app.state.service
    assert service.is_closing


def test_the_document_describes_every_address_and_its_errors(client):
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/healthz", "/readyz", "/metrics", "/v1/index", "/v1/search", "/v1/explain", "/v1/erase",
        "/v1/images/{image}", "/v1/images/{image}/thumbnail",
    }  # fmt: skip
    form = document["components"]["schemas"]["SearchForm"]["properties"]
    assert all("description" in form[name] for name in form)
    assert "503" in document["paths"]["/v1/search"]["post"]["responses"]
