"""Bags, trolleys, umbrellas and cigarettes."""

import numpy as np

from omnireid.synthetic.canvas import Point, even
from omnireid.synthetic.figure import Figure
from omnireid.synthetic.head import Skull
from omnireid.synthetic.palette import Paint, paint

_METAL = Paint((0.55, 0.56, 0.58), 0.5)


def draw_bag_behind(figure: Figure) -> None:
    """Bags on the far side of the body."""
    style, yaw = figure.outfit.bag_style, figure.bones.yaw
    if style == "backpack" and np.cos(yaw) > -0.15:
        _draw_backpack(figure)
    elif style == "trolley" and np.cos(yaw) > 0:
        _draw_trolley(figure)
    elif style == "shoulder bag" and np.sin(yaw) > 0.3:
        _draw_hip_bag(figure)


def draw_bag_over(figure: Figure) -> None:
    """Straps, and bags on the near side of the trunk."""
    style, yaw = figure.outfit.bag_style, figure.bones.yaw
    if style == "backpack":
        if np.cos(yaw) > -0.15:
            _draw_straps(figure)
        else:
            _draw_backpack(figure)
    elif style == "shoulder bag":
        strap = _bag(figure).lit(0.75)
        side = figure.place("collar", -0.07, -0.012, 0.0)
        hip = figure.place("pelvis", figure.identity.hips * 0.5, 0.02, 0.0)
        _line(figure, side, hip, 0.008, strap)
        if np.sin(yaw) <= 0.3:
            _draw_hip_bag(figure)
    elif style == "waist pack":
        _draw_waist_pack(figure)


def draw_in_hands(figure: Figure, side: str) -> None:
    """The item in this hand."""
    outfit = figure.outfit
    if figure.action not in ("walk", "stand", "phone"):
        return
    if side == "left" and outfit.bag_style == "hand bag":
        _draw_hanging(figure, 0.062, 0.062, _bag(figure))
    elif side == "left" and outfit.bag_style == "agnostic style bag" and figure.action != "phone":
        _draw_hanging(figure, 0.05, 0.12, _bag(figure).toward(Paint((0.85, 0.8, 0.7), 0.8), 0.35))
    elif side == "left" and outfit.bag_style == "trolley" and np.cos(figure.bones.yaw) <= 0:
        _draw_trolley(figure)
    if side == "right" and outfit.umbrella == "with umbrella" and not outfit.umbrella_open:
        hand = figure.bones["right_hand"]
        tip = (hand.x + figure.bones.shift(0, 0.1), hand.y + 0.3 * figure.unit)
        shape = [
            (-0.2, 0, 0.004 * figure.unit),
            (0.0, 0, 0.017 * figure.unit),
            (0.9, 0, 0.008 * figure.unit),
            (1.1, 0, 1),
        ]
        figure.canvas.stroke(hand.at, tip, shape, paint(outfit.umbrella_rgb, "synthetic"))
    elif side == "right" and outfit.smoking == "smoking":
        _draw_cigarette(figure)


def draw_umbrella(figure: Figure, skull: Skull) -> None:
    """The open canopy over the head."""
    outfit, unit, canvas = figure.outfit, figure.unit, figure.canvas
    if (
        outfit.umbrella != "with umbrella"
        or not outfit.umbrella_open
        or figure.action not in ("walk", "stand", "phone")
    ):
        return
    cloth = paint(outfit.umbrella_rgb, "synthetic")
    hand = figure.bones["right_hand"]
    edge = skull.y - 0.72 * skull.half_height
    middle = (0.55 * skull.x + 0.45 * hand.x, edge)
    top = (middle[0], edge - 0.115 * unit)
    _line(figure, hand.at, top, 0.005, _METAL)
    half = 0.205 * unit
    dome = [
        (0, 0, half * 0.06),
        (0.12, 0, half * 0.42),
        (0.35, 0, half * 0.70),
        (0.7, 0, half * 0.92),
        (1, 0, half),
    ]
    surface = canvas.strip(top, middle, dome, flat="both")
    if surface is None:
        return
    panels = np.abs((surface.across * 2.5 + 0.5) % 1 - 0.5)
    sag = np.clip((0.045 * unit * panels - (surface.length - surface.along) + 0.01 * unit) + 0.5, 0, 1)
    surface.coverage[...] *= 1 - sag * (surface.length - surface.along < 0.02 * unit)
    canvas.cover(
        surface, cloth, relief=0.9 + 0.25 * (panels < 0.45) * (0.6 + 0.4 * panels), roundness=0.8, rim=0.2
    )


