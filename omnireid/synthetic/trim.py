"""Details of the upper garment: neckline, lapels, closures, logos, bands, pockets, uniform markings."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from omnireid.synthetic.canvas import Surface, soft_step
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
    canvas, outfit = figure.canvas, figure.outfit
    across, down = worn.sharpness, 2 * worn.sharpness
    _print(figure, worn, colors)
    front = np.abs(worn.angle)
    if float(front.min()) < 1.2:
        _close(figure, worn, front, colors)
        _open_neck(figure, worn, front, colors)
    if outfit.uniform in ("firefighter uniform", "worker uniform"):
        for height in (0.34, 0.72):
            canvas.mix(colors, soft_step(0.028 - np.abs(worn.height - height), down), _REFLECTOR)
        braces = soft_step(0.07 - np.abs(front - 0.62), across) * (worn.height < 0.34)
        canvas.mix(colors, braces, _REFLECTOR)
    if outfit.coat_style == "sweater":
        relief = relief * (1 - 0.16 * soft_step(worn.height - (0.82 + 0.14 * outfit.hem), down))
    if outfit.coat_style == "long coat" and outfit.seed % 2:
        belt = soft_step(0.022 - np.abs(worn.height - 0.66), down)
        canvas.mix(colors, belt, figure.cloth.paint.lit(0.6))
    if outfit.coat_style in ("jacket", "long coat"):
        pocket = soft_step(0.12 - np.abs(front - 0.62), across)
        pocket = pocket * soft_step(0.008 - np.abs(worn.height - 0.76), down)
        relief = relief * (1 - 0.4 * pocket)
    return relief


def _print(figure: Figure, worn: Worn, colors: Colors) -> None:
    """A band, a second tone or a logo."""
    canvas, outfit, accent = figure.canvas, figure.outfit, figure.cloth.accent
    down = 2 * worn.sharpness
    if outfit.pattern == "band":
        band = soft_step(0.07 * outfit.pattern_scale - np.abs(worn.height - 0.33), down)
        canvas.mix(colors, band, accent)
    elif outfit.pattern == "two_tone" and outfit.seed % 3 == 0:
        canvas.mix(colors, soft_step(worn.height - 0.62, down), accent)
    elif outfit.pattern == "logo":
        size = 0.2 + 0.14 * outfit.pattern_scale
        center = 0.0 if outfit.seed % 5 else 0.42
        place = worn.angle
        if outfit.seed % 7 > 3:  # on the back too
            place = np.where(np.abs(place) > np.pi / 2, np.abs(place) - np.pi, place)
        wide, high = np.abs(place - center) / size, np.abs(worn.height - 0.33) / (size * 0.42)
        distance = (
            wide * wide + high * high,
            np.maximum(wide, high),
            wide + high,
            np.maximum(wide, high * 2.6),
        )[outfit.seed % 4]
        canvas.mix(colors, soft_step((1 - distance) * size * 0.6, worn.sharpness), accent)


def _close(figure: Figure, worn: Worn, front: Mask, colors: Colors) -> None:
    """Buttons, zippers, open fronts, lapels with shirt and tie."""
    canvas, outfit, cloth, sharp = figure.canvas, figure.outfit, figure.cloth, worn.sharpness
    inner = paint(outfit.inner, "cotton")
    if outfit.closure == "open":
        canvas.mix(colors, soft_step(0.24 + 0.1 * worn.height - front, sharp), inner)
    elif outfit.closure == "zipper":
        canvas.mix(colors, soft_step(0.025 - front, sharp), cloth.accent.toward(_DARK, 0.5))
    elif outfit.closure == "buttons":
        canvas.mix(colors, 0.5 * soft_step(0.014 - front, sharp), _DARK)
        beat = np.abs((worn.height / np.float32(0.11)) % 1 - 0.5) * np.float32(0.11)
        light = cloth.paint.lit(0.45) if min(outfit.coat) > 0.3 else Paint((0.75, 0.73, 0.68), 0.5)
        # a chef has two rows, others one beside the middle
        aside = front - 0.24 if outfit.uniform == "chef uniform" else worn.angle - 0.05
        canvas.mix(colors, soft_step(0.045 - np.hypot(aside, beat * 2.2), sharp), light)
    if outfit.collar == "lapels":
        opening = np.float32(0.5) * (1 - worn.height / np.float32(0.46))
        lapels = soft_step(opening + 0.17 * (worn.height < 0.46) - front, sharp)
        canvas.mix(colors, lapels, cloth.paint.lit(0.78))
        canvas.mix(colors, soft_step(opening - front, sharp), inner)
        if outfit.tie is not None:
            tie = soft_step(np.minimum(opening, 0.09) - front, sharp)
            canvas.mix(colors, tie, paint(outfit.tie, "synthetic"))


def _open_neck(figure: Figure, worn: Worn, front: Mask, colors: Colors) -> None:
    canvas, collar, down = figure.canvas, figure.outfit.collar, 2 * worn.sharpness
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
    canvas.mix(colors, soft_step(depth - worn.height, down), figure.skin.lit(0.95))
    edge = soft_step(0.012 - np.abs(depth - worn.height), down)
    canvas.mix(colors, 0.5 * edge, figure.cloth.paint.lit(0.55))
