"""Colours and materials: what the colour words of table 7 look like, and what infrared makes of them."""

import colorsys
from dataclasses import dataclass

import numpy as np

RGB = tuple[float, float, float]  # each in [0, 1], as displayed (gamma encoded)

COLOR_WORDS = ("black", "blue", "gray", "green", "purple", "red", "white", "yellow")

# Hue in degrees, saturation and value in [0, 1]: two garments of one word differ inside these ranges.
_RANGES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "black": ((0, 360), (0.0, 0.22), (0.09, 0.19)),
    "blue": ((209, 231), (0.52, 0.82), (0.42, 0.82)),
    "gray": ((190, 240), (0.0, 0.07), (0.43, 0.60)),
    "green": ((105, 150), (0.50, 0.78), (0.34, 0.62)),
    "purple": ((270, 291), (0.42, 0.68), (0.42, 0.72)),
    "red": ((351, 366), (0.66, 0.86), (0.54, 0.84)),
    "white": ((20, 230), (0.0, 0.05), (0.90, 0.98)),
    "yellow": ((45, 55), (0.58, 0.82), (0.84, 0.97)),
}

# Near-infrared reflectance. Dyes are nearly transparent at 850 nm, so cloth of any colour comes out
# by its fibre; leather, rubber and dark hair stay dark.
MATERIALS: dict[str, float] = {
    "cotton": 0.66,
    "wool": 0.58,
    "synthetic": 0.80,
    "denim": 0.50,
    "leather": 0.27,
    "rubber": 0.20,
    "straw": 0.72,
    "skin": 0.74,
    "metal": 0.45,
}


@dataclass(frozen=True, slots=True)
class Paint:
    """The colour of a surface under visible light and its one grey under infrared."""

    rgb: RGB
    ir: float

    def toward(self, other: "Paint", amount: float) -> "Paint":
        """Mix with another paint; 0 keeps this one, 1 gives the other."""
        mixed = tuple(a + (b - a) * amount for a, b in zip(self.rgb, other.rgb, strict=True))
        return Paint(rgb=(mixed[0], mixed[1], mixed[2]), ir=self.ir + (other.ir - self.ir) * amount)

    def lit(self, factor: float) -> "Paint":
        """The same surface, brighter (factor above 1) or darker."""
        red, green, blue = (min(channel * factor, 1.0) for channel in self.rgb)
        return Paint(rgb=(red, green, blue), ir=min(self.ir * factor, 1.0))


def paint(rgb: RGB, material: str) -> Paint:
    """Cover a material with a colour; a twentieth of its lightness survives in infrared."""
    lightness = 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]
    return Paint(rgb=rgb, ir=MATERIALS[material] + 0.05 * (lightness - 0.5))


def shade_of(word: str, rng: np.random.Generator) -> RGB:
    """Draw one of the many colours that a person would call by this word."""
    hues, saturations, values = _RANGES[word]
    hue = (rng.uniform(*hues) % 360) / 360
    return colorsys.hsv_to_rgb(hue, rng.uniform(*saturations), rng.uniform(*values))


def any_color(rng: np.random.Generator, low: float, high: float) -> RGB:
    """Draw each channel between two limits."""
    return rng.uniform(low, high), rng.uniform(low, high), rng.uniform(low, high)


def jitter(rgb: RGB, amount: float, rng: np.random.Generator) -> RGB:
    """Shift a colour by at most `amount` in each channel."""
    red, green, blue = (float(np.clip(c + rng.uniform(-amount, amount), 0, 1)) for c in rgb)
    return red, green, blue


def between(first: RGB, second: RGB, position: float) -> RGB:
    """The colour at a position in [0, 1] on the way from the first to the second."""
    red, green, blue = (a + (b - a) * position for a, b in zip(first, second, strict=True))
    return red, green, blue