def _bag(figure: Figure) -> Paint:
    return paint(figure.outfit.bag, "leather" if figure.outfit.bag_style == "hand bag" else "synthetic")


def _line(figure: Figure, start: Point, end: Point, half: float, color: Paint) -> None:
    half_width = max(half * figure.unit, 0.5)
    figure.canvas.stroke(start, end, even(half_width), color, roundness=0.5)


def _draw_backpack(figure: Figure) -> None:
    bones, canvas, unit = figure.bones, figure.canvas, figure.unit
    bag = _bag(figure)
    half = bones.width(0.082, 0.058)
    top, bottom = figure.place("collar", 0, -0.01, -0.105), figure.place("pelvis", 0, 0.055, -0.115)
    body = [(0, 0, half * 0.72), (0.12, 0, half * 0.95), (0.6, 0, half * 1.06), (1, 0, half * 0.98)]
    canvas.stroke(top, bottom, body, bag, flat="end", roundness=0.8, rim=0.5)
    if np.cos(bones.yaw) < -0.3:
        x = (top[0] + bottom[0]) / 2
        low, lower = top[1] + 0.62 * (bottom[1] - top[1]), top[1] + 0.95 * (bottom[1] - top[1])
        pocket = canvas.strip((x, low), (x, lower), [(0, 0, half * 0.75), (1, 0, half * 0.78)], flat="both")
        canvas.cover(pocket, bag.lit(0.8), roundness=0.6, rim=0.4)
        _line(figure, (x - half * 0.7, low), (x + half * 0.7, low), 0.003, bag.lit(0.45))
        _line(
            figure,
            (x - 0.012 * unit, top[1] - half * 0.62),
            (x + 0.012 * unit, top[1] - half * 0.62),
            0.005,
            bag.lit(0.6),
        )


def _draw_straps(figure: Figure) -> None:
    bag, shoulders = _bag(figure).lit(0.8), figure.identity.shoulders
    for sign in (1, -1):
        if figure.bones.depth(sign * shoulders * 0.3, 0.05) > -0.04:
            start = figure.place("collar", sign * shoulders * 0.27, -0.012, 0.012)
            middle = figure.place("collar", sign * shoulders * 0.30, -0.10, 0.052)
            end = figure.place("collar", sign * shoulders * 0.40, -0.19, 0.01)
            _line(figure, start, middle, 0.011, bag)
            _line(figure, middle, end, 0.009, bag)


def _draw_hip_bag(figure: Figure) -> None:
    canvas, unit, bag = figure.canvas, figure.unit, _bag(figure)
    x, y = figure.place("pelvis", figure.identity.hips * 0.5 + 0.03, -0.01, -0.01)
    half = figure.bones.width(0.028, 0.068)
    body = [(0, 0, half * 0.94), (1, 0, half)]
    canvas.stroke(
        (x, y - 0.045 * unit), (x, y + 0.055 * unit), body, bag, flat="both", roundness=0.6, rim=0.4
    )
    canvas.stroke((x, y - 0.045 * unit), (x, y), body, bag.lit(0.82), flat="start", roundness=0.6)


