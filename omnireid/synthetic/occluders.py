"""Objects between camera and person."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from omnireid.synthetic.canvas import Canvas, even
from omnireid.synthetic.fabric import look_up, noise_tile
from omnireid.synthetic.palette import Paint, any_color
from omnireid.synthetic.shot import Shot


def draw_occluder(canvas: Canvas, shot: Shot) -> None:
    """Draw the occluder of the shot in front of everything; the renderer draws people in front."""
    draw = _DRAW.get(shot.occluder)
    if draw is not None:
        rng = np.random.default_rng(shot.seed)
        draw(canvas, rng, shot.occluder_at[0] * canvas.width, shot.occluder_at[1] * canvas.height)


def _box(canvas: Canvas, x: float, top: float, half: float, color: Paint, roundness: float = 0.5) -> None:
    surface = canvas.strip((x, top), (x, canvas.height + 5), even(half), flat="both")
    canvas.cover(surface, color, roundness=roundness, rim=0.3)


def _pole(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    half = rng.uniform(0.012, 0.024) * canvas.height
    color = Paint((0.40, 0.42, 0.42), 0.4).lit(rng.uniform(0.6, 1.5))
    _box(canvas, x, -5 if rng.uniform() < 0.6 else top * 0.7, half, color, 0.9)


def _pillar(canvas: Canvas, rng: np.random.Generator, x: float, _top: float) -> None:
    outward = -1 if x < canvas.width / 2 else 1
    half = rng.uniform(0.05, 0.09) * canvas.height
    _box(
        canvas,
        x + outward * half * 0.8,
        -5,
        half,
        Paint((0.66, 0.64, 0.60), 0.55).lit(rng.uniform(0.7, 1.2)),
        0.8,
    )


def _bin(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    high = canvas.height
    half = rng.uniform(0.06, 0.085) * high
    top = max(top, 0.62 * high)
    color = Paint(((0.15, 0.32, 0.20), (0.20, 0.22, 0.28), (0.45, 0.30, 0.12))[int(rng.integers(3))], 0.35)
    _box(canvas, x, top, half, color)
    lid = canvas.strip((x - half, top), (x + half, top), even(0.016 * high))
    canvas.cover(lid, color.lit(0.7))


def _bush(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    high = canvas.height
    top = max(top, 0.6 * high)
    for _ in range(9):
        at = (x + rng.normal(0, 0.08) * high, rng.uniform(top + 0.04 * high, high))
        surface = canvas.strip(at, (at[0] + 1, at[1]), even(rng.uniform(0.05, 0.08) * high))
        if surface is not None:
            relief = 1 + 0.28 * look_up(
                noise_tile(1.2), surface.along * (330 / high) + 90, surface.offset * (330 / high) + 90
            )
            canvas.cover(
                surface,
                Paint((0.22, 0.38, 0.17), 0.92).lit(rng.uniform(0.8, 1.2)),
                relief=relief,
                roundness=0.6,
            )


def _bench(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    high = canvas.height
    top = max(top, 0.68 * high)
    wood = Paint((0.50, 0.33, 0.20), 0.55).lit(rng.uniform(0.8, 1.2))
    left, right = (-5.0, x + 0.12 * high) if x < canvas.width / 2 else (x - 0.12 * high, canvas.width + 5.0)
    for row in range(3):
        y = top + row * 0.035 * high
        slat = canvas.strip((left, y), (right, y), even(0.011 * high), flat="both")
        canvas.cover(slat, wood)
    leg = right - 0.03 * high if x < canvas.width / 2 else left + 0.03 * high
    _box(canvas, leg, top, 0.009 * high, Paint((0.2, 0.2, 0.2), 0.3))


def _counter(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    high = canvas.height
    top = max(top, 0.62 * high)
    outward = -1 if x < canvas.width / 2 else 1
    color = Paint((0.55, 0.42, 0.30), 0.55).lit(rng.uniform(0.6, 1.4))
    half = 0.22 * high
    center = x + outward * 0.13 * high
    _box(canvas, center, top, half, color, 0.1)
    board = canvas.strip((center - half, top), (center + half, top), even(0.014 * high), flat="end")
    canvas.cover(board, color.lit(1.3), roundness=0.5)


def _rack(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    high = canvas.height
    for column in range(-3, 4):
        color = Paint(any_color(rng, 0.2, 0.9), rng.uniform(0.4, 0.8))
        _box(
            canvas,
            x + column * 0.028 * high,
            max(top, 0.6 * high) + rng.uniform(0, 0.02) * high,
            0.016 * high,
            color,
            0.8,
        )


def _trolley(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    high = canvas.height
    top = max(top, 0.66 * high)
    steel = Paint((0.62, 0.64, 0.66), 0.55)
    for row in range(6):
        y = top + row * 0.03 * high
        canvas.stroke((x - 0.1 * high, y), (x + 0.1 * high, y), even(0.004 * high), steel)
    for column in range(-4, 5):
        at = x + column * 0.025 * high
        canvas.stroke((at, top), (at, top + 0.15 * high), even(0.003 * high), steel)
    canvas.stroke(
        (x - 0.1 * high, top),
        (x + 0.1 * high, top),
        even(0.009 * high),
        Paint((0.7, 0.15, 0.12), 0.5).lit(rng.uniform(0.7, 1.3)),
    )


def _railing(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    high, steel = canvas.height, Paint((0.30, 0.31, 0.33), 0.35).lit(rng.uniform(0.7, 1.5))
    top = max(top, 0.6 * high)
    canvas.stroke((-5, top), (canvas.width + 5, top - 0.03 * high), even(0.011 * high), steel)
    for at in np.arange(x % (0.09 * high), canvas.width, 0.09 * high):
        _box(canvas, float(at), top, 0.005 * high, steel)


def _car(canvas: Canvas, rng: np.random.Generator, x: float, top: float) -> None:
    high = canvas.height
    top = max(top, 0.66 * high)
    body = Paint(any_color(rng, 0.1, 0.85), rng.uniform(0.3, 0.6))
    left = x < canvas.width / 2
    start, end = (-0.3 * high, x + 0.14 * high) if left else (x - 0.14 * high, canvas.width + 0.3 * high)
    middle = top + 0.09 * high
    canvas.stroke((start, middle), (end, middle), [(0, 0, 0.08 * high), (1, 0, 0.08 * high)], body)
    _box(canvas, (start + end) / 2, middle, (end - start) / 2 + 0.06 * high, body.lit(0.8), 0.1)
    wheel = (end - 0.06 * high if left else start + 0.06 * high, top + 0.22 * high)
    canvas.stroke(wheel, (wheel[0] + 1, wheel[1]), even(0.06 * high), Paint((0.08, 0.08, 0.09), 0.12))
    lamp = (end - 0.01 * high if left else start + 0.01 * high, middle - 0.01 * high)
    canvas.stroke(lamp, (lamp[0] + 1, lamp[1]), even(0.018 * high), Paint((0.95, 0.93, 0.8), 0.9))


def _bicycle(canvas: Canvas, rng: np.random.Generator, x: float, _top: float) -> None:
    high = canvas.height
    color = Paint(any_color(rng, 0.1, 0.8), 0.4)
    black = Paint((0.08, 0.08, 0.09), 0.15)
    base = 0.95 * high
    hubs = [(x - 0.13 * high, base - 0.09 * high), (x + 0.15 * high, base - 0.09 * high)]
    for hub in hubs:
        rim = [
            (hub[0] + 0.09 * high * np.cos(t), hub[1] + 0.09 * high * np.sin(t))
            for t in np.linspace(0, 2 * np.pi, 15)
        ]
        for first, second in pairwise(rim):
            canvas.stroke(first, second, even(0.006 * high), black, roundness=0)
    seat, bars = (x - 0.05 * high, base - 0.21 * high), (x + 0.1 * high, base - 0.23 * high)
    crank = (x, base - 0.08 * high)
    for first, second in (
        (hubs[0], seat),
        (seat, crank),
        (crank, bars),
        (seat, bars),
        (bars, hubs[1]),
        (hubs[0], crank),
    ):
        canvas.stroke(first, second, even(0.006 * high), color)
    canvas.stroke(
        (seat[0] - 0.02 * high, seat[1]), (seat[0] + 0.02 * high, seat[1]), even(0.01 * high), black
    )


_DRAW: dict[str, Callable[[Canvas, np.random.Generator, float, float], None]] = {
    "pole": _pole,
    "pillar": _pillar,
    "bin": _bin,
    "bush": _bush,
    "bench": _bench,
    "counter": _counter,
    "rack": _rack,
    "trolley": _trolley,
    "railing": _railing,
    "car": _car,
    "bicycle": _bicycle,
}
