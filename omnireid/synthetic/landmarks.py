"""Landmarks along the wall of a place: doors, windows, trees, cars, shelves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from omnireid.synthetic.canvas import Canvas, Point, even
from omnireid.synthetic.fabric import look_up, noise_tile
from omnireid.synthetic.palette import Paint, any_color


@dataclass(frozen=True, slots=True)
class Stage:
    """A panorama being painted: `floor` is the row where the wall meets the ground."""

    canvas: Canvas
    floor: int
    size: float  # height of an image in pixels
    rng: np.random.Generator


def _panel(stage: Stage, at: Point, sides: tuple[float, float, float, float], color: Paint) -> None:
    """A filled rectangle; left, top, right and bottom in image heights, from a point in pixels."""
    height, width = stage.canvas.height, stage.canvas.width
    left, right = (int(np.clip(at[0] + side * stage.size, 0, width)) for side in sides[::2])
    top, bottom = (int(np.clip(at[1] + side * stage.size, 0, height)) for side in sides[1::2])
    stage.canvas.planes[:, top:bottom, left:right] = stage.canvas.color(color)


def _door(stage: Stage, x: float) -> None:
    color = Paint(any_color(stage.rng, 0.2, 0.6), stage.rng.uniform(0.4, 0.7))
    _panel(stage, (x, stage.floor), (-0.015, -0.565, 0.235, 0), color.lit(1.4))
    _panel(stage, (x, stage.floor), (0, -0.55, 0.22, 0), color)
    corner = (x, stage.floor - 0.55 * stage.size)
    for top in (0.05, 0.3):
        _panel(stage, corner, (0.04, top, 0.18, top + 0.18), color.lit(0.8))
    _panel(stage, corner, (0.19, 0.28, 0.205, 0.3), Paint((0.8, 0.75, 0.5), 0.7))


def _window(stage: Stage, x: float) -> None:
    _panel(stage, (x, stage.floor), (-0.02, -0.52, 0.24, -0.22), Paint((0.85, 0.84, 0.8), 0.7))
    for left in (0.0, 0.115):
        _panel(stage, (x, stage.floor), (left, -0.5, left + 0.105, -0.25), Paint((0.25, 0.32, 0.40), 0.2))


def _glass_door(stage: Stage, x: float) -> None:
    _panel(stage, (x, stage.floor), (-0.02, -0.62, 0.42, 0), Paint((0.30, 0.30, 0.32), 0.4))
    for left in (0.0, 0.205):
        _panel(stage, (x, stage.floor), (left, -0.6, left + 0.195, -0.02), Paint((0.52, 0.62, 0.66), 0.25))
        _panel(
            stage, (x, stage.floor), (left + 0.04, -0.6, left + 0.07, -0.02), Paint((0.68, 0.76, 0.78), 0.3)
        )


def _poster(stage: Stage, x: float) -> None:
    top = -stage.rng.uniform(0.38, 0.5)
    color = Paint(any_color(stage.rng, 0.25, 0.95), 0.75)
    _panel(stage, (x, stage.floor), (0, top, 0.13, top + 0.18), color)
    _panel(stage, (x, stage.floor), (0.02, top + 0.03, 0.11, top + 0.08), color.lit(0.5))


def _pipe(stage: Stage, x: float) -> None:
    _panel(stage, (x, stage.floor), (0, -2, 0.02, 0), Paint((0.42, 0.42, 0.42), 0.4))
    _panel(stage, (x, stage.floor), (0, -2, 0.006, 0), Paint((0.60, 0.60, 0.60), 0.5))


def _column(stage: Stage, x: float) -> None:
    size = stage.size
    surface = stage.canvas.strip((x, -10), (x, stage.floor + 0.03 * size), even(0.055 * size), flat="end")
    stage.canvas.cover(surface, Paint((0.74, 0.72, 0.68), 0.6))


def _tree(stage: Stage, x: float) -> None:
    size, rng, base = stage.size, stage.rng, stage.floor + stage.rng.uniform(0.0, 0.08) * stage.size
    trunk = [(0, 0, 0.018 * size), (1, 0, 0.028 * size)]
    stage.canvas.stroke((x, base - 0.6 * size), (x, base), trunk, Paint((0.33, 0.25, 0.19), 0.5))
    for _ in range(7):
        at = (x + rng.normal(0, 0.09) * size, base - rng.uniform(0.5, 0.8) * size)
        _leaves(stage, at, rng.uniform(0.07, 0.12) * size)


def _bush(stage: Stage, x: float) -> None:
    rng, size = stage.rng, stage.size
    for _ in range(5):
        _leaves(
            stage,
            (x + rng.normal(0, 0.06) * size, stage.floor - rng.uniform(0.0, 0.1) * size),
            rng.uniform(0.05, 0.09) * size,
        )


def _leaves(stage: Stage, at: tuple[float, float], radius: float) -> None:
    surface = stage.canvas.strip((at[0] - 1, at[1]), (at[0] + 1, at[1]), even(radius))
    if surface is not None:
        green = Paint((0.24, 0.40, 0.18), 0.9).lit(stage.rng.uniform(0.75, 1.2))
        relief = 1 + 0.25 * look_up(noise_tile(1.2), surface.along * 1.3 + 90, surface.offset * 1.3 + 90)
        stage.canvas.cover(surface, green, relief=relief, roundness=0.6)


def _plant(stage: Stage, x: float) -> None:
    size = stage.size
    _panel(stage, (x, stage.floor), (-0.04, -0.08, 0.04, 0.02), Paint((0.60, 0.35, 0.25), 0.5))
    for turn in (-0.06, 0.0, 0.06, 0.02):
        _leaves(stage, (x + turn * size, stage.floor - (0.16 - abs(turn)) * size), 0.05 * size)


def _car(stage: Stage, x: float) -> None:
    size, rng, canvas = stage.size, stage.rng, stage.canvas
    body = Paint(any_color(rng, 0.1, 0.85), rng.uniform(0.3, 0.6))
    base = stage.floor + 0.03 * size
    cabin = [
        (x + a * size, base + b * size)
        for a, b in ((0.06, -0.16), (0.13, -0.26), (0.36, -0.26), (0.44, -0.16))
    ]
    canvas.cover(canvas.polygon(cabin), Paint((0.18, 0.22, 0.27), 0.2), roundness=0)
    canvas.stroke(
        (x, base - 0.1 * size),
        (x + 0.52 * size, base - 0.1 * size),
        [(0, 0, 0.06 * size), (1, 0, 0.065 * size)],
        body,
    )
    for wheel in (0.1, 0.42):
        at = (x + wheel * size, base - 0.04 * size)
        canvas.stroke(at, (at[0] + 1, at[1]), even(0.045 * size), Paint((0.08, 0.08, 0.09), 0.12))
        canvas.stroke(at, (at[0] + 1, at[1]), even(0.022 * size), Paint((0.6, 0.6, 0.62), 0.5))


def _goods(stage: Stage, x: float) -> None:
    rng = stage.rng
    _panel(stage, (x, stage.floor), (0, -0.5, 0.3, -0.04), Paint((0.28, 0.26, 0.25), 0.35))
    for row in range(4):
        for column in range(6):
            left, bottom = 0.012 + 0.048 * column, -0.4 + 0.112 * row
            color = Paint(any_color(rng, 0.2, 0.95), rng.uniform(0.4, 0.9))
            _panel(
                stage,
                (x, stage.floor),
                (left, bottom - rng.uniform(0.04, 0.085), left + 0.038, bottom),
                color,
            )


def _sign(stage: Stage, x: float) -> None:
    _panel(stage, (x, stage.floor), (0, -0.6, 0.014, 0.04), Paint((0.5, 0.5, 0.52), 0.45))
    colors = ((0.10, 0.30, 0.65), (0.75, 0.15, 0.12), (0.95, 0.75, 0.1))
    _panel(
        stage, (x, stage.floor), (-0.06, -0.62, 0.074, -0.5), Paint(colors[int(stage.rng.integers(3))], 0.8)
    )


THINGS: dict[str, Callable[[Stage, float], None]] = {
    "window": _window,
    "door": _door,
    "pipe": _pipe,
    "poster": _poster,
    "tree": _tree,
    "bush": _bush,
    "goods": _goods,
    "column": _column,
    "glass_door": _glass_door,
    "plant": _plant,
    "car": _car,
    "sign": _sign,
}
