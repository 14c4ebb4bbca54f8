"""Programs started as a user starts them: alone, or two processes by torchrun."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(*arguments):
    """A Python program in a process of its own."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def torchrun(*arguments):
    """Two processes; they find each other through a free port of this machine."""
    return start("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments)


def ended(process):
    """What a program said that ended well."""
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return told


def wait_until(happened, seconds=300):
    """Look again and again; whether it happened in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.005)
    return False


def num_rows(folder):
    """Steps that a run has logged."""
    log = folder / "metrics.jsonl"
    return log.read_text().count("\n") if log.exists() else 0


def trace(folder, *keys):
    """What a run logged of each step: all but the time that it took, or some of it."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    timed = {"seconds", "wait_seconds"}
    return [{key: row[key] for key in keys or row if key not in timed} for row in rows]
