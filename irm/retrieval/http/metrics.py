"""Counts and times of requests for Prometheus, by the address's pattern: nobody is in them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

KIND = CONTENT_TYPE_PLAIN_0_0_4
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Metrics:
    """What one server answered since it started; may be used by many threads."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        """Begin to count; ``waiting`` says how many searches wait for the model."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "instruct_reid_requests",
            "Responses by method, route pattern and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "instruct_reid_request_seconds",
            "Time from a request's headers to the end of its response.",
            ("route",),
            buckets=BOUNDS,
            registry=self._registry,
        )
        gauge = Gauge(
            "instruct_reid_searches_waiting", "Searches waiting for the model.", registry=self._registry
        )
        gauge.set_function(waiting)

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            method: Of the request.
            route: The pattern of its address: of those there are few, whatever is asked.
            status: Of the answer.
            seconds: From the request's head to the answer's end.
        """
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self._registry)
