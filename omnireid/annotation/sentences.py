"""Writes attributes as sentences, by a language model or templates; none is lost (IRM, section 3)."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from instructions.attributes import AttributeSet
from instructions.errors import InputError
from instructions.evidence import missing_words
from instructions.sentences import LLMWriter, SentenceWriter
from omnireid.annotation.journal import Entry, Kind, Provenance
from omnireid.annotation.work import Progress, Work


def write_sentences(
    work: Work,
    writer: SentenceWriter,
    *,
    name: str,
    version: str,
    seed: int,
    now: str,
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Describe every image whose attributes are known; how many are new, and how many texts lack words.

    An image whose attributes changed since is described anew. The same seed gives the same texts, whatever
    was interrupted.

    Raises:
        InputError: No attributes are known yet.
    """
    known = work.attributes()
    if not known:
        raise InputError(f"{work.folder} has no attributes yet; run the step attributes first")
    journal = work.journal("sentences")
    kind: Kind = "model" if isinstance(writer, LLMWriter) else "rule"
    by = Provenance(kind, name, version, seed, now)
    done = {
        (entry.image, entry.value["attributes"])
        for entry in journal.entries()
        if entry.by.source == by.source
    }
    images = [
        listed.image
        for listed in work.images()
        if listed.image in known
        and len(known[listed.image][0])
        and (listed.image, fingerprint(known[listed.image][0])) not in done
    ]
    num_lacking = 0
    for number, image in enumerate(images, start=1):
        attributes = known[image][0]
        value = _write(writer, attributes, random.Random(f"{seed} {image}"))
        num_lacking += bool(value["missing"])
        journal.add(Entry(image, {**value, "attributes": fingerprint(attributes)}, by))
        if progress is not None:
            progress(number, len(images))
    return len(images), num_lacking


def fingerprint(attributes: AttributeSet) -> str:
    """A digest that shows whether a text was written for these attributes."""
    return hashlib.sha256(repr(attributes.pairs).encode()).hexdigest()[:12]


def standing_sentences(work: Work) -> dict[str, Entry]:
    """The valid text for each image: the last of the highest kind, if its attributes have not changed."""
    known = work.attributes()
    standing: dict[str, Entry] = {}
    for entry in work.journal("sentences").entries():
        attributes = known.get(entry.image, (AttributeSet({}), ()))[0]
        before = standing.get(entry.image)
        is_current = entry.value["attributes"] == fingerprint(attributes)
        if is_current and (before is None or not before.takes_precedence_over(entry)):
            standing[entry.image] = entry
    return standing


def _write(writer: SentenceWriter, attributes: AttributeSet, rng: random.Random) -> dict[str, Any]:
    if isinstance(writer, LLMWriter):
        answer = writer.write_checked(attributes, rng)
        text, how = answer.text, {"writer": answer.source, "attempts": answer.attempts}
    else:
        text, how = writer.write(attributes, rng), {"writer": "template", "attempts": 1}
    return {"text": text, "missing": missing_words(attributes, text), **how}
