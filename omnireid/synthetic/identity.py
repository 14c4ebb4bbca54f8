"""The identity of a synthetic person: everything that survives a change of clothes (IRM, section 3)."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from omnireid.synthetic.chance import around, pick
from omnireid.synthetic.palette import RGB, between, jitter

_SKIN: tuple[RGB, ...] = (
    (0.97, 0.84, 0.76),
    (0.93, 0.76, 0.64),
    (0.85, 0.66, 0.50),
    (0.72, 0.52, 0.37),
    (0.55, 0.37, 0.26),
    (0.36, 0.24, 0.18),
)
_HAIR: dict[str, tuple[RGB, ...]] = {
    "black hair": ((0.08, 0.07, 0.08), (0.12, 0.10, 0.09)),
    "agnostic color hair": ((0.28, 0.18, 0.12), (0.44, 0.28, 0.17), (0.55, 0.24, 0.12), (0.76, 0.36, 0.14)),
    "white hair": ((0.72, 0.72, 0.72), (0.90, 0.89, 0.86)),
    "yellow hair": ((0.80, 0.64, 0.36), (0.91, 0.80, 0.52)),
}
_DYED: tuple[RGB, ...] = ((0.85, 0.40, 0.58), (0.16, 0.55, 0.58), (0.45, 0.28, 0.66), (0.30, 0.55, 0.25))
# Haircut → the word that table 7 has for it.
HAIRCUTS: dict[str, str] = {
    "bald": "bald hair",
    "crop": "short hair",
    "side_part": "short hair",
    "quiff": "short hair",
    "curls": "short hair",
    "bob": "short hair",
    "straight": "long hair",
    "waves": "long hair",
    "ponytail": "long hair",
    "bun": "agnostic style hair",
    "afro": "agnostic style hair",
    "mohawk": "agnostic style hair",
    "pigtails": "agnostic style hair",
}
_HAIRCUT_WEIGHTS: dict[str, dict[str, float]] = {
    "male": {
        "bald": 13, "crop": 24, "side_part": 20, "quiff": 16, "curls": 12, "bob": 3, "straight": 3,
        "waves": 2, "ponytail": 2, "bun": 2, "afro": 5, "mohawk": 3,
    },
    "female": {
        "bald": 1, "crop": 5, "side_part": 3, "curls": 7, "bob": 17, "straight": 19, "waves": 17,
        "ponytail": 14, "bun": 11, "afro": 6, "pigtails": 4,
    },
    "agnostic gender": {"crop": 20, "side_part": 15, "curls": 20, "bob": 25, "afro": 10, "bun": 10},
}  # fmt: skip
BEARDS = ("none", "stubble", "moustache", "goatee", "full")


@dataclass(frozen=True, slots=True)
class Identity:
    """A person without clothes: lengths are fractions of the own height unless said otherwise."""

    gender: str  # a word of "gender code"
    age: str  # a word of "age"
    stature: float  # own height over that of an average adult
    build: float  # from -1.8 (thin) to 2.2 (heavy)
    head: float
    shoulders: float  # full width
    hips: float  # full width
    legs: float  # crotch height
    arms: float
    neck: float
    bust: float  # how far the chest stands out, 0 to 1
    skin: RGB
    hair_color: str  # a word of "hair color"
    hair: RGB
    haircut: str  # a key of HAIRCUTS
    hair_volume: float  # 0 flat to 1 full
    hair_length: float  # 0 to 1 within the haircut
    hairline: float  # 0 low to 1 high
    parting: float  # -1 (the person's right) to 1
    fringe: float  # 0 none to 1 down to the brows
    face_width: float  # over an average head
    jaw: float  # 0 pointed to 1 square
    eye_size: float
    eye_spacing: float
    brow: float  # thickness, 0 to 1
    nose: float
    mouth: float
    lips: float  # redness, 0 to 1
    ears: float
    beard: str  # one of BEARDS
    glasses: str  # a word of "glass style": a habit, not an outfit
    frame: RGB
    earrings: bool
    wristband: RGB | None
    stride: float  # radians that the thigh swings
    arm_swing: float
    lean: float  # radians that the trunk leans forward
    stance: float  # how far apart the feet are set
    toe_out: float  # radians
    head_forward: float
    arm_spread: float  # radians that the arms hang away from the trunk

    @property
    def hair_style(self) -> str:
        """The word of table 7 for the haircut."""
        return HAIRCUTS[self.haircut]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """Draw a new person."""
        gender = pick({"female": 0.48, "male": 0.48, "agnostic gender": 0.04}, rng)
        age = pick({"adult": 0.80, "child": 0.08, "old": 0.12}, rng)
        body, hair = _draw_body(rng, gender, age), _draw_hair(rng, gender, age)
        face, gait = _draw_face(rng, gender, age), _draw_gait(rng, gender, age)
        return cls(gender=gender, age=age, **body, **hair, **face, **gait)


def _draw_body(rng: np.random.Generator, gender: str, age: str) -> dict[str, Any]:
    male = {"male": 1.0, "female": 0.0}.get(gender, 0.5)
    child = age == "child"
    build = float(np.clip(rng.normal(0.3 if age == "old" else 0.0, 1.0), -1.8, 2.2))
    stature = (
        rng.uniform(0.64, 0.82) if child else around(0.95 + 0.085 * male - 0.02 * (age == "old"), 0.045, rng)
    )
    return {
        "stature": stature,
        "build": build,
        "head": around(0.180 if child else 0.150, 0.005, rng),
        "shoulders": around(0.225 + (0.0 if child else 0.034 * male), 0.013, rng) + 0.006 * build,
        "hips": around(0.190 - 0.014 * male, 0.010, rng) + 0.010 * build,
        "legs": around(0.44 if child else 0.468, 0.015, rng),
        "arms": around(0.335, 0.012, rng),
        "neck": around(0.038, 0.007, rng),
        "bust": 0.0 if child else float(np.clip(around(0.6, 0.3, rng), 0, 1)) * (1 - male),
    }


def _draw_hair(rng: np.random.Generator, gender: str, age: str) -> dict[str, Any]:
    weights = {"black hair": 40.0, "agnostic color hair": 34.0, "white hair": 5.0, "yellow hair": 21.0}
    if age == "old":
        weights = {"black hair": 15, "agnostic color hair": 15, "white hair": 65, "yellow hair": 5}
    word = pick(weights, rng)
    shades = _HAIR[word]
    position = rng.uniform(0, len(shades) - 1)
    first = min(int(position), len(shades) - 2)
    hair = between(shades[first], shades[first + 1], position - first)
    if word == "agnostic color hair" and rng.uniform() < 0.18:
        hair = _DYED[int(rng.integers(len(_DYED)))]
    return {
        "hair_color": word,
        "hair": jitter(hair, 0.03, rng),
        "haircut": pick(_HAIRCUT_WEIGHTS[gender], rng),
        "hair_volume": rng.uniform(),
        "hair_length": rng.uniform(),
        "hairline": rng.uniform(0.5, 1.0) if age == "old" else rng.uniform(0.0, 0.75),
        "parting": rng.uniform(-1, 1),
        "fringe": float(np.clip(rng.uniform(-0.8, 1.0), 0, 1)),
    }


def _draw_face(rng: np.random.Generator, gender: str, age: str) -> dict[str, Any]:
    tone = rng.uniform(0, len(_SKIN) - 1)
    first = min(int(tone), len(_SKIN) - 2)
    beards = {"none": 44.0, "stubble": 16.0, "moustache": 10.0, "goatee": 12.0, "full": 18.0}
    bearded = gender == "male" and age != "child"
    glasses = {
        "without glasses": 68.0,
        "with glasses": 24.0,
        "with sunglasses": 0.0 if age == "child" else 8.0,
    }
    wristband = rng.integers(len(_WRISTBANDS)) if rng.uniform() < 0.35 else None
    return {
        "skin": jitter(between(_SKIN[first], _SKIN[first + 1], tone - first), 0.025, rng),
        "face_width": around(1.0, 0.06, rng),
        "jaw": float(np.clip(around(0.65 if gender == "male" else 0.3, 0.25, rng), 0, 1)),
        "eye_size": around(1.15 if age == "child" else 1.0, 0.12, rng),
        "eye_spacing": around(1.0, 0.09, rng),
        "brow": rng.uniform(0.3, 1.0) if gender == "male" else rng.uniform(0.1, 0.7),
        "nose": around(1.0, 0.2, rng),
        "mouth": around(1.0, 0.15, rng),
        "lips": rng.uniform(0.35, 1.0) if gender == "female" else rng.uniform(0.0, 0.4),
        "ears": around(1.0, 0.15, rng),
        "beard": pick(beards, rng) if bearded else "none",
        "glasses": pick(glasses, rng),
        "frame": jitter((0.08, 0.07, 0.07), 0.05, rng) if rng.uniform() < 0.7 else (0.55, 0.16, 0.12),
        "earrings": bool(gender == "female" and rng.uniform() < 0.4),
        "wristband": None if wristband is None else _WRISTBANDS[int(wristband)],
    }


_WRISTBANDS: tuple[RGB, ...] = (
    (0.1, 0.1, 0.1),
    (0.85, 0.2, 0.2),
    (0.95, 0.85, 0.3),
    (0.2, 0.6, 0.9),
    (0.9, 0.9, 0.9),
)


def _draw_gait(rng: np.random.Generator, gender: str, age: str) -> dict[str, Any]:
    old = age == "old"
    return {
        "stride": around(0.30 if old else 0.40, 0.07, rng),
        "arm_swing": around(0.25 if old else 0.40, 0.13, rng),
        "lean": around(0.13 if old else 0.02, 0.05, rng),
        "stance": around(1.05 if gender == "male" else 0.85, 0.18, rng),
        "toe_out": around(0.22, 0.14, rng),
        "head_forward": around(0.5 if old else 0.2, 0.15, rng),
        "arm_spread": around(0.12, 0.05, rng),
    }
