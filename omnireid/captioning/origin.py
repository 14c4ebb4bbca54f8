"""The inputs of a caption file, so that nothing is matched twice or taken for something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from instructions.errors import InputError
from omnireid.captioning.attach import FILE_NAME, Caption, Coverage, read_captions, relative, write_captions
from omnireid.captioning.sources import Described, by_pixels
from omnireid.files import write_whole
from omnireid.records import Split

LEDGER = "captions.origin.json"


@dataclass(frozen=True)
class Origin:
    """The settings behind a caption file, and a digest of the images and captions that it was made of."""

    dataset: str
    variant: str | None
    sources: tuple[str, ...]
    reach: str
    inputs: str

    def __str__(self) -> str:
        variant = f" ({self.variant})" if self.variant else ""
        return f"{self.dataset}{variant}, --captions {','.join(self.sources)}, --reach {self.reach}"


@dataclass(frozen=True)
class Attached:
    """The captions of a folder, and the report on them."""

    captions: tuple[Caption, ...]
    report: tuple[str, ...]


def inputs_digest(split: Split, described: Mapping[str, Sequence[Described]], root: Path) -> str:
    """Changes with anything that the captions depend on; images that are compared by size and time."""
    digest = hashlib.sha256()
    for part in (split.train, (*split.query, *split.gallery)):
        for record in part:
            row = (relative(record.image, root), record.pid, record.camid, record.captions)
            digest.update(repr(row).encode())
        digest.update(b"end of part")
    for name, images in described.items():
        for each in images:
            digest.update(repr((name, relative(each.image, root), each.pid, each.captions)).encode())
    compared = by_pixels(split.name, described)
    if compared:
        for record in (*split.train, *split.query, *split.gallery):
            digest.update(_state(record.image))
        for name in compared:
            for each in described[name]:
                digest.update(_state(each.image))
    return digest.hexdigest()


def _state(path: str) -> bytes:
    try:
        found = Path(path).stat()
    except OSError:  # whoever reads the image says so
        return b"none"
    return f"{found.st_size} {found.st_mtime_ns}".encode()


def known_captions(folder: Path, origin: Origin) -> Attached | None:
    """The captions of a folder if they were made from exactly these inputs; else None.

    Raises:
        InputError: it holds captions that other settings made, or its files cannot be read.
    """
    path = folder / LEDGER
    if not path.is_file() or not (folder / FILE_NAME).is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        before = Origin(**{**content["origin"], "sources": tuple(content["origin"]["sources"])})
        report = tuple(content["report"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it") from None
    if replace(before, inputs=origin.inputs) != origin:
        raise InputError(
            f"{folder / FILE_NAME} was written for {before}, not for {origin}; choose another folder, or "
            "delete that file"
        )
    if before != origin:
        return None
    return Attached(tuple(read_captions(folder / FILE_NAME).values()), report)


def keep_captions(folder: Path, origin: Origin, captions: Sequence[Caption], coverage: Coverage) -> None:
    """Write the captions and what they were made of into an existing folder.

    Raises:
        InputError: it holds other captions, of which nothing says how they were made.
    """
    path = folder / FILE_NAME
    if path.is_file() and not (folder / LEDGER).is_file():
        if tuple(read_captions(path).values()) != tuple(captions):
            raise InputError(f"{path} holds other captions; choose another folder, or delete that file")
    else:
        write_captions(path, captions)
    ledger = {"origin": asdict(origin), "report": coverage.sentences()}
    write_whole(folder / LEDGER, (json.dumps(ledger, indent=1) + "\n").encode(), durable=True)
