"""Attributes to English by templates, in place of the paper's large language model (IRM, section 3)."""

from __future__ import annotations

import random

from instructions import phrases
from instructions.attributes import AttributeSet
from instructions.phrases import Pronoun, is_agnostic, join, sentence

MAX_WORDS, NUM_DRAFTS = 50, 6
# What a short caption tells, as people do in CUHK-PEDES: what catches the eye first.
SALIENT = (
    "gender_code",
    "age",
    "coat_color",
    "coat_style",
    "trousers_color",
    "trousers_length",
    "shoes_color",
    "shoes_style",
    "hair_color",
    "hair_style",
    "bag_style",
    "cap_style",
)

_POSTURES = {
    "lie": ("lies down", "lying down"),
    "sit": ("sits", "sitting"),
    "stand": ("stands", "standing"),
    "stoop": ("stoops", "stooping"),
}
# Attribute: the word that affirms it, the item; the word that denies it is "without ...".
_THINGS = {
    "cap_style": ("with hat", "hat"),
    "glass_style": ("with glasses", "glasses"),
    "glove": ("with glove", "gloves"),
    "umbrella": ("with umbrella", "umbrella"),
}
# Agnostic word: the property that cannot be seen.
_UNSEEN_MATTERS = {
    "agnostic gender": "gender",
    "agnostic length coat": "coat length",
    "agnostic style coat": "coat style",
    "agnostic color hair": "hair color",
    "agnostic style hair": "hair style",
    "agnostic style bag": "bag style",
    "pose agnostic": "pose",
}
# Agnostic word: the uncertain item, and the verb phrase for it.
_DOUBTS = {
    "agnostic glove": ("gloves", "wears"),
    "agnostic smoking": ("smoking habit", "smokes"),
    "agnostic uniform": ("uniform", "wears"),
}


class TemplateWriter:
    """Writes a few sentences that name every attribute given; same attributes and rng, same text.

    The most conspicuous attributes come first, since ALBEF reads only fifty words. Of six drafts the first
    that fits is taken, or the shortest if none does.
    """

    def write(self, attributes: AttributeSet, rng: random.Random) -> str:
        """Several sentences that name every attribute: ``missing_words`` finds none missing."""
        texts: list[str] = []
        while len(texts) < NUM_DRAFTS:
            texts.append(self._draft(attributes.to_dict(), rng))
            if _length(texts[-1]) <= MAX_WORDS:
                return texts[-1]
        return min(texts, key=_length)

    def _draft(self, words: dict[str, str], rng: random.Random) -> str:
        pronoun = phrases.PRONOUNS.get(words.get("gender_code", ""), phrases.PRONOUNS["agnostic gender"])
        parts = [
            _opening(words, rng),
            *_features(words, pronoun, rng),
            *_denials(words, pronoun, rng),
            *_unseen(words, pronoun, rng),
        ]
        return " ".join(sentence(part) for part in parts)


def _length(text: str) -> int:
    return len(text.split())


def _opening(words: dict[str, str], rng: random.Random) -> str:
    """The person, their clothes, and how and from where they are seen."""
    who = phrases.person(words, rng)
    worn = [phrases.upper_clothes(words, rng), phrases.lower_clothes(words), phrases.shoes(words)]
    outfit = join([piece for piece in worn if piece is not None])
    pose, pose_participle = _POSTURES.get(words.get("pose", ""), (None, None))
    angle = words.get("person_angle")
    view = None if angle is None else rng.choice([f"seen from the {angle}", f"shown from the {angle}"])
    manner = join([part for part in (pose_participle, view) if part is not None])
    if not outfit:
        starts = [f"this is {who}", f"the picture shows {who}"]
        return rng.choice(starts) + (f", {manner}" if manner else "")
    tail = f", {manner}" if manner else ""
    patterns = [
        f"{who} wears {outfit}{tail}",
        f"{who} is wearing {outfit}{tail}",
        f"{who} is dressed in {outfit}{tail}",
        f"this is {who} in {outfit}{tail}",
        f"the picture shows {who} in {outfit}{tail}",
        f"the picture shows {who} who wears {outfit}{tail}",
    ]
    if pose is not None:
        seen = f", {view}" if view is not None else ""
        patterns += [
            f"{who} in {outfit} {pose}{seen}",
            f"{who} {pose} in {outfit}{seen}",
            f"dressed in {outfit}, {who} {pose}{seen}",
        ]
    if manner:
        patterns += [f"{manner}, {who} wears {outfit}", f"{manner}, {who} is dressed in {outfit}"]
    if pose is None and view is not None:
        patterns.append(f"{who} in {outfit} is {view}")
    return rng.choice(patterns)


