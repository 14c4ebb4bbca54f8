"""Erased and expired images stay out, even if the folder that is indexed still has their files.

A keyed digest of each image is kept. Nothing can be read from it; only somebody who has both the very file
and the store can tell that the image was here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Sequence

from instructions.errors import InputError
from irm.retrieval.catalog import Catalog

KEY = "forgotten key"  # in the metadata


class ForgottenError(InputError):
    """An image was erased or has expired before."""


def remember(catalog: Catalog, connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Keep digests of images that are being erased, within a transaction."""
    connection.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (KEY, secrets.token_hex(32)))
    key = catalog.metadata(KEY) or ""
    digests = [(_digest(key, image.content),) for image in catalog.images(list(ids)).values()]
    connection.executemany("INSERT OR IGNORE INTO forgotten VALUES (?)", digests)


def refuse(catalog: Catalog, content: str) -> None:
    """Refuse an image that was erased or has expired.

    Args:
        catalog: The record.
        content: Hash of the image, its captions and its clothes image.

    Raises:
        ForgottenError: It was.
    """
    if _is_known(catalog, _digest(catalog.metadata(KEY) or "", content)):
        raise ForgottenError("it was erased or has expired; pass --again to index it anyway")


def remove(catalog: Catalog, content: str) -> None:
    """Forget that an image was erased, so that it can be indexed again."""
    digest = _digest(catalog.metadata(KEY) or "", content)
    if not _is_known(catalog, digest):  # a write waits for the disk, and most images were never erased
        return
    with catalog.writing(is_gallery=False) as connection:
        connection.execute("DELETE FROM forgotten WHERE digest = ?", (digest,))


def _is_known(catalog: Catalog, digest: bytes) -> bool:
    found = catalog.connection.execute("SELECT 1 FROM forgotten WHERE digest = ?", (digest,))
    return found.fetchone() is not None


def _digest(key: str, content: str) -> bytes:
    return hmac.new(key.encode(), content.encode(), hashlib.sha256).digest()
