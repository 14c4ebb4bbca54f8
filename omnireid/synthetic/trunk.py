"""The upper garment on the trunk: its cut, the skirt of a long coat, and the collar."""

import numpy as np

from omnireid.synthetic.canvas import Profile, Surface
from omnireid.synthetic.fabric import weave
from omnireid.synthetic.figure import SIDES, Figure
from omnireid.synthetic.legs import draw_skirt, pleated
from omnireid.synthetic.palette import Paint
from omnireid.synthetic.trim import Worn, trim

# Length of the garment down the trunk: 1 is the crotch. Short and long limit of each style.
_HEMS: dict[str, tuple[float, float]] = {
    "business suit": (1.04, 1.14),
    "agnostic style coat": (0.92, 1.1),
    "dress": (0.94, 0.96),
    "jacket": (0.86, 1.12),
    "long coat": (1.1, 1.12),
    "shirt": (0.94, 1.08),
    "sweater": (0.9, 1.04),
    "t-shirt": (0.88, 1.04),
}
_EASE = {
    "jacket": 0.012,
    "long coat": 0.012,
    "sweater": 0.008,
    "business suit": 0.007,
    "agnostic style coat": 0.012,
}


def draw_neck(figure: Figure) -> None:
    """The bare neck; collars and the head are drawn over it."""
    bones, unit = figure.bones, figure.unit
    half = (0.029 + 0.003 * figure.identity.build) * unit
    collar, chin = bones["collar"], bones["chin"]
    if figure.outfit.collar == "hood" and np.cos(bones.yaw) > 0.5:
        left, right = (
            figure.place("collar", -0.035, 0.012, -0.03),
            figure.place("collar", 0.035, 0.012, -0.03),
        )
        rim = figure.canvas.strip(
            left, right, [(0, 0, 0.028 * unit), (0.5, 0, 0.036 * unit), (1, 0, 0.028 * unit)]
        )
        figure.canvas.cover(rim, figure.cloth.paint.lit(0.72))
    below = (collar.x, collar.y + 0.02 * unit)
    above = (chin.x + (chin.x - collar.x) * 0.3, chin.y - 0.02 * unit)
    figure.canvas.stroke(
        below, above, [(0, 0, half * 1.15), (0.5, 0, half), (1, 0, half)], figure.skin.lit(0.8)
    )


def draw_trunk(figure: Figure) -> tuple[float, float, float, float]:
    """Draw the upper garment; returns its box (x0, y0, x1, y1) in pixels."""
    bones, outfit, canvas = figure.bones, figure.outfit, figure.canvas
    short, long = _HEMS[outfit.coat_style]
    hem = short + (long - short) * outfit.hem
    start, end = bones["collar"].at, bones["crotch"].at
    surface = canvas.strip(start, end, _profile(figure, hem), flat="both")
    if surface is not None:
        _cover(figure, surface, along_to_height=1 / surface.length, offset=0.0)
    if outfit.coat_style == "long coat" and figure.action != "sit":
        _draw_coat_skirt(figure)
    if outfit.coat_style == "dress" and figure.action != "sit":
        draw_skirt(figure)
    half = max(half + abs(middle) for _, middle, half in _profile(figure, hem))
    low = start[1] + (end[1] - start[1]) * hem
    sideways = (min(start[0], end[0]) - half, max(start[0], end[0]) + half)
    return sideways[0], min(start[1], low) - 0.03 * figure.unit, sideways[1], max(start[1], low)


def _profile(figure: Figure, hem: float) -> Profile:
    """Width of the garment from neck to hem, in pixels, from the current viewpoint."""
    identity, outfit, bones = figure.identity, figure.outfit, figure.bones
    ease = _EASE.get(outfit.coat_style, 0.003) + 0.03 * (outfit.fit - 1)
    shoulder, hips, heavy = identity.shoulders / 2, identity.hips / 2, identity.build
    waist = 0.52 * hips + 0.40 * shoulder + 0.011 * heavy - (0.010 * identity.bust)
    slack = max(0.0, outfit.fit - 0.95) * 0.06  # a loose garment does not follow the waist
    top = shoulder - 0.002 + ease * 0.5
    if outfit.coat_length == "bareback coat":
        top = 0.66 * shoulder
    seat = -0.008 + 0.006 * max(heavy, 0)
    levels = [  # height, half width from the front, half width from the side, forward offset of the middle
        (-0.03, 0.034, 0.034, 0.0),
        (0.02, 0.52 * top, 0.044, -0.004),
        (0.07, 0.86 * top, 0.052 + ease * 0.5, -0.004),
        (0.13, top, 0.055 + ease * 0.5, -0.004),
        (0.2, 0.5 * (top + shoulder * 0.86 + ease), 0.058 + ease * 0.7, 0.0),
        (
            0.3,
            shoulder * 0.86 + ease,
            0.064 + 0.016 * identity.bust + 0.007 * heavy + ease,
            0.006 + 0.016 * identity.bust,
        ),
        (
            0.62,
            waist + ease + slack,
            0.056 + 0.014 * max(heavy, -0.7) + ease + slack,
            0.004 + 0.012 * max(heavy, 0),
        ),
        (0.9, hips + ease, 0.066 + 0.012 * heavy + ease, seat),
        (hem, hips + ease * 1.2 + 0.02 * (hem - 0.9), 0.066 + 0.012 * heavy + ease * 1.2, seat),
    ]
    levels = [level for level in levels[:-1] if level[0] < hem - 0.02] + [
        levels[-1] if hem > 0.8 else (hem, *levels[-3][1:])
    ]
    return [
        (height, bones.shift(0, forward), bones.width(lateral, deep))
        for height, lateral, deep, forward in levels
    ]