def _draw_waist_pack(figure: Figure) -> None:
    canvas, unit, bag = figure.canvas, figure.unit, _bag(figure)
    x, y = figure.place("pelvis", 0, 0.03, 0)
    half = figure.bones.width(figure.identity.hips * 0.5 + 0.008, 0.068 + 0.01 * figure.identity.build)
    belt = canvas.strip((x - half, y), (x + half, y), even(0.009 * unit), flat="both")
    canvas.cover(belt, bag.lit(0.7), roundness=0.5)
    if figure.bones.depth(0, 1) > -0.45:
        x, y = figure.place("pelvis", 0, 0.022, 0.08)
        wide = figure.bones.width(0.05, 0.025)
        pouch = [(0, 0, 0.026 * unit), (0.5, 0, 0.03 * unit), (1, 0, 0.026 * unit)]
        canvas.stroke((x - wide * 0.6, y), (x + wide * 0.6, y), pouch, bag, rim=0.5)
        _line(
            figure,
            (x - wide * 0.6, y - 0.008 * unit),
            (x + wide * 0.6, y - 0.008 * unit),
            0.003,
            bag.lit(0.4),
        )


def _draw_hanging(figure: Figure, half_width: float, height: float, color: Paint) -> None:
    hand, unit, canvas = figure.bones["left_hand"], figure.unit, figure.canvas
    half = figure.bones.width(half_width * 0.5, half_width)
    top = hand.y + 0.028 * unit
    for sign in (1, -1):
        _line(figure, hand.at, (hand.x + sign * half * 0.7, top + 0.004 * unit), 0.004, color.lit(0.6))
    body = [(0, 0, half * 0.85), (1, 0, half)]
    bag = canvas.strip((hand.x, top), (hand.x, top + height * unit), body, flat="both")
    canvas.cover(bag, color, roundness=0.5, rim=0.4)
    flap = canvas.strip((hand.x, top), (hand.x, top + 0.018 * unit), body, flat="both")
    canvas.cover(flap, color.lit(0.75), roundness=0.5)


def _draw_trolley(figure: Figure) -> None:
    bones, unit, canvas, bag = figure.bones, figure.unit, figure.canvas, _bag(figure)
    hand, ankle = bones["left_hand"], bones["left_ankle"]
    x = hand.x + bones.shift(0.04, -0.12)
    bottom = max(ankle.y, bones["right_ankle"].y) + 0.02 * unit - bones.depth(0, -0.12) * 0.02 * unit
    half = bones.width(0.07, 0.045)
    _line(figure, hand.at, (x, bottom - 0.24 * unit), 0.006, _METAL)
    case = [(0, 0, half * 0.9), (0.1, 0, half), (0.9, 0, half), (1, 0, half * 0.9)]
    canvas.stroke(
        (x, bottom - 0.25 * unit), (x, bottom - 0.012 * unit), case, bag, flat="both", roundness=0.6, rim=0.45
    )
    for share in (-0.45, 0.0, 0.45):
        _line(
            figure,
            (x + share * half, bottom - 0.235 * unit),
            (x + share * half, bottom - 0.03 * unit),
            0.002,
            bag.lit(0.65),
        )
    for sign in (1, -1):
        _line(
            figure,
            (x + sign * half * 0.7, bottom - 0.008 * unit),
            (x + sign * half * 0.7, bottom),
            0.01,
            Paint((0.1, 0.1, 0.1), 0.15),
        )


def _draw_cigarette(figure: Figure) -> None:
    hand, unit = figure.bones["right_hand"], figure.unit
    side = figure.bones.shift(0.3, 1.0) / unit
    tip = (hand.x + 0.03 * unit * side, hand.y - 0.012 * unit)
    _line(figure, hand.at, tip, 0.0045, Paint((0.96, 0.95, 0.92), 0.95))
    _line(
        figure,
        tip,
        (tip[0] + 0.006 * unit * side, tip[1] - 0.002 * unit),
        0.005,
        Paint((0.95, 0.35, 0.1), 1.0),
    )
    for step, half in ((0.03, 0.012), (0.06, 0.018), (0.1, 0.024)):
        puff = figure.canvas.strip(
            (tip[0], tip[1] - step * unit),
            (tip[0] + 0.01 * unit, tip[1] - (step + 0.02) * unit),
            even(half * unit),
        )
        figure.canvas.cover(puff, Paint((0.85, 0.86, 0.88), 0.7), roundness=0, opacity=0.28)
