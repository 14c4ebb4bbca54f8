"""The outfit of a synthetic person: the clothing attributes of table 7, and patterns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from omnireid.synthetic.chance import pick
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.palette import COLOR_WORDS, RGB, jitter, shade_of

PATTERNS = ("plain", "stripes", "pinstripes", "checks", "dots", "logo", "band", "two_tone")
_COAT_COLORS = (0.17, 0.14, 0.13, 0.11, 0.09, 0.12, 0.15, 0.09)  # in the order of COLOR_WORDS
_TROUSERS_COLORS = (0.28, 0.22, 0.17, 0.07, 0.05, 0.06, 0.10, 0.05)
_INNER_COLORS = (0.1, 0.15, 0.15, 0.0, 0.0, 0.1, 0.5, 0.0)
_ANY_COLOR = (0.125,) * 8
_SHOES_COLORS = (0.32, 0.10, 0.15, 0.05, 0.05, 0.09, 0.19, 0.05)


@dataclass(frozen=True, slots=True)
class _Style:
    """A coat style: its frequency, and its possible appearance."""

    weight: float
    sleeves: dict[str, float]
    closures: tuple[str, ...]
    collars: tuple[str, ...]
    materials: tuple[str, ...]


_LONG = {"long sleeve coat": 1.0}
_STYLES: dict[str, _Style] = {
    "business suit": _Style(9, _LONG, ("buttons",), ("lapels",), ("wool", "synthetic")),
    "agnostic style coat": _Style(
        4,
        {"bareback coat": 3, "agnostic length coat": 1},
        ("none", "zipper"),
        ("round", "none"),
        ("synthetic", "wool"),
    ),
    "dress": _Style(
        8,
        {"short sleeve coat": 4, "long sleeve coat": 3, "bareback coat": 3},
        ("none",),
        ("round", "vee"),
        ("cotton", "synthetic"),
    ),
    "jacket": _Style(
        22, _LONG, ("zipper", "zipper", "open"), ("stand", "hood", "fold"), ("synthetic", "denim", "leather")
    ),
    "long coat": _Style(12, _LONG, ("buttons", "open"), ("lapels", "fold", "hood"), ("wool", "synthetic")),
    "shirt": _Style(
        13,
        {"long sleeve coat": 5, "short sleeve coat": 3, "agnostic length coat": 2},
        ("buttons",),
        ("fold",),
        ("cotton",),
    ),
    "sweater": _Style(15, _LONG, ("none",), ("round", "high", "hood"), ("wool", "cotton")),
    "t-shirt": _Style(
        17, {"short sleeve coat": 8, "bareback coat": 2}, ("none",), ("round", "vee"), ("cotton",)
    ),
}
_PATTERN_WEIGHTS: dict[str, tuple[float, ...]] = {  # in the order of PATTERNS
    "business suit": (0.7, 0, 0.3, 0, 0, 0, 0, 0),
    "long coat": (0.75, 0, 0, 0.15, 0, 0, 0.1, 0),
    "dress": (0.4, 0.12, 0, 0.1, 0.2, 0, 0.08, 0.1),
    "shirt": (0.35, 0.15, 0.15, 0.3, 0.05, 0, 0, 0),
    "jacket": (0.45, 0, 0, 0.05, 0, 0.15, 0.15, 0.2),
    "sweater": (0.35, 0.22, 0, 0.05, 0.03, 0.15, 0.15, 0.05),
    "t-shirt": (0.28, 0.2, 0, 0.02, 0.05, 0.3, 0.07, 0.08),
    "agnostic style coat": (0.6, 0, 0, 0.1, 0, 0.1, 0.1, 0.1),
}


@dataclass(frozen=True, slots=True)
class Outfit:
    """Clothes, shoes and carried items: words of table 7, and details that distinguish items of one word."""

    coat_color: str
    coat: RGB
    accent: RGB  # second colour of patterns and trims
    coat_style: str
    coat_length: str  # the sleeves, in the words of table 7
    coat_material: str
    pattern: str  # one of PATTERNS
    pattern_scale: float  # 0.7 fine to 1.6 coarse
    closure: str  # "none", "zipper", "buttons" or "open" (then the inner shirt shows)
    collar: str  # "none", "round", "vee", "high", "stand", "fold", "lapels" or "hood"
    inner: RGB  # the shirt underneath
    tie: RGB | None
    fit: float  # 0.9 tight to 1.25 loose
    hem: float  # 0 short to 1 long, relative to the style
    trousers_color: str
    trousers: RGB
    trousers_length: str
    trousers_material: str
    trousers_cut: float  # 0 skinny to 1 wide
    trousers_stripe: bool
    shoes_color: str
    shoes: RGB
    shoes_style: str
    bag_style: str
    bag: RGB
    cap_style: str
    cap: str  # "none", "baseball", "beanie", "brimmed", "helmet" or "chef"
    cap_rgb: RGB
    glove: str
    glove_rgb: RGB
    umbrella: str
    umbrella_rgb: RGB
    umbrella_open: bool
    smoking: str
    uniform: str
    seed: int  # of folds and logos

    @classmethod
    def draw(cls, rng: np.random.Generator, identity: Identity | None = None) -> Self:
        """Draw an outfit; given an identity, one that is plausible for that person."""
        feminine = 0.5 if identity is None else {"female": 1.0, "male": 0.0}.get(identity.gender, 0.3)
        child = identity is not None and identity.age == "child"
        upper = _draw_upper(rng, feminine, child)
        lower = _draw_lower(rng, feminine, upper)
        fields = {**upper, **lower, **_draw_carried(rng, feminine, child)}
        if not child and rng.uniform() < 0.13:
            fields = _put_in_uniform(rng, fields)
        return cls(**fields, seed=int(rng.integers(2**31)))


def _color(rng: np.random.Generator, weights: tuple[float, ...]) -> str:
    return pick(dict(zip(COLOR_WORDS, weights, strict=True)), rng)


def _one(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


def _draw_upper(rng: np.random.Generator, feminine: float, child: bool) -> dict[str, Any]:
    weights = {name: style.weight for name, style in _STYLES.items()}
    weights["dress"] *= 2 * feminine
    weights["business suit"] *= 0.0 if child else 1.3 - 0.6 * feminine
    style = pick(weights, rng)
    cut = _STYLES[style]
    word = _color(rng, _COAT_COLORS)
    contrast = [other for other in COLOR_WORDS if other != word]
    pattern = pick(dict(zip(PATTERNS, _PATTERN_WEIGHTS[style], strict=True)), rng)
    return {
        "coat_color": word,
        "coat": shade_of(word, rng),
        "accent": shade_of(_one(rng, contrast), rng),
        "coat_style": style,
        "coat_length": pick(cut.sleeves, rng),
        "coat_material": _one(rng, cut.materials),
        "pattern": pattern,
        "pattern_scale": rng.uniform(0.7, 1.6),
        "closure": _one(rng, cut.closures),
        "collar": _one(rng, cut.collars),
        "inner": shade_of(_color(rng, _INNER_COLORS), rng),
        "tie": shade_of(_color(rng, _ANY_COLOR), rng) if rng.uniform() < 0.7 - 0.56 * feminine else None,
        "fit": rng.uniform(0.92, 1.22),
        "hem": rng.uniform(),
    }


def _draw_lower(rng: np.random.Generator, feminine: float, upper: dict[str, Any]) -> dict[str, Any]:
    skirt = 0.3 * feminine
    length = pick({"trousers": 0.86 - skirt, "shorts trousers": 0.14, "skirt": skirt}, rng)
    word = _color(rng, _TROUSERS_COLORS)
    rgb = shade_of(word, rng)
    if upper["coat_style"] == "dress":
        length, word, rgb = "skirt", upper["coat_color"], upper["coat"]
    if upper["coat_style"] == "business suit":
        length = "skirt" if rng.uniform() < 0.4 * feminine else "trousers"
        if rng.uniform() < 0.75:
            word, rgb = upper["coat_color"], upper["coat"]
    shoes = {"boots": 0.2, "leather shoes": 0.2, "sandal": 0.12, "walking shoes": 0.48}
    if upper["coat_style"] == "business suit":
        shoes = {"boots": 0.05, "leather shoes": 0.9, "sandal": 0.0, "walking shoes": 0.05}
    shoes_word = _color(rng, _SHOES_COLORS)
    return {
        "trousers_color": word,
        "trousers": rgb,
        "trousers_length": length,
        "trousers_material": _one(rng, ("denim", "cotton", "synthetic")),
        "trousers_cut": rng.uniform(),
        "trousers_stripe": rng.uniform() < 0.12,
        "shoes_color": shoes_word,
        "shoes": shade_of(shoes_word, rng),
        "shoes_style": pick(shoes, rng),
    }


def _draw_carried(rng: np.random.Generator, feminine: float, child: bool) -> dict[str, Any]:
    bags = {"without bag": 0.42, "backpack": 0.2, "shoulder bag": 0.12 + 0.04 * feminine,
            "hand bag": 0.05 + 0.08 * feminine, "waist pack": 0.06, "trolley": 0.0 if child else 0.05,
            "agnostic style bag": 0.04}  # fmt: skip
    cap = pick({"none": 0.76, "baseball": 0.12, "beanie": 0.07, "brimmed": 0.05}, rng)
    gloved = rng.uniform() < 0.1
    umbrella = rng.uniform() < 0.07
    return {
        "bag_style": pick(bags, rng),
        "bag": jitter(shade_of(_color(rng, (0.3, 0.12, 0.12, 0.1, 0.08, 0.14, 0.06, 0.08)), rng), 0.05, rng),
        "cap_style": "without hat" if cap == "none" else "with hat",
        "cap": cap,
        "cap_rgb": shade_of(_color(rng, _ANY_COLOR), rng),
        "glove": "with glove" if gloved else "without glove",
        "glove_rgb": shade_of(_color(rng, (0.4, 0.1, 0.1, 0.1, 0.05, 0.15, 0.05, 0.05)), rng),
        "umbrella": "with umbrella" if umbrella else "without umbrella",
        "umbrella_rgb": shade_of(_color(rng, _ANY_COLOR), rng),
        "umbrella_open": rng.uniform() < 0.65,
        "smoking": "smoking" if not child and rng.uniform() < 0.06 else "without smoking",
        "uniform": "common clothing",
    }


# Uniform → what it prescribes, in the order coat colour, style, collar, closure, trousers colour, cap, shoes.
_PRESCRIBED = ("coat_color", "coat_style", "collar", "closure", "trousers_color", "cap", "shoes_style")
_UNIFORMS: dict[str, tuple[str | None, ...]] = {
    "chef uniform": ("white", "jacket", "stand", "buttons", "black", "chef", None),
    "firefighter uniform": ("yellow", "jacket", "stand", "zipper", "yellow", "helmet", "boots"),
    "medical uniform": ("white", "long coat", "lapels", "buttons", "green", None, None),
    "office uniform": ("blue", "business suit", "lapels", "buttons", "black", None, "leather shoes"),
    "worker uniform": ("red", "jacket", "fold", "zipper", "blue", "helmet", "boots"),
    "agnostic uniform": ("green", "jacket", "fold", "buttons", "green", None, None),
}


def _put_in_uniform(rng: np.random.Generator, fields: dict[str, Any]) -> dict[str, Any]:
    """Replace the drawn choices by those that the uniform prescribes."""
    name = pick(dict(zip(_UNIFORMS, (0.14, 0.14, 0.24, 0.2, 0.2, 0.08), strict=True)), rng)
    prescribed = {
        key: word for key, word in zip(_PRESCRIBED, _UNIFORMS[name], strict=True) if word is not None
    }
    worn: dict[str, Any] = {
        **fields,
        **prescribed,
        "uniform": name,
        "coat_length": "long sleeve coat",
        "pattern": "plain",
    }
    worn |= {"trousers_length": "trousers", "coat_material": "synthetic" if "fire" in name else "cotton"}
    worn["cap_style"] = "without hat" if worn["cap"] == "none" else "with hat"
    worn["coat"] = shade_of(worn["coat_color"], rng)
    worn["trousers"] = shade_of(worn["trousers_color"], rng)
    if worn["cap"] in ("helmet", "chef"):
        word = "white" if worn["cap"] == "chef" else _one(rng, ("yellow", "white", "red"))
        worn["cap_rgb"] = shade_of(word, rng)
    return worn
