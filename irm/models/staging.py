"""Folders written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write into; on success its files move to ``folder``, on failure they are deleted.

    A new folder appears in one step; in one that exists each file is replaced in one step.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield stage
        files = sorted(stage.iterdir())
        for file in files:
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        if folder.exists():
            for file in files:
                file.replace(folder / file.name)
        else:
            stage.chmod(0o755)  # mkdtemp creates it readable by its owner only
            stage.replace(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
