"""Many concurrent clients of one server: answers per second, latency, errors, and the server's memory.

python -m tools.index RUN --images DIR --store DIR
python -m benchmarks.serve --store DIR --pictures DIR --clients 200 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tools import _program

TASKS = ("trad", "cc", "vi")
WORDS = ("a man in a red coat", "ignore clothes", "a woman with a blue dress", "find them in infrared")
PATIENCE = 120.0  # seconds a client waits for an answer


@dataclass
class Seen:
    """Measurements of all clients together."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"search": [], "thumbnail": []})
    refused: Counter[str] = field(default_factory=Counter)  # any status but 200, and broken connections
    resident: list[int] = field(default_factory=list)  # MiB of the server, every second
    processor: list[float] = field(default_factory=list)  # CPU seconds used by the server, likewise


async def client(
    http: httpx2.AsyncClient,
    images: list[bytes],
    seen: Seen,
    rng: random.Random,
    end: float,
    text_alone: float,
) -> None:
    """Search, fetch a few thumbnails, search again, without pauses."""
    while time.monotonic() < end:
        form: dict[str, str] = {"top": "20"}
        files = {"images": ("image", rng.choice(images))}
        draw = rng.random()
        if draw < text_alone:
            form["text"], files = rng.choice(WORDS), {}
        elif draw < 0.5:
            form["text"] = rng.choice(WORDS)
        else:
            form["task"] = rng.choice(TASKS)
        answer = await timed(http, "search", seen, "POST", "/v1/search", data=form, files=files or None)
        if answer is None:
            await asyncio.sleep(1)
            continue
        for hit in rng.sample(answer.json()["hits"], 3):
            await timed(http, "thumbnail", seen, "GET", f"/v1/images/{hit['image']}/thumbnail")


async def timed(
    http: httpx2.AsyncClient, what: str, seen: Seen, method: str, path: str, **body: object
) -> httpx2.Response | None:
    begun = time.monotonic()
    try:
        answer = await http.request(method, path, **body)
    except httpx2.HTTPError as error:
        seen.refused[type(error).__name__] += 1
        return None
    if answer.status_code != 200:
        seen.refused[str(answer.status_code)] += 1
        return None
    seen.seconds[what].append(time.monotonic() - begun)
    return answer


async def watch(pid: int, seen: Seen) -> None:
    while True:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        seen.resident.append(int(found[1]) // 1024)
        used = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        seen.processor.append((int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK"))
        await asyncio.sleep(1)


async def drive(address: str, pid: int, asked: argparse.Namespace, images: list[bytes]) -> Seen:
    seen = Seen()
    limits = httpx2.Limits(max_connections=asked.clients, max_keepalive_connections=asked.clients)
    async with httpx2.AsyncClient(base_url=address, timeout=PATIENCE, limits=limits) as http:
        end = time.monotonic() + asked.seconds
        rngs = [random.Random(number) for number in range(asked.clients)]
        clients = [client(http, images, seen, rng, end, asked.text_alone) for rng in rngs]
        watcher = asyncio.create_task(watch(pid, seen))
        await asyncio.gather(*clients)
        watcher.cancel()
    return seen


@contextmanager
def server(store: Path) -> Iterator[tuple[str, int]]:
    """Start the program itself on a free port: its address and process id."""
    command = [sys.executable, "-u", "-m", "tools.serve", "--store", str(store), "--port", "0", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield (
                next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line))),
                process.pid,
            )
        finally:
            process.terminate()
            process.wait()


def summary(seen: Seen, seconds: float) -> dict[str, object]:
    told: dict[str, object] = {"refused": dict(seen.refused)}
    for what, times in seen.seconds.items():
        cuts = statistics.quantiles(times, n=100, method="inclusive")
        told[what] = {
            "answers": len(times),
            "a_second": round(len(times) / seconds, 1),
            **{name: round(cuts[place - 1], 3) for name, place in (("p50", 50), ("p90", 90), ("p99", 99))},
            "max": round(max(times), 3),
        }
    used = seen.processor[-1] - seen.processor[0]
    told["server_cpu"] = {
        "seconds": round(used, 1),
        "ms_a_search": round(1000 * used / len(seen.seconds["search"]), 1),
    }
    third = max(1, len(seen.resident) // 3)
    told["server_mib"] = {
        "begin": seen.resident[0],
        "middle_third_max": max(seen.resident[third : 2 * third]),
        "last_third_max": max(seen.resident[-third:]),
    }
    return told


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--store", type=Path, required=True, help="a gallery")
    made.add_argument("--pictures", type=Path, required=True, help="folder of JPEGs to ask with")
    made.add_argument("--clients", type=int, default=200)
    made.add_argument("--seconds", type=float, default=60)
    made.add_argument("--text-alone", type=float, default=0.02, help="share of searches without an image")
    asked = made.parse_args()
    images = [path.read_bytes() for path in sorted(asked.pictures.glob("*.jpg"))[:64]]
    with server(asked.store) as (address, pid):
        begun = time.monotonic()
        seen = asyncio.run(drive(address, pid, asked, images))
        seconds = time.monotonic() - begun
    print(
        json.dumps(
            {"clients": asked.clients, "seconds": round(seconds, 1), **summary(seen, seconds)}, indent=2
        )
    )


if __name__ == "__main__":
    _program.run(main)
