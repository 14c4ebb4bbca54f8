"""Legs, trousers, shorts, skirts and shoes."""

import numpy as np

from omnireid.synthetic.canvas import Point, even
from omnireid.synthetic.fabric import Fabric
from omnireid.synthetic.figure import SIDES, Figure
from omnireid.synthetic.palette import Paint, paint
from omnireid.synthetic.skeleton import Joint


def draw_legs(figure: Figure) -> None:
    """Both legs with their clothes, the farther one first, then a skirt over both."""
    bones = figure.bones
    sitting, away = figure.action == "sit", np.cos(bones.yaw) < 0
    if sitting and not away:
        _draw_stool(figure)
    _draw_seat(figure)
    for side in sorted(SIDES, key=lambda side: bones[f"{side}_knee"].depth + bones[f"{side}_ankle"].depth):
        _draw_leg(figure, side)
    if sitting and away:
        _draw_stool(figure)
    if (
        figure.outfit.trousers_length == "skirt"
        and figure.outfit.coat_style != "dress"
        and figure.action != "sit"
    ):
        draw_skirt(figure)


def between(first: Joint, second: Joint, position: float) -> Point:
    """The point at a position in [0, 1] between two joints."""
    return first.x + (second.x - first.x) * position, first.y + (second.y - first.y) * position


