"""A converted folder lists its files with their digests, so that a damaged one is seen when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MANIFEST = "conversion.json"


def sha256_of(path: Path) -> str:
    """A file's digest, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_manifest(folder: Path, names: Iterable[str], facts: Mapping[str, Any]) -> None:
    """Write what the folder is, and the digests of its files."""
    digests = {name: sha256_of(folder / name) for name in names}
    content = json.dumps({**facts, "files": digests}, indent=2) + "\n"
    (folder / MANIFEST).write_text(content, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a converted folder says of itself.

    Raises:
        ValueError: when it says nothing, or is not JSON.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} was not written by tools.convert_weights: it has no {MANIFEST}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    return manifest


def check_file(folder: Path, name: str) -> Path:
    """A file of a folder, which is the one that the folder's manifest lists, if it has a manifest.

    Raises:
        ValueError: when it is missing or another.
    """
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{folder} has no {name}")
    if (folder / MANIFEST).is_file():
        digest = read_manifest(folder).get("files", {}).get(name)
        if digest is not None and digest != sha256_of(path):
            raise ValueError(f"{path} is damaged or was replaced: {MANIFEST} has another sha256 for it")
    return path
