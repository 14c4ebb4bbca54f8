"""Metrics: what was answered is counted by its address's pattern, and the text is Prometheus's."""

import re

from starlette.testclient import TestClient

from irm.retrieval.http.app import build_app
from irm.retrieval.http.metrics import BOUNDS, Metrics
from irm.retrieval.http.settings import ServerSettings

TOKEN = "a-token-of-the-tests"
LINE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? [0-9.e+-]+')


def values(text: str) -> dict[str, float]:
    """Every sample by its name and labels; each line is a comment or a sample."""
    lines = [line for line in text.splitlines() if not line.startswith("# TYPE ")]
    assert all(LINE.fullmatch(line) for line in lines)
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_time_is_counted_in_every_bucket_that_reaches_it():
    metrics = Metrics()
    for seconds in (0.001, 0.05, 0.07, 1000.0):
        metrics.saw("POST", "/v1/search", 200, seconds)
    told = values(metrics.text({"searches_waiting": 3}))
    name = 'instruct_reid_request_seconds_bucket{route="/v1/search",le="%s"}'
    for bound in BOUNDS:
        assert told[name % bound] == sum(seconds <= bound for seconds in (0.001, 0.05, 0.07, 1000.0))
    assert told[name % "+Inf"] == told['instruct_reid_request_seconds_count{route="/v1/search"}'] == 4
    assert told['instruct_reid_request_seconds_sum{route="/v1/search"}'] == 1000.121
    assert told["instruct_reid_searches_waiting"] == 3


def test_requests_are_counted_by_pattern_and_name_nobody(client):
    for path in ("/v1/images/1", "/v1/images/2", "/v1/images/999999", "/nowhere", "/%22%0A"):
        client.get(path)
    client.post("/v1/search", data={"like": 1, "text": "a secret coat"})
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = values(reply.text)
    name = 'instruct_reid_requests_total{method="%s",route="%s",status="%s"}'
    assert told[name % ("GET", "/v1/images/{image}", 200)] == 2
    assert told[name % ("GET", "/v1/images/{image}", 404)] == 1
    assert told[name % ("other", "other", 404)] == 2
    assert told[name % ("POST", "/v1/search", 200)] == 1
    assert "secret" not in reply.text


def test_metrics_ask_for_the_token_where_there_is_one(gallery):
    with TestClient(build_app(gallery, ServerSettings(token=TOKEN))) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
