"""Clothes templates ("shop photos" of the upper clothes alone) and crops of worn clothes (IRM, 4.1)."""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageFilter

from omnireid.synthetic.arms import draw_arm
from omnireid.synthetic.canvas import Canvas
from omnireid.synthetic.figure import SIDES, Figure
from omnireid.synthetic.identity import Identity
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.palette import Paint
from omnireid.synthetic.render import Rendering
from omnireid.synthetic.skeleton import lay_flat
from omnireid.synthetic.trunk import draw_collar, draw_trunk


def render_template(outfit: Outfit, rng: np.random.Generator, *, size: int = 128) -> UInt8[ndarray, "S S 3"]:
    """Render the upper clothes alone, laid flat on a plain background; `rng` draws the shop's variations."""
    light = (rng.uniform(-0.5, 0.5), rng.uniform(0.3, 0.8), 1.0)
    canvas = Canvas(size, size, light=light, ambient=rng.uniform(0.6, 0.75))
    tone = rng.uniform(0.86, 0.99)
    warmth = rng.normal(0, 0.01)
    ground = Paint((tone + warmth, tone, tone - warmth), 0.9)
    canvas.planes[...] = canvas.color(ground)
    mannequin = replace(_MANNEQUIN, skin=ground.lit(0.8).rgb)
    bones = lay_flat(mannequin, outfit, size=size, turn=rng.normal(0, 0.06), spread=rng.uniform(0.25, 0.5))
    figure = Figure(canvas, bones, mannequin, outfit, "laid", 0.0)
    _draw(figure)
    _drop_shadow(canvas)
    pixels = np.clip(canvas.planes.transpose(1, 2, 0) * 255, 0, 255)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(1.5)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def crop_clothes(rendering: Rendering, size: int = 128) -> UInt8[ndarray, "S S 3"]:
    """Crop the upper clothes from an image of a person."""
    image = Image.fromarray(rendering.image).crop(rendering.clothes_box)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def _draw(figure: Figure) -> None:
    for side in SIDES:
        draw_arm(figure, side, bare=False)
    draw_trunk(figure)
    draw_collar(figure)


def _drop_shadow(canvas: Canvas) -> None:
    """A soft shadow on the background, around the clothes only."""
    size = canvas.height
    mask = Image.fromarray((canvas.body * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(size / 40))
    soft = np.roll(np.asarray(mask, np.float32) / 255, (size // 50, size // 60), (0, 1))
    canvas.planes *= 1 - 0.22 * soft * (1 - canvas.body)


_MANNEQUIN = replace(
    Identity.draw(np.random.default_rng(0)),
    gender="agnostic gender", age="adult", build=0.0, shoulders=0.245, hips=0.18, bust=0.2, arms=0.33,
    legs=0.468, head=0.137, neck=0.038, lean=0.0, head_forward=0.0, wristband=None,
)  # fmt: skip