def _draw_coat_skirt(figure: Figure) -> None:
    """The part of a long coat below the hips."""
    bones, unit = figure.bones, figure.unit
    knees = [bones[f"{side}_knee"] for side in SIDES]
    pelvis = bones["pelvis"]
    middle = (0.5 * pelvis.x + 0.25 * (knees[0].x + knees[1].x), max(knee.y for knee in knees))
    hips = bones.width(figure.identity.hips / 2 + 0.014, 0.066 + 0.010 * figure.identity.build + 0.014)
    bottom = max(hips * 1.12, abs(knees[0].x - knees[1].x) / 2 + 0.04 * unit)
    end = 0.72 + 0.55 * figure.outfit.hem
    profile = [(-0.15, 0.0, hips * 0.98), (0.1, 0.0, hips), (end, 0.0, hips + (bottom - hips) * end)]
    surface = figure.canvas.strip(pelvis.at, middle, profile, flat="both")
    if surface is not None:
        trunk = float(np.hypot(bones["collar"].x - bones["crotch"].x, bones["collar"].y - bones["crotch"].y))
        _cover(figure, surface, along_to_height=1 / trunk, offset=0.85)


def _cover(figure: Figure, surface: Surface, *, along_to_height: float, offset: float) -> None:
    """Fabric, then its details, then light."""
    canvas = figure.canvas
    fabric = figure.cloth if offset == 0 else pleated(figure.cloth)
    colors, relief = weave(canvas, surface, fabric, figure.unit)
    if isinstance(colors, Paint):
        colors = np.tile(canvas.color(colors), (1, *surface.across.shape))
    angle = np.arcsin(np.clip(surface.across, -1, 1)) - np.float32(figure.bones.yaw)
    angle = (angle + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi)
    worn = Worn(
        surface, angle, surface.along * np.float32(along_to_height) + np.float32(offset), 0.13 * figure.unit
    )
    relief = trim(figure, worn, colors, relief)
    canvas.cover(surface, colors, relief=relief, roundness=0.85, rim=0.35)


def draw_collar(figure: Figure) -> None:
    """The collar: turtlenecks, stand-up and fold-down collars, hoods."""
    bones, canvas, unit, outfit = figure.bones, figure.canvas, figure.unit, figure.outfit
    collar, chin = bones["collar"], bones["chin"]
    cloth = figure.cloth.paint
    half = (0.036 + 0.003 * figure.identity.build) * unit
    top = (collar.x + (chin.x - collar.x) * 0.8, collar.y - 0.026 * unit)
    if outfit.collar in ("high", "stand"):
        band = [(0, 0, half * 1.25), (1, 0, half * 1.05)]
        canvas.stroke((collar.x, collar.y + 0.012 * unit), top, band, cloth.lit(0.85), flat="end", rim=0.45)
    elif outfit.collar == "hood" and np.cos(bones.yaw) <= 0.5:
        back, low = figure.place("collar", 0, 0.008, -0.04), figure.place("collar", 0, -0.05, -0.05)
        wide = bones.width(0.056, 0.022)
        hood = canvas.strip(back, low, [(0, 0, wide), (0.5, 0, wide * 0.95), (1, 0, wide * 0.55)])
        canvas.cover(hood, cloth.lit(0.85), rim=0.5)
    elif outfit.collar in ("fold", "lapels"):
        band = [(0, 0, half * 1.3), (1, 0, half * 1.1)]
        if np.cos(bones.yaw) < 0.3:
            canvas.stroke(
                (collar.x, collar.y + 0.014 * unit),
                (top[0], top[1] + 0.008 * unit),
                band,
                cloth.lit(0.82),
                flat="end",
                rim=0.4,
            )
        if np.cos(bones.yaw) > -0.1 and outfit.collar == "fold":
            for sign in (1, -1):
                points = [
                    figure.place("collar", sign * lateral, up, forward)
                    for lateral, up, forward in (
                        (0.034, 0.018, 0.0),
                        (0.005, -0.016, 0.045),
                        (0.026, -0.038, 0.045),
                        (0.044, -0.004, 0.0),
                    )
                ]
                canvas.cover(canvas.polygon(points), cloth.lit(0.86), roundness=0)
