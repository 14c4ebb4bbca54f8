"""The cache of continuations: appended as they come, requested once, intact after crashes (MLLM 3.2)."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from instructions.errors import InputError

FILE_NAME = "continuations.jsonl"


@dataclass(frozen=True, slots=True)
class Continuation:
    """An answer of a language model; ``text`` is trained on, and empty where the answer was unusable."""

    key: str
    caption: str
    text: str
    answer: str  # as the model gave it
    model: str
    flags: tuple[str, ...] = ()  # truncated, empty, copied, asked twice


def question_key(caption: str, asked: Mapping[str, Any]) -> str:
    """What identifies a question: the caption, and all that shapes the answer to it."""
    content = json.dumps({"caption": caption, **asked}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:24]


class ContinuationCache:
    """Continuations of one file, by key; a last line torn by a crash is cut off when the next ones are added.

    Reading changes nothing, so that a training run may read what another process still writes.
    """

    def __init__(self, path: Path) -> None:
        """Open or begin a cache.

        Raises:
            InputError: when a line other than the last cannot be read.
        """
        self._path = path
        self._known: dict[str, Continuation] = {}
        self._whole = 0  # bytes of whole lines
        if path.exists():
            self._read()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def get(self, key: str) -> Continuation | None:
        """The continuation of a key, None where it was never asked for."""
        return self._known.get(key)

    def add(self, continuations: Sequence[Continuation]) -> None:
        """Append a batch and wait until the disk has it."""
        lines = "".join(
            json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in continuations
        ).encode()
        with self._path.open("a+b") as file:
            file.seek(self._whole)
            if b"\n" not in file.read():  # half a line at most
                file.truncate(self._whole)
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._whole += len(lines)
        self._known.update({each.key: each for each in continuations})

    def models(self, captions: Container[str]) -> dict[str, int]:
        """How many of these captions' continuations, empty ones left out, each model wrote."""
        return dict(
            Counter(each.model for each in self._known.values() if each.text and each.caption in captions)
        )

    def by_caption(self) -> dict[str, tuple[str, ...]]:
        """Continuations of each caption, without empty ones, in the order in which they were written."""
        found: dict[str, list[str]] = {}
        for each in self._known.values():
            if each.text:
                found.setdefault(each.caption, []).append(each.text)
        return {caption: tuple(dict.fromkeys(texts)) for caption, texts in found.items()}

    def _read(self) -> None:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            try:
                fields = json.loads(line)
                each = Continuation(**{**fields, "flags": tuple(fields["flags"])})
            except (ValueError, TypeError, KeyError) as error:
                raise InputError(
                    f"{self._path}:{number} is not a continuation ({error}); delete that line and "
                    "run python -m tools.write_continuations again"
                ) from None
            self._known[each.key] = each
        self._whole = whole


def distinct(captions: Iterable[str]) -> list[str]:
    """Captions without repetitions, in their order."""
    return list(dict.fromkeys(captions))