def _draw_leg(figure: Figure, side: str) -> None:
    bones, unit, outfit = figure.bones, figure.unit, figure.outfit
    hip, knee, ankle = (bones[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
    heavy = 0.006 * figure.identity.build
    thigh, calf = (0.047 + heavy) * unit, (0.031 + 0.5 * heavy) * unit
    if outfit.trousers_length != "trousers":
        canvas = figure.canvas
        canvas.stroke(
            hip.at, knee.at, [(0, 0, thigh), (0.7, 0, calf * 1.05), (1, 0, calf * 0.95)], figure.skin
        )
        shin = [(0, 0, calf * 0.92), (0.3, 0, calf * 1.08), (0.75, 0, calf * 0.66), (1, 0, calf * 0.6)]
        canvas.stroke(knee.at, ankle.at, shin, figure.skin)
    _draw_shoe(figure, side)
    if outfit.trousers_length == "trousers":
        _draw_trouser_leg(figure, (hip, knee, ankle), thigh, calf)
    elif outfit.trousers_length == "shorts trousers" or figure.action == "sit":
        wide = (0.006 + 0.016 * outfit.trousers_cut) * unit
        end = 0.72 + 0.22 * outfit.hem
        short = [(0, 0, thigh + wide * 0.5), (end, 0, calf * 1.1 + wide)]
        surface = figure.canvas.strip(hip.at, knee.at, short, flat="end")
        figure.dress(surface, figure.trouser_cloth, seam=0.06)


def _draw_trouser_leg(figure: Figure, joints: tuple[Joint, Joint, Joint], thigh: float, calf: float) -> None:
    hip, knee, ankle = joints
    unit, outfit, fabric = figure.unit, figure.outfit, figure.trouser_cloth
    ease = (0.002 + 0.010 * outfit.trousers_cut) * unit
    hem = calf * 0.66 + (0.004 + 0.022 * outfit.trousers_cut) * unit
    knee_half = calf + ease
    upper = figure.canvas.strip(
        hip.at, knee.at, [(0, 0, thigh + ease * 0.6), (0.6, 0, knee_half * 1.12), (1, 0, knee_half)]
    )
    figure.dress(upper, fabric, seam=0.06)
    end = 0.86 if outfit.shoes_style == "boots" and outfit.trousers_cut < 0.5 else 1.04
    shape = [(0, 0, knee_half), (0.3, 0, knee_half * 1.03), (1.0, 0, hem), (1.05, 0, hem)]
    lower = figure.canvas.strip(
        knee.at, ankle.at, [knot for knot in shape if knot[0] < end] + [(end, 0, hem)], flat="end"
    )
    figure.dress(lower, fabric)
    if outfit.trousers_stripe:
        light = fabric.paint.toward(Paint((0.92, 0.92, 0.92), 0.9), 0.85)
        lateral = 0.8 if abs(np.sin(figure.bones.yaw)) < 0.6 else 0.0
        side = 1 if hip.x > figure.bones["pelvis"].x else -1
        for first, second, start, end in ((hip, knee, thigh, knee_half), (knee, ankle, knee_half, hem)):
            above, below = (
                (first.x + side * lateral * start, first.y),
                (second.x + side * lateral * end, second.y),
            )
            line = figure.canvas.strip(above, below, even(0.005 * unit))
            figure.canvas.cover(line, light, roundness=0)


def _draw_seat(figure: Figure) -> None:
    """The part of trousers or skirt between waist and crotch."""
    bones, identity = figure.bones, figure.identity
    pelvis, crotch = bones["pelvis"], bones["crotch"]
    hips = bones.width(identity.hips / 2, 0.062 + 0.008 * identity.build)
    waist = hips * 0.88
    back, start, end = bones.shift(0, -0.010), -1.6, 0.6
    if figure.action == "sit":
        hips, end = hips * 0.95, 0.35
    elif figure.action == "stoop":
        start = -0.5
    profile = [
        (start, 0.0, waist),
        (-0.4, back * 0.5, hips * 0.97),
        (0.2, back, hips),
        (end, back * 0.6, hips * 0.93),
    ]
    figure.dress(figure.canvas.strip(pelvis.at, crotch.at, profile, flat="start"), figure.trouser_cloth)


def _draw_stool(figure: Figure) -> None:
    """The stool under a sitting person."""
    bones, unit, canvas = figure.bones, figure.unit, figure.canvas
    wood = Paint((0.42, 0.36, 0.30), 0.5)
    x, y = figure.place("pelvis", 0, -0.062, 0.03)
    floor = max(bones[f"{side}_ankle"].y for side in SIDES) + (0.01 - 0.1 * max(bones.depth(0, 1), 0)) * unit
    half = bones.width(0.12, 0.13)
    legs = canvas.strip((x, y), (x, floor), [(0, 0, half * 0.9), (1, 0, half)], flat="both")
    canvas.cover(legs, wood.lit(0.6), roundness=0.2)
    board = canvas.strip((x - half, y), (x + half, y), even(0.016 * unit))
    canvas.cover(board, wood, roundness=0.5)


def draw_skirt(figure: Figure) -> None:
    """A skirt from the waist over both legs."""
    bones, outfit, unit = figure.bones, figure.outfit, figure.unit
    pelvis = bones["pelvis"]
    knees = [bones[f"{side}_knee"] for side in SIDES]
    middle = ((knees[0].x + knees[1].x) / 2, max(knee.y for knee in knees))
    hips = bones.width(figure.identity.hips / 2, 0.065)
    spread = abs(knees[0].x - knees[1].x) / 2
    bottom = max(spread + 0.05 * unit, hips * (0.95 + 0.55 * outfit.trousers_cut))
    end = 0.75 + 0.6 * outfit.hem
    profile = [
        (-0.3, 0, hips * 0.86),
        (0.05, 0, hips),
        (0.4, 0, hips * 0.5 + bottom * 0.5),
        (end, 0, bottom * (0.8 + 0.2 * end)),
    ]
    if outfit.coat_style == "dress":
        profile[0] = (-0.22, 0, hips * 0.9)
    surface = figure.canvas.strip(pelvis.at, middle, profile, flat="both")
    figure.dress(
        surface,
        pleated(figure.trouser_cloth),
        roundness=0.75,
        seam=0.05 if outfit.coat_style == "dress" else 0.0,
    )


def pleated(fabric: Fabric) -> Fabric:
    """The same cloth hanging freely, in deeper folds."""
    return Fabric(
        fabric.paint, fabric.accent, fabric.pattern, fabric.scale, fabric.folds * 1.3, fabric.seed + 1
    )


def _draw_shoe(figure: Figure, side: str) -> None:
    bones, unit, outfit, canvas = figure.bones, figure.unit, figure.outfit, figure.canvas
    ankle, heel, toe = (bones[f"{side}_{name}"] for name in ("ankle", "heel", "toe"))
    material = {"walking shoes": "synthetic", "sandal": "rubber"}.get(outfit.shoes_style, "leather")
    leather = paint(outfit.shoes, material)
    half = 0.021 * unit
    profile = [(-0.08, 0, half * 0.85), (0.35, 0, half), (0.75, 0, half * 1.02), (1.0, 0, half * 0.62)]
    if outfit.shoes_style == "leather shoes":
        profile = [(-0.08, 0, half * 0.85), (0.4, 0, half * 0.95), (1.08, 0, half * 0.42)]
    sole = Paint((0.93, 0.93, 0.91), 0.8) if outfit.shoes_style == "walking shoes" else leather.lit(0.5)
    if figure.fine:
        thin = [(place, offset, 0.88 * width) for place, offset, width in profile]
        below = [(end.x, end.y + 0.009 * unit) for end in (heel, toe)]
        canvas.stroke(below[0], below[1], thin, sole, roundness=0.4)
    if outfit.shoes_style == "boots":
        shaft = [(-0.1, 0, 0.027 * unit), (1.25, 0, 0.021 * unit)]
        knee = bones[f"{side}_knee"]
        canvas.stroke(between(knee, ankle, 0.52), ankle.at, shaft, leather, flat="start")
    if outfit.shoes_style == "sandal":
        canvas.stroke(heel.at, toe.at, profile, figure.skin)
        for place in (0.25, 0.7):
            x, y = between(heel, toe, place)
            canvas.stroke(
                (x - half, y - 0.004 * unit), (x + half, y - 0.004 * unit), even(half * 0.38), leather
            )
        return
    canvas.stroke(heel.at, toe.at, profile, leather, roundness=0.95)
    if figure.fine and outfit.shoes_style == "walking shoes" and np.cos(bones.yaw) > 0.2:
        x, y = between(heel, toe, 0.62)
        canvas.stroke((x, y - half * 0.5), (x, y + half * 0.1), even(half * 0.3), sole, opacity=0.8)
