"""What was erased, or had expired, stays out: a folder that still has the file does not bring it back.

Of a picture a keyed digest stays, from which nothing can be read; whoever has the very file, and the store,
can tell that it was here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Sequence

from instructions.errors import InputError
from irm.retrieval.ledger import Ledger

KEY = "forgotten key"  # a fact of the ledger


class ForgottenError(InputError):
    """A picture was here, and was erased or has expired."""


def remember(ledger: Ledger, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Note digests of images that go, within a transaction."""
    connection.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (KEY, secrets.token_hex(32)))
    key = ledger.fact(KEY) or ""
    digests = [(_digest(key, image.content),) for image in ledger.images(list(ids)).values()]
    connection.executemany("INSERT OR IGNORE INTO forgotten VALUES (?)", digests)


def refuse(ledger: Ledger, content: str) -> None:
    """Let nobody in again who was forgotten.

    Args:
        ledger: The record.
        content: Hash of the picture and of what stands beside it.

    Raises:
        ForgottenError: It was here.
    """
    if _is_known(ledger, _digest(ledger.fact(KEY) or "", content)):
        raise ForgottenError("it was erased, or had expired; --again takes it in")


def take_back(ledger: Ledger, content: str) -> None:
    """Let somebody in again."""
    digest = _digest(ledger.fact(KEY) or "", content)
    if not _is_known(ledger, digest):  # a write waits for the disk, and most pictures never were here
        return
    with ledger.writing(is_gallery=False) as connection:
        connection.execute("DELETE FROM forgotten WHERE digest = ?", (digest,))


def _is_known(ledger: Ledger, digest: bytes) -> bool:
    found = ledger.connection.execute("SELECT 1 FROM forgotten WHERE digest = ?", (digest,))
    return found.fetchone() is not None


def _digest(key: str, content: str) -> bytes:
    return hmac.new(key.encode(), content.encode(), hashlib.sha256).digest()
