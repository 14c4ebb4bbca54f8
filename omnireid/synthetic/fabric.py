"""Cloth: patterns and folds in the coordinates of the surface they cover."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from omnireid.synthetic.canvas import Canvas, Surface
from omnireid.synthetic.palette import Paint

_TILE = 256


@dataclass(frozen=True, slots=True)
class Fabric:
    """A cloth with its pattern; lengths are fractions of the wearer's height."""

    paint: Paint
    accent: Paint
    pattern: str  # one of outfit.PATTERNS
    scale: float  # of the pattern
    folds: float  # strength of their light and shade
    seed: int


@lru_cache(maxsize=4)
def noise_tile(softness: float) -> Float[ndarray, "T T"]:
    """Smooth noise that repeats every 256 samples, with mean 0 and deviation 1; `softness` in samples."""
    white = np.random.default_rng(20240606).standard_normal((_TILE, _TILE))
    frequency = np.fft.fftfreq(_TILE)
    falloff = np.exp(-2 * (np.pi * softness) ** 2 * (frequency[:, None] ** 2 + frequency[None, :] ** 2))
    smooth = np.fft.ifft2(np.fft.fft2(white) * falloff).real
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


def look_up(
    tile: Float[ndarray, "T T"], first: Float[ndarray, "h w"], second: Float[ndarray, "h w"]
) -> Float[ndarray, "h w"]:
    """Noise at coordinates given in samples; coordinates outside the tile wrap around."""
    place = first.astype(np.intp)
    place &= _TILE - 1
    place *= _TILE
    column = second.astype(np.intp)
    column &= _TILE - 1
    place += column
    return tile.take(place)


def folds(surface: Surface, unit: float, amount: float, seed: int) -> Float[ndarray, "h w"]:
    """Light and shade of wrinkles that run mostly across the axis."""
    start = float(seed % 251)
    slope = 0.25 if seed % 2 else -0.25
    skew = surface.along + np.float32(slope) * np.abs(surface.offset)
    rows, columns = skew * np.float32(560 / unit) + start, surface.offset * np.float32(230 / unit) + 3 * start
    relief = look_up(noise_tile(5.0), rows, columns)
    relief *= np.float32(amount)
    relief += 1
    return relief


def weave(
    canvas: Canvas, surface: Surface, fabric: Fabric, unit: float
) -> tuple[Float[ndarray, "C h w"] | Paint, Float[ndarray, "h w"]]:
    """Colours (a single paint if there is no pattern) and folds of a fabric on a surface."""
    relief = folds(surface, unit, fabric.folds, fabric.seed)
    share = _accent_share(surface, fabric, unit)
    if share is None:
        return fabric.paint, relief
    base, accent = canvas.color(fabric.paint), canvas.color(fabric.accent)
    return base + (accent - base) * share, relief


def _accent_share(surface: Surface, fabric: Fabric, unit: float) -> ndarray | None:
    """Share of the second colour, 0 to 1 at each pixel; None for plain cloth."""
    size = 0.036 * fabric.scale * unit
    if fabric.pattern == "stripes":
        return _bars(surface.along, size * 1.25, 0.42)
    if fabric.pattern == "pinstripes":
        return 0.7 * _bars(surface.offset, size * 0.8, 0.2)
    if fabric.pattern == "checks":
        return 0.5 * _bars(surface.along, size, 0.4) + 0.5 * _bars(surface.offset, size, 0.4)
    if fabric.pattern == "dots":
        period = size * 0.95
        dy = (surface.along / period) % 1 - 0.5
        dx = (surface.offset / period + 0.5 * (np.floor(surface.along / period) % 2)) % 1 - 0.5
        return np.clip((0.27 - np.sqrt(dx * dx + dy * dy)) * period + 0.5, 0, 1)
    return None


def _bars(position: Float[ndarray, "h w"], period: float, duty: float) -> ndarray:
    """Soft-edged bars: 1 on a share `duty` of every period, 0 on the rest."""
    phase = np.abs((position / np.float32(period)) % 1 - 0.5)
    return np.clip((np.float32(duty / 2) - phase) * np.float32(period) + 0.5, 0, 1)
