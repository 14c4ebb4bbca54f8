"""The manifest of a converted folder: its files with their digests, so that damage is found on reading."""

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
    """Write the manifest: facts about the folder, and the digests of its files."""
    digests = {name: sha256_of(folder / name) for name in names}
    content = json.dumps({**facts, "files": digests}, indent=2) + "\n"
    (folder / MANIFEST).write_text(content, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a converted folder.

    Raises:
        ValueError: when there is none, or it is not JSON.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} was not written by tools.convert_weights: it has no {MANIFEST}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    return manifest


def check_file(folder: Path, name: str) -> Path:
    """The path of a folder's file, checked against the folder's manifest if it has one.

    Raises:
        ValueError: when the file is missing, or its digest differs.
    """
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{folder} has no {name}")
    if (folder / MANIFEST).is_file():
        digest = read_manifest(folder).get("files", {}).get(name)
        if digest is not None and digest != sha256_of(path):
            raise ValueError(
                f"{path} is damaged or was replaced: its sha256 differs from the one in {MANIFEST}"
            )
    return path
