"""Landmarks along the wall of a place: doors, windows, trees, cars, shelves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from omnireid.synthetic.canvas import Canvas, even
from omnireid.synthetic.fabric import look_up, noise_tile
from omnireid.synthetic.palette import Paint, any_color


@dataclass(frozen=True, slots=True)
class Stage:
    """A panorama being painted: `floor` is the row where the wall meets the ground."""

    canvas: Canvas
    floor: int
    size: float  # height of a picture in pixels
    rng: np.random.Generator


def _rectangle(stage: Stage, box: tuple[float, float, float, float], color: Paint) -> None:
    """A filled box; sides in pixels, left, top, right, bottom."""
    height, width = stage.canvas.height, stage.canvas.width
    left, right = int(np.clip(box[0], 0, width)), int(np.clip(box[2], 0, width))
    top, bottom = int(np.clip(box[1], 0, height)), int(np.clip(box[3], 0, height))
    stage.canvas.planes[:, top:bottom, left:right] = stage.canvas.color(color)


def _door(stage: Stage, x: float) -> None:
    size, rng = stage.size, stage.rng
    color = Paint(any_color(rng, 0.2, 0.6), rng.uniform(0.4, 0.7))
    top = stage.floor - 0.55 * size
    _rectangle(stage, (x - 0.015 * size, top - 0.015 * size, x + 0.235 * size, stage.floor), color.lit(1.4))
    _rectangle(stage, (x, top, x + 0.22 * size, stage.floor), color)
    for row in (0.05, 0.3):
        _rectangle(
            stage,
            (x + 0.04 * size, top + row * size, x + 0.18 * size, top + (row + 0.18) * size),
            color.lit(0.8),
        )
    _rectangle(
        stage,
        (x + 0.19 * size, top + 0.28 * size, x + 0.205 * size, top + 0.3 * size),
        Paint((0.8, 0.75, 0.5), 0.7),
    )


def _window(stage: Stage, x: float) -> None:
    size, top = stage.size, stage.floor - 0.5 * stage.size
    _rectangle(
        stage,
        (x - 0.02 * size, top - 0.02 * size, x + 0.24 * size, top + 0.28 * size),
        Paint((0.85, 0.84, 0.8), 0.7),
    )
    for column in (0.0, 0.115):
        _rectangle(
            stage,
            (x + column * size, top, x + (column + 0.105) * size, top + 0.25 * size),
            Paint((0.25, 0.32, 0.40), 0.2),
        )


def _glass_door(stage: Stage, x: float) -> None:
    size, top = stage.size, stage.floor - 0.6 * stage.size
    _rectangle(
        stage,
        (x - 0.02 * size, top - 0.02 * size, x + 0.42 * size, stage.floor),
        Paint((0.30, 0.30, 0.32), 0.4),
    )
    for column in (0.0, 0.205):
        _rectangle(
            stage,
            (x + column * size, top, x + (column + 0.195) * size, stage.floor - 0.02 * size),
            Paint((0.52, 0.62, 0.66), 0.25),
        )
        _rectangle(
            stage,
            (x + (column + 0.04) * size, top, x + (column + 0.07) * size, stage.floor - 0.02 * size),
            Paint((0.68, 0.76, 0.78), 0.3),
        )


def _poster(stage: Stage, x: float) -> None:
    size, rng, top = stage.size, stage.rng, stage.floor - stage.rng.uniform(0.38, 0.5) * stage.size
    color = Paint(any_color(rng, 0.25, 0.95), 0.75)
    _rectangle(stage, (x, top, x + 0.13 * size, top + 0.18 * size), color)
    _rectangle(
        stage, (x + 0.02 * size, top + 0.03 * size, x + 0.11 * size, top + 0.08 * size), color.lit(0.5)
    )


def _pipe(stage: Stage, x: float) -> None:
    _rectangle(stage, (x, 0, x + 0.02 * stage.size, stage.floor), Paint((0.42, 0.42, 0.42), 0.4))
    _rectangle(stage, (x, 0, x + 0.006 * stage.size, stage.floor), Paint((0.60, 0.60, 0.60), 0.5))


def _column(stage: Stage, x: float) -> None:
    size = stage.size
    surface = stage.canvas.strip(
        (x, -10), (x, stage.floor + 0.03 * size), even(0.055 * size), round_end=False
    )
    stage.canvas.cover(surface, Paint((0.74, 0.72, 0.68), 0.6))


def _tree(stage: Stage, x: float) -> None:
    size, rng, base = stage.size, stage.rng, stage.floor + stage.rng.uniform(0.0, 0.08) * stage.size
    trunk = [(0, 0, 0.018 * size), (1, 0, 0.028 * size)]
    stage.canvas.cover(
        stage.canvas.strip((x, base - 0.6 * size), (x, base), trunk), Paint((0.33, 0.25, 0.19), 0.5)
    )
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
    _rectangle(
        stage,
        (x - 0.04 * size, stage.floor - 0.08 * size, x + 0.04 * size, stage.floor + 0.02 * size),
        Paint((0.60, 0.35, 0.25), 0.5),
    )
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
    canvas.cover(
        canvas.strip(
            (x, base - 0.1 * size),
            (x + 0.52 * size, base - 0.1 * size),
            [(0, 0, 0.06 * size), (1, 0, 0.065 * size)],
        ),
        body,
    )
    for wheel in (0.1, 0.42):
        at = (x + wheel * size, base - 0.04 * size)
        canvas.cover(
            canvas.strip(at, (at[0] + 1, at[1]), even(0.045 * size)), Paint((0.08, 0.08, 0.09), 0.12)
        )
        canvas.cover(canvas.strip(at, (at[0] + 1, at[1]), even(0.022 * size)), Paint((0.6, 0.6, 0.62), 0.5))


def _goods(stage: Stage, x: float) -> None:
    size, rng, top = stage.size, stage.rng, stage.floor - 0.5 * stage.size
    _rectangle(stage, (x, top, x + 0.3 * size, stage.floor - 0.04 * size), Paint((0.28, 0.26, 0.25), 0.35))
    for row in range(4):
        for column in range(6):
            left, low = x + (0.012 + 0.048 * column) * size, top + (0.1 + 0.112 * row) * size
            color = Paint(any_color(rng, 0.2, 0.95), rng.uniform(0.4, 0.9))
            _rectangle(stage, (left, low - rng.uniform(0.04, 0.085) * size, left + 0.038 * size, low), color)


def _sign(stage: Stage, x: float) -> None:
    size, rng = stage.size, stage.rng
    _rectangle(
        stage,
        (x, stage.floor - 0.6 * size, x + 0.014 * size, stage.floor + 0.04 * size),
        Paint((0.5, 0.5, 0.52), 0.45),
    )
    color = Paint(((0.10, 0.30, 0.65), (0.75, 0.15, 0.12), (0.95, 0.75, 0.1))[int(rng.integers(3))], 0.8)
    _rectangle(
        stage, (x - 0.06 * size, stage.floor - 0.62 * size, x + 0.074 * size, stage.floor - 0.5 * size), color
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
