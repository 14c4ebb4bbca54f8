"""What a person decided on the review sheet, read, checked and written into the journals (IRM, section 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instructions.attributes import AttributeSet
from instructions.errors import InputError
from instructions.evidence import missing_words
from omnireid.annotation.journal import Entry, Journal, Provenance
from omnireid.annotation.sentences import fingerprint, standing_sentences
from omnireid.annotation.templates import proposed_templates
from omnireid.annotation.work import Work
from omnireid.files import sha256_of

FORMAT = "instruct-reid decisions"
NONE_PROPOSED: tuple[Path, tuple[str, ...]] = (Path(), ())


@dataclass(frozen=True)
class Decision:
    """One person's decisions on one image; None where they decided nothing."""

    image: str
    words: AttributeSet | None
    sentence: str | None  # as it should stand; empty rejects it
    crop: bool | None
    template: str | None  # a name among the proposed; empty rejects them all


@dataclass(frozen=True)
class Applied:
    """The result of applying a file of decisions."""

    num_new: int
    num_lacking: int  # of their texts do not name every attribute
    num_void: int  # of their texts were left as they were beside a changed attribute


def read_decisions(path: Path) -> tuple[str, list[Decision]]:
    """Who decided, and what, from the file that the review sheet exports.

    Raises:
        InputError: The file is none, or an attribute is unknown.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        reviewer, rows = str(content["reviewer"]).strip(), content["decisions"]
        decisions = [_decision(path, row) for row in rows]
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no decisions of a review sheet ({error})") from None
    if not reviewer:
        raise InputError(f"{path} does not name the reviewer; fill in the reviewer's name on the sheet")
    return reviewer, decisions


def apply_decisions(work: Work, path: Path, *, now: str) -> Applied:
    """Write a person's decisions into the journals.

    The same file may be applied twice: what was written is not written again. A later file overrules an
    earlier one. The sheet sends every text along: one that stands as it stood while an attribute changed
    speaks of the old attribute, so it is not taken for the person's.

    Raises:
        InputError: An image or template is not known; nothing is written then.
    """
    reviewer, decisions = read_decisions(path)
    by = Provenance("person", reviewer, sha256_of(path)[:16], time=now)
    known = {listed.image for listed in work.images()}
    proposed = proposed_templates(work)
    for decision in decisions:
        if decision.image not in known:
            raise InputError(f"{path}: {decision.image!r} is not in the list of images")
        if decision.template and decision.template not in proposed.get(decision.image, NONE_PROPOSED)[1]:
            raise InputError(f"{path}: {decision.template!r} was not proposed for {decision.image}")
    journal = work.journal("decisions")
    done = {entry.image for entry in journal.entries() if entry.by.source == by.source}
    decisions = [decision for decision in decisions if decision.image not in done]
    attributes = {image: words for image, (words, _) in work.attributes().items()}
    texts = {image: _plain(entry.value["text"]) for image, entry in standing_sentences(work).items()}
    num_lacking = num_void = 0
    for decision in decisions:
        before = attributes.get(decision.image, AttributeSet({}))
        words = before if decision.words is None else decision.words
        if decision.words is not None:
            work.journal("attributes").add(Entry(decision.image, {"words": words.to_dict()}, by))
        if decision.sentence and words != before and decision.sentence == texts.get(decision.image):
            num_void += 1
        elif decision.sentence is not None:
            num_lacking += _add_sentence(work.journal("sentences"), decision, words, by)
        # With the folder: another shop may be searched later, and its names mean other images.
        shop = str(proposed[decision.image][0]) if decision.template else None
        value = {"crop": decision.crop, "template": decision.template, "shop": shop}
        journal.add(Entry(decision.image, value, by))
    return Applied(len(decisions), num_lacking, num_void)


def _add_sentence(journal: Journal, decision: Decision, words: AttributeSet, by: Provenance) -> bool:
    """A person's text, an empty one included: it says that none is right; whether it lacks words."""
    missing = missing_words(words, decision.sentence or "") if decision.sentence else []
    value = {
        "text": decision.sentence,
        "missing": missing,
        "writer": "person",
        "attributes": fingerprint(words),
    }
    journal.add(Entry(decision.image, value, by))
    return bool(missing)


def _decision(path: Path, row: Mapping[str, Any]) -> Decision:
    image, words, crop = row["image"], row.get("words"), row.get("crop")
    try:
        checked = (
            None if words is None else AttributeSet({name: word for name, word in words.items() if word})
        )
    except InputError as error:
        raise InputError(f"{path}: {image}: {error}") from None
    if crop not in (None, True, False):
        raise InputError(f"{path}: {image}: crop should be true, false or null, is {crop!r}")
    texts = [row.get(name) for name in ("sentence", "template")]
    for text in texts:
        if text is not None and not isinstance(text, str):
            raise InputError(f"{path}: {image}: expected a text or null, got {text!r}")
    sentence, template = (None if text is None else _plain(text) for text in texts)
    return Decision(image, checked, sentence, crop, template)


def _plain(text: str) -> str:
    return " ".join(text.split())
