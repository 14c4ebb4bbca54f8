"""What all tests share: no network, one thread, and the tiny synthetic world, drawn once a session."""

import os

# Before anything imports torch or the hub's client: results must not depend on the number of cores, and a
# test that asks the hub for something must fail at once instead of after its retries.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import errno
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, so that what passed here passes there; others: --hypothesis-profile=default.
settings.register_profile("deterministic", derandomize=True)
settings.load_profile("deterministic")

LOCAL = {"localhost", "127.0.0.1", "::1"}


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """Connections leave this machine for no test."""
    connect = socket.socket.connect

    def refuse(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise RuntimeError(f"a test asked for the network: {address}")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory) -> Path:
    """A data root with every data set of the tiny preset; nobody writes into it."""
    from omnireid.synthetic.presets import PRESETS
    from omnireid.synthetic.write import write_omnireid

    root = tmp_path_factory.mktemp("tiny") / "omnireid"
    write_omnireid(root, PRESETS["tiny"], seed=0, workers=1)
    return root


@pytest.fixture
def shut(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """``shut(folder)`` takes away the right to look into it, from root, too."""
    places: list[Path] = []
    access = os.access

    def is_shut(path: object) -> bool:
        return any(place in (Path(str(path)), *Path(str(path)).parents) for place in places)

    def refusing(look: Callable[..., object]) -> Callable[..., object]:
        def refuse_or_look(path: object = ".") -> object:
            if is_shut(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return look(path)

        return refuse_or_look

    monkeypatch.setattr(os, "access", lambda path, *a, **k: not is_shut(path) and access(path, *a, **k))
    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    monkeypatch.setattr(os, "supports_effective_ids", {os.access})

    def shutter(folder: Path) -> Path:
        places.append(folder)
        return folder

    return shutter
