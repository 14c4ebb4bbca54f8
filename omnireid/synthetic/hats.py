"""Caps, hats and helmets."""

import numpy as np

from omnireid.synthetic.canvas import Point
from omnireid.synthetic.figure import Figure
from omnireid.synthetic.head import Skull, globe_of, over, paint_globe
from omnireid.synthetic.palette import Paint, paint

# Cap → (swell, rise, height of the edge over the brow, material).
_DOMES: dict[str, tuple[float, float, float, str]] = {
    "baseball": (1.09, 0.04, -0.34, "cotton"),
    "beanie": (1.11, 0.12, -0.26, "wool"),
    "brimmed": (1.09, 0.10, -0.36, "straw"),
    "helmet": (1.22, 0.08, -0.30, "synthetic"),
    "chef": (1.06, 0.02, -0.42, "cotton"),
}


def draw_cap(figure: Figure, skull: Skull) -> None:
    """The headgear of the outfit."""
    cap = figure.outfit.cap
    if cap == "none":
        return
    swell, rise, edge, material = _DOMES[cap]
    cloth = paint(figure.outfit.cap_rgb, material)
    if cap == "chef":
        _draw_toque(figure, skull, cloth)
    globe = globe_of(figure, skull, swell=swell, rise=rise, chin=False)
    if globe is None:
        return
    back_edge = edge + (0.34 if cap in ("beanie", "helmet") else 0.16)
    line = edge + (back_edge - edge) * np.clip(np.abs(globe.longitude) / 2.2, 0, 1)
    relief = 1.0 - 0.22 * over(globe.height - line + 0.15, globe) if cap != "baseball" else 1.0
    paint_globe(figure, globe, over(line - globe.height, globe), cloth, relief)
    if cap == "baseball":
        _draw_brim(figure, skull, cloth.lit(0.85), (0.35, 1.75), edge)
    elif cap == "brimmed":
        band = over(line - globe.height, globe) * over(globe.height - line + 0.2, globe)
        paint_globe(figure, globe, band, cloth.lit(0.45))
        _draw_brim(figure, skull, cloth.lit(0.93), (-1.75, 1.75), edge)
    elif cap == "helmet":
        _draw_brim(figure, skull, cloth.lit(0.85), (-1.25, 1.45), edge)


def _draw_brim(figure: Figure, skull: Skull, cloth: Paint, span: tuple[float, float], edge: float) -> None:
    """A flat oval around or in front of the head, seen from slightly above."""
    back, front = span
    middle, reach = (back + front) / 2, (front - back) / 2
    side = 1.0 if back > 0 else reach
    deep, wide = skull.half_height * 0.86, skull.half_height * 0.745 * side
    tilt = float(np.sin(figure.bones.pitch)) + 0.14
    points: list[Point] = []
    for turn in np.linspace(0, 2 * np.pi, 20, endpoint=False):
        forward, lateral = deep * (middle + reach * np.sin(turn)), wide * np.cos(turn)
        right = lateral * np.cos(skull.yaw) + forward * np.sin(skull.yaw)
        near = -lateral * np.sin(skull.yaw) + forward * np.cos(skull.yaw)
        points.append((skull.x + float(right), skull.y + edge * skull.half_height + tilt * float(near)))
    if back > 0 and skull.facing < -0.3:
        return
    surface = figure.canvas.polygon(points)
    figure.canvas.cover(surface, cloth, relief=0.9 * figure.canvas.ambient + 0.35, roundness=0)


def _draw_toque(figure: Figure, skull: Skull, cloth: Paint) -> None:
    high, canvas = skull.half_height, figure.canvas
    half = high * 0.75
    top = (skull.x, skull.y - 1.75 * high)
    tower = canvas.strip(
        (skull.x, skull.y - 0.5 * high), top, [(0, 0, half * 0.95), (0.5, 0, half), (1, 0, half * 1.2)]
    )
    canvas.cover(tower, cloth, rim=0.3)
