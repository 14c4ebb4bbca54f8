"""Metrics: what was answered is counted by its address's pattern, and the text is Prometheus's."""

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from irm.retrieval.http.app import build_app
from irm.retrieval.http.metrics import BOUNDS, Metrics
from irm.retrieval.http.settings import ServerSettings

TOKEN = "a-token-of-the-tests"
SECONDS = "instruct_reid_request_seconds"


def values(text: str) -> dict[tuple[str, frozenset], float]:
    """Every sample by its name and labels."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def named(name: str, **labels: str) -> tuple[str, frozenset]:
    return name, frozenset(labels.items())


def test_a_time_is_counted_in_every_bucket_that_reaches_it():
    metrics, route = Metrics(lambda: 3), "/v1/search"
    for seconds in (0.001, 0.05, 0.07, 1000.0):
        metrics.saw("POST", route, 200, seconds)
    told = values(metrics.text().decode())
    for bound in BOUNDS:
        expected = sum(seconds <= bound for seconds in (0.001, 0.05, 0.07, 1000.0))
        assert told[named(f"{SECONDS}_bucket", route=route, le=str(bound))] == expected
    assert told[named(f"{SECONDS}_count", route=route)] == 4
    assert told[named(f"{SECONDS}_sum", route=route)] == 1000.121
    assert told[named("instruct_reid_searches_waiting")] == 3


def test_requests_are_counted_by_pattern_and_name_nobody(client):
    for path in ("/v1/images/1", "/v1/images/2", "/v1/images/999999", "/nowhere", "/%22%0A"):
        client.get(path)
    client.post("/v1/search", data={"like": 1, "text": "a secret coat"})
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = values(reply.text)
    for method, route, status, count in (
        ("GET", "/v1/images/{image}", "200", 2),
        ("GET", "/v1/images/{image}", "404", 1),
        ("other", "other", "404", 2),
        ("POST", "/v1/search", "200", 1),
    ):
        assert told[named("instruct_reid_requests_total", method=method, route=route, status=status)] == count
    assert "secret" not in reply.text


def test_two_servers_of_one_process_count_apart(gallery):
    with (
        TestClient(build_app(gallery, ServerSettings())) as one,
        TestClient(build_app(gallery, ServerSettings())) as two,
    ):
        one.get("/healthz")
        assert "/healthz" in one.get("/metrics").text
        assert "/healthz" not in two.get("/metrics").text


def test_metrics_ask_for_the_token_where_there_is_one(gallery):
    with TestClient(build_app(gallery, ServerSettings(token=TOKEN))) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
