"""Counts and times of requests in Prometheus's text format, by the address's pattern: nobody is in them."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping

KIND = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds


class Metrics:
    """What was answered since the server started; may be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._times: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self._sums: dict[str, float] = defaultdict(float)

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            method: Of the request.
            route: The pattern of its address: of those there are few, whatever is asked.
            status: Of the answer.
            seconds: From the request's head to the answer's end.
        """
        with self._lock:
            self._counts[method, route, status] += 1
            self._times[route][sum(seconds > bound for bound in BOUNDS)] += 1
            self._sums[route] += seconds

    def text(self, gauges: Mapping[str, float]) -> str:
        """All of it, and some values of this moment by their names."""
        lines = ["# TYPE instruct_reid_requests_total counter"]
        with self._lock:
            for (method, route, status), count in sorted(self._counts.items()):
                labels = f'method="{method}",route="{route}",status="{status}"'
                lines.append(f"instruct_reid_requests_total{{{labels}}} {count}")
            lines.append("# TYPE instruct_reid_request_seconds histogram")
            for route, counts in sorted(self._times.items()):
                name, total = "instruct_reid_request_seconds", 0
                for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
                    total += count
                    lines.append(f'{name}_bucket{{route="{route}",le="{bound}"}} {total}')
                lines.append(f'{name}_sum{{route="{route}"}} {self._sums[route]:.6f}')
                lines.append(f'{name}_count{{route="{route}"}} {total}')
        for name, value in gauges.items():
            lines += [f"# TYPE instruct_reid_{name} gauge", f"instruct_reid_{name} {value:g}"]
        return "\n".join(lines) + "\n"
