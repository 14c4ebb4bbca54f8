"""Where weights come from: a local file or folder, or a hub repository at a commit that is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HTTPError

# Files of a hub repository that tools.convert_weights or tools.export_backbone wrote.
CONVERTED = ("*.json", "*.safetensors", "vocab.txt")
HUB = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})(?::(?P<file>[\w./-]+))?")


def is_hub_source(source: str | Path) -> bool:
    """Whether this reads ``owner/name@COMMIT`` or ``owner/name@COMMIT:FILE``."""
    return HUB.fullmatch(str(source)) is not None


def local_file(source: str | Path) -> Path:
    """A checkpoint on this disk; a hub file is downloaded once.

    Args:
        source: a path, or ``owner/name@COMMIT:FILE``.

    Raises:
        ValueError: when there is none.
    """
    found = HUB.fullmatch(str(source))
    if found is None or found["file"] is None:
        _check(source, Path(source).is_file(), "checkpoint")
        return Path(source)
    return _from_hub(
        source, lambda: hf_hub_download(found["repository"], found["file"], revision=found["revision"])
    )


def local_folder(source: str | Path, patterns: tuple[str, ...]) -> Path:
    """A folder on this disk; one of the hub is downloaded once.

    Args:
        source: a path, or ``owner/name@COMMIT``.
        patterns: which of a hub repository's files are wanted.

    Raises:
        ValueError: when there is none.
    """
    found = HUB.fullmatch(str(source))
    if found is None or found["file"] is not None:
        _check(source, Path(source).is_dir(), "folder")
        return Path(source)
    return _from_hub(
        source,
        lambda: snapshot_download(
            found["repository"], revision=found["revision"], allow_patterns=list(patterns)
        ),
    )


def _check(source: str | Path, exists: bool, kind: str) -> None:
    if exists:
        return
    hint = ""
    if re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w.-]+)?(:.+)?", str(source)):
        hint = "; for a hub repository write owner/name@COMMIT with the full 40-digit commit"
    raise ValueError(f"there is no {kind} {source}{hint}")


def _from_hub(source: str | Path, download: Callable[[], str]) -> Path:
    try:
        return Path(download())
    except (OSError, HTTPError, EntryNotFoundError) as error:
        first = " ".join(str(error).split("\n")[0].split())
        raise ValueError(
            f"{source} is not in the local hub cache and cannot be downloaded now: {first}"
        ) from None
