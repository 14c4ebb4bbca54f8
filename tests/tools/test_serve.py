"""The server program: what it refuses before it listens, and a whole life from start to SIGTERM."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tools._program import run
from tools.serve import TOKEN, _config, main

ROOT = Path(__file__).parents[2]


def program(monkeypatch, *arguments):
    """Exit code of the program, run in this process."""
    monkeypatch.delenv(TOKEN, raising=False)
    monkeypatch.setattr(sys, "argv", ["tools.serve", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run(main)
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--store", "/nowhere/at/all", "--port", "0"], "/nowhere/at/all"),
        (["--store", "x", "--host", "0.0.0.0"], "requires a token"),
        (["--store", "x", "--host", "0.0.0.0", "--token", "short"], "at least 16"),
        (["--store", "x", "--port", "70000"], "--port is 70000"),
        (["--store", "x", "--queue", "0"], "--queue is 0"),
        (["--store", "x", "--proxy", "*"], "--proxy is '*'"),
        (["--store", "x", "--host", "nobody.invalid", "--token", "a-token-of-the-tests"], "cannot listen"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(monkeypatch, capsys, arguments, complaint):
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert program(monkeypatch, *arguments) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_taken_port_is_one_sentence(monkeypatch, capsys, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert program(monkeypatch, "--store", tmp_path, "--port", port) == 2
    signal.signal(signal.SIGTERM, before)
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); choose" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("proxy", "client"), [(None, "127.0.0.1"), ("127.0.0.1", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1")]
)
def test_only_the_proxy_says_who_asks(proxy, client):
    from irm.retrieval.http.settings import ServerSettings

    seen = []

    async def app(scope, receive, send):
        seen.append(scope["client"][0])

    config = _config(app, ServerSettings(), proxy)
    config.load()
    headers = [(b"x-forwarded-for", b"203.0.113.9")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": ("127.0.0.1", 1)}
    scope |= {"asgi": {"version": "3.0"}, "scheme": "http"}
    asyncio.run(config.loaded_app(scope, None, None))
    assert seen == [client]


@pytest.mark.slow
def test_it_serves_until_it_is_told_to_stop(tmp_path, tiny_root):
    import torch

    from irm.build import build_irm
    from irm.config import dump, read_run
    from irm.retrieval import Gallery, items_of_folder

    sheet = read_run(ROOT / "configs/irm/tiny.yaml", [f"data={tiny_root}", "loader.workers=0"])
    torch.manual_seed(0)
    build_irm(sheet)[0].save_pretrained(tmp_path / "run" / "model")
    (tmp_path / "run" / "config.yaml").write_text(dump(sheet))
    pictures = next(path.parent for path in tiny_root.rglob("*.jpg"))
    with Gallery.create(tmp_path / "store", tmp_path / "run") as gallery:
        count = gallery.add(items_of_folder(pictures)).added
    token = "a-token-of-the-tests"
    command = [sys.executable, "-m", "tools.serve", "--store", tmp_path / "store", "--port", "0"]
    environment = {**os.environ, TOKEN: token, "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        try:
            address = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+/", line)))
            asked = urllib.request.Request(f"{address}v1/index", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(asked, timeout=20) as reply:
                assert f'"images":{count},'.encode() in reply.read()
            with urllib.request.urlopen(address, timeout=20) as reply:
                assert b"<!doctype html>" in reply.read()
            process.send_signal(signal.SIGTERM)
            told, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert told.rstrip().endswith("stopped")
    assert "GET /v1/index 200" in log
    assert token not in log + told
