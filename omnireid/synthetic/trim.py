"""Details of the upper garment: neckline, lapels, closures, logos, bands, pockets, uniform markings."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from omnireid.synthetic.canvas import Surface
from omnireid.synthetic.figure import Figure
from omnireid.synthetic.palette import Paint, paint

Mask = Float[ndarray, "h w"]
Colors = Float[ndarray, "C h w"]
_REFLECTOR = Paint((0.88, 0.89, 0.86), 1.0)
_DARK = Paint((0.10, 0.10, 0.11), 0.2)


@dataclass(frozen=True, slots=True)
class Worn:
    """A piece of the upper garment on the canvas, with the angle from the wearer's front."""

    surface: Surface
    angle: Float[ndarray, "h w"]  # radians; 0 is the middle of the front, positive the wearer's left
    height: Float[ndarray, "h w"]  # 0 at the collar, 1 at the crotch
    sharpness: float  # pixels per radian, for soft edges


def trim(figure: Figure, worn: Worn, colors: Colors, relief: Mask) -> Mask:
    """Recolour the garment in place; returns the light and shade of its folds and seams."""
    outfit = figure.outfit
    _print(figure, worn, colors)
    front = np.abs(worn.angle)
    if float(front.min()) < 1.2:
        _close(figure, worn, front, colors)
        _open_neck(figure, worn, front, colors)
    if outfit.uniform in ("firefighter uniform", "worker uniform"):
        for height in (0.34, 0.72):
            _lay(figure, colors, _below(0.028 - np.abs(worn.height - height), worn.sharpness * 2), _REFLECTOR)
        _lay(
            figure,
            colors,
            _below(0.07 - np.abs(front - 0.62), worn.sharpness) * (worn.height < 0.34),
            _REFLECTOR,
        )
    if outfit.coat_style == "sweater":
        ribs = 1 - 0.16 * _below(worn.height - (0.82 + 0.14 * outfit.hem), worn.sharpness * 2)
        relief = relief * ribs
    if outfit.coat_style == "long coat" and outfit.seed % 2:
        _lay(
            figure,
            colors,
            _below(0.022 - np.abs(worn.height - 0.66), worn.sharpness * 2),
            figure.cloth.paint.lit(0.6),
        )
    if outfit.coat_style in ("jacket", "long coat"):
        pocket = _below(0.12 - np.abs(front - 0.62), worn.sharpness) * _below(
            0.008 - np.abs(worn.height - 0.76), worn.sharpness * 2
        )
        relief = relief * (1 - 0.4 * pocket)
    return relief


def _below(distance: Mask, sharpness: float) -> Mask:
    """1 where the distance is positive, 0 where negative, with a soft edge of one pixel."""
    return np.clip(distance * np.float32(sharpness) + np.float32(0.5), 0, 1)


def _lay(figure: Figure, colors: Colors, mask: Mask, layer: Paint) -> None:
    colors += mask * (figure.canvas.color(layer) - colors)


def _print(figure: Figure, worn: Worn, colors: Colors) -> None:
    outfit, accent = figure.outfit, figure.cloth.accent
    sharp = worn.sharpness * 2
    if outfit.pattern == "band":
        _lay(figure, colors, _below(0.07 * outfit.pattern_scale - np.abs(worn.height - 0.33), sharp), accent)
    elif outfit.pattern == "two_tone" and outfit.seed % 3 == 0:
        _lay(figure, colors, _below(worn.height - 0.62, sharp), accent)
    elif outfit.pattern == "logo":
        shape = outfit.seed % 4
        size = 0.2 + 0.14 * outfit.pattern_scale
        center = 0.0 if outfit.seed % 5 else 0.42
        place = (
            np.where(np.abs(worn.angle) > np.pi / 2, np.abs(worn.angle) - np.pi, worn.angle)
            if outfit.seed % 7 > 3
            else worn.angle
        )
        wide, high = np.abs(place - center) / size, np.abs(worn.height - 0.33) / (size * 0.42)
        distance = (
            wide * wide + high * high,
            np.maximum(wide, high),
            wide + high,
            np.maximum(wide, high * 2.6),
        )[shape]
        _lay(figure, colors, _below((1 - distance) * size * 0.6, worn.sharpness), accent)


def _close(figure: Figure, worn: Worn, front: Mask, colors: Colors) -> None:
    """Buttons, zippers, open fronts, lapels with shirt and tie."""
    outfit, sharp = figure.outfit, worn.sharpness
    inner = paint(outfit.inner, "cotton")
    if outfit.closure == "open":
        _lay(figure, colors, _below(0.24 + 0.1 * worn.height - front, sharp), inner)
    elif outfit.closure == "zipper":
        _lay(figure, colors, _below(0.025 - front, sharp), figure.cloth.accent.toward(_DARK, 0.5))
    elif outfit.closure == "buttons":
        _lay(figure, colors, 0.5 * _below(0.014 - front, sharp), _DARK)
        beat = np.abs((worn.height / np.float32(0.11)) % 1 - 0.5) * np.float32(0.11)
        rows = (0.24,) if outfit.uniform == "chef uniform" else (0.05,)
        light = figure.cloth.paint.lit(0.45) if min(outfit.coat) > 0.3 else Paint((0.75, 0.73, 0.68), 0.5)
        for row in rows:
            dots = np.hypot((np.abs(worn.angle) if row > 0.1 else worn.angle) - row, beat * 2.2)
            _lay(figure, colors, _below(0.045 - dots, sharp), light)
    if outfit.collar == "lapels":
        opening = np.float32(0.5) * (1 - worn.height / np.float32(0.46))
        _lay(
            figure,
            colors,
            _below(opening + 0.17 * (worn.height < 0.46) - front, sharp),
            figure.cloth.paint.lit(0.78),
        )
        _lay(figure, colors, _below(opening - front, sharp), inner)
        if outfit.tie is not None:
            _lay(
                figure,
                colors,
                _below(np.minimum(opening, 0.09) - front, sharp),
                paint(outfit.tie, "synthetic"),
            )


def _open_neck(figure: Figure, worn: Worn, front: Mask, colors: Colors) -> None:
    collar, sharp = figure.outfit.collar, worn.sharpness * 2
    if collar == "round":
        depth = 0.075 * (1 - (front / 0.85) ** 2)
    elif collar == "vee":
        depth = 0.2 * (1 - front / 0.55)
    elif collar == "none":
        depth = 0.11 * (1 - (front / 0.95) ** 2)
    elif collar == "fold" and figure.outfit.closure != "zipper":
        depth = 0.1 * (1 - front / 0.4)
    else:
        return
    _lay(figure, colors, _below(depth - worn.height, sharp), figure.skin.lit(0.95))
    _lay(
        figure, colors, 0.5 * _below(0.012 - np.abs(depth - worn.height), sharp), figure.cloth.paint.lit(0.55)
    )