def _features(words: dict[str, str], pronoun: Pronoun, rng: random.Random) -> list[str]:
    """Hair, bag and whatever else the person wears or does; sometimes in two sentences."""
    he, verb = pronoun.subject, pronoun.verb
    hair, worn, carried = phrases.hair(words, rng), _worn(words, rng), []
    acts, bag = [], words.get("bag_style", "without bag")
    if bag == "trolley":
        acts.append(f"{verb('pulls')} a trolley")
    elif bag != "without bag" and not is_agnostic(bag):
        carried.append(phrases.with_article(bag))
    if words.get("umbrella") == "with umbrella":
        carried.append("an umbrella")
    if carried:
        acts.append(f"{verb('carries')} {join(carried)}")
    if words.get("smoking") == "smoking":
        acts.append(f"{verb('is')} smoking")
    looks = ([] if hair is None else [hair]) + worn
    if acts and looks and rng.random() < 0.4:
        return [f"with {join(looks)}, {he} {join(acts)}"]
    if worn:
        acts.append(f"{verb('wears')} {join(worn)}")
    if hair is not None:
        acts.append(f"{verb('has')} {hair}")
    rng.shuffle(acts)
    if len(acts) > 1 and rng.random() < 0.3:
        return [f"{he} {acts[0]}", f"{he} {join(acts[1:])}"]
    return [f"{he} {join(acts)}"] if acts else []


def _worn(words: dict[str, str], rng: random.Random) -> list[str]:
    worn = []
    for name in ("cap_style", "glass_style", "glove"):
        affirmed, thing = _THINGS[name]
        if words.get(name) == affirmed:
            worn.append(phrases.with_article(thing))
    if words.get("glass_style") == "with sunglasses":
        worn.append("sunglasses")
    uniform = words.get("uniform")
    if uniform is not None and not is_agnostic(uniform):
        worn.append(phrases.with_article(uniform))
    rng.shuffle(worn)
    return worn


def _denials(words: dict[str, str], pronoun: Pronoun, rng: random.Random) -> list[str]:
    """What the person does not have and does not do."""
    he, verb = pronoun.subject, pronoun.verb
    things = [thing for name, (_, thing) in _THINGS.items() if words.get(name, "").startswith("without")]
    if words.get("bag_style") == "without bag":
        things.append("bag")
    rng.shuffle(things)
    smokes_not = words.get("smoking") == "without smoking"
    if not things:
        return [f"{he} {verb('is')} not smoking"] if smokes_not else []
    bare, full = join(things, "or"), join([phrases.with_article(thing) for thing in things], "or")
    end = (
        rng.choice([f" and {verb('is')} not smoking", f" and {verb('does')} not smoke"]) if smokes_not else ""
    )
    patterns = [
        f"{he} {verb('has')} no {bare}{end}",
        f"{he} {verb('goes')} without {full}{end}",
        f"without {full}, {he} {verb('is')} not smoking" if smokes_not else f"no {bare} can be seen",
    ]
    return [rng.choice(patterns)]


def _unseen(words: dict[str, str], pronoun: Pronoun, rng: random.Random) -> list[str]:
    """What cannot be seen (the agnostic words): one list, or items that may be absent in a separate one."""
    he, verb = pronoun.subject, pronoun.verb
    matters = [matter for word, matter in _UNSEEN_MATTERS.items() if word in words.values()]
    doubts = {thing: doubt for word, (thing, doubt) in _DOUBTS.items() if word in words.values()}
    apart = rng.random() < 0.4
    if not apart:
        matters += doubts
    rng.shuffle(matters)
    parts = []
    if matters:
        be = "are" if len(matters) > 1 or matters[0] == "gloves" else "is"
        ends = [f"{be} not visible", f"{be} unclear", f"{be} unknown", "cannot be made out", "cannot be told"]
        parts.append(f"the {join(matters)} {rng.choice(ends)}")
    if apart and doubts:
        unclear = rng.choice(["it is unclear", "it is not clear", "it is unknown"])
        asked = [
            verb(doubt) if doubt == "smokes" else f"{verb(doubt)} {phrases.with_article(thing)}"
            for thing, doubt in doubts.items()
        ]
        parts.append(f"{unclear} whether {he} {join(asked, 'or')}")
    return parts
