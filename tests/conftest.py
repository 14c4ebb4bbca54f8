"""What all tests share: no network, one thread, and the tiny synthetic world, drawn once a session."""

import os

# Before anything imports torch or the hub's client: results must not depend on the number of cores, and a
# test that asks the hub for something must fail at once instead of after its retries.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import socket
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, so that what passed here passes there; others: --hypothesis-profile=default.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

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
