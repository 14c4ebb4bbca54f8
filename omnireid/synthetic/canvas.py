"""A float canvas and the two brushes everything is drawn with: shaded strips and soft polygons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image, ImageDraw

from omnireid.synthetic.palette import Paint

Point = tuple[float, float]  # x and y in pixels, y downwards
Profile = Sequence[tuple[float, float, float]]  # (position along the axis, offset of the middle, half width)
Ends = Literal["start", "end", "both"]
_STEPS = 160  # samples of a profile along its axis
_OVERSAMPLING = 4  # of polygon masks


@dataclass(frozen=True, slots=True)
class Surface:
    """The part of the canvas under a brush, with coordinates of its own for folds and patterns."""

    rows: slice
    columns: slice
    coverage: Float[ndarray, "h w"]  # 0 outside to 1 inside
    across: Float[ndarray, "h w"]  # -1 to 1 over the width, seen along the axis
    offset: Float[ndarray, "h w"]  # pixels from the middle line
    along: Float[ndarray, "h w"]  # pixels from the start of the axis
    normal: Point  # where `across` points
    length: float  # of the axis, in pixels


def even(half_width: float) -> Profile:
    """The profile of a strip of constant width."""
    return ((0, 0, half_width), (1, 0, half_width))


class Canvas:
    """Planes of one image while it is painted: three under visible light, one under infrared."""

    def __init__(
        self,
        height: int,
        width: int,
        *,
        light: tuple[float, float, float],
        ambient: float,
        modality: str = "rgb",
        leak: float = 0.0,
    ) -> None:
        self.height, self.width, self.modality, self.leak = height, width, modality, leak
        self.planes = np.zeros((3 if modality == "rgb" else 1, height, width), np.float32)
        self.body = np.zeros((height, width), np.float32)  # all that cover() painted, for darken()
        norm = float(np.sqrt(sum(part * part for part in light)))
        self.light = (light[0] / norm, light[1] / norm, light[2] / norm)
        self.ambient = ambient

    def color(self, paint: Paint) -> Float[ndarray, "C 1 1"]:
        """The channels of a paint that this canvas records."""
        grey = sum(paint.rgb) / 3
        values = paint.rgb if self.modality == "rgb" else (paint.ir + self.leak * (grey - paint.ir),)
        return np.array(values, np.float32)[:, None, None]

    def mix(self, colors: Float[ndarray, "C h w"], mask: Float[ndarray, "h w"], layer: Paint) -> None:
        """Recolour pixels in place: 0 in the mask keeps a pixel, 1 gives it the layer's paint."""
        colors += mask * (self.color(layer) - colors)

    def strip(
        self, start: Point, end: Point, profile: Profile, *, flat: Ends | None = None
    ) -> Surface | None:
        """Lay a strip of varying width along an axis, round at ends not ``flat``; None off the canvas."""
        round_start, round_end = flat not in ("start", "both"), flat not in ("end", "both")
        (x0, y0), (x1, y1) = start, end
        length = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-3)
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        first, last = profile[0][0] * length, profile[-1][0] * length
        reach = max([abs(middle) + half for _, middle, half in profile]) + 1.5
        ends = ((x0 + dx * first, y0 + dy * first), (x0 + dx * last, y0 + dy * last))
        box = self._box(ends, reach)
        if box is None:
            return None
        rows, columns = box
        x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - x0)
        y = (np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(0.5 - y0))[:, None]
        along = x * np.float32(dx) + y * np.float32(dy)
        offset = x * np.float32(dy) - y * np.float32(dx)
        shape = _shape(profile, along - np.float32(first), max(last - first, 1e-3))
        if shape.middle is not None:
            offset -= shape.middle
        if round_start or round_end:
            past = np.maximum(
                np.abs(along - np.float32((first + last) / 2)) - np.float32((last - first) / 2), 0
            )
            past *= past
            past += offset * offset
            edge = shape.half - np.sqrt(past, out=past)
        else:
            edge = shape.half - np.abs(offset)
        if shape.slant is not None:
            edge *= shape.slant
        if not round_start:
            np.minimum(edge, along - np.float32(first), out=edge)
        if not round_end:
            np.minimum(edge, np.float32(last) - along, out=edge)
        edge += np.float32(0.5)
        coverage = within(edge, 0, 1)
        across = within(offset / shape.half, -1, 1)
        return Surface(rows, columns, coverage, across, offset, along, (dy, -dx), length)

    def polygon(self, points: Sequence[Point]) -> Surface | None:
        """Lay a flat polygon with soft edges; None where it misses the canvas."""
        box = self._box(points, 1.0)
        if box is None:
            return None
        rows, columns = box
        height, width = rows.stop - rows.start, columns.stop - columns.start
        mask = Image.new("L", (width * _OVERSAMPLING, height * _OVERSAMPLING))
        corners = [((x - columns.start) * _OVERSAMPLING, (y - rows.start) * _OVERSAMPLING) for x, y in points]
        ImageDraw.Draw(mask).polygon(corners, fill=255)
        coverage = np.asarray(mask.reduce(_OVERSAMPLING), np.float32) / np.float32(255)
        flat = np.zeros_like(coverage)
        return Surface(rows, columns, coverage, flat, flat, flat, (1.0, 0.0), 1.0)

    def cover(
        self,
        surface: Surface | None,
        paint: Paint | Float[ndarray, "C h w"],
        *,
        relief: Float[ndarray, "h w"] | float = 1.0,
        roundness: float = 0.9,
        rim: float = 0.3,
        opacity: float = 1.0,
    ) -> None:
        """Paint a surface, shaded as if it bulged towards the viewer.

        Args:
            surface: What a brush laid; nothing happens for None.
            paint: One paint, or colours pixel by pixel.
            relief: Multiplies the light, for folds.
            roundness: 0 flat to 1 like a pipe.
            rim: How much the outline darkens.
            opacity: 1 hides what is below.
        """
        if surface is None:
            return
        color = self.color(paint) if isinstance(paint, Paint) else paint
        shade = relief if roundness == 0 else self._shade(surface, roundness, rim) * relief
        region = self.planes[:, surface.rows, surface.columns]
        alpha = surface.coverage if opacity == 1 else surface.coverage * np.float32(opacity)
        change = color * shade - region
        change *= alpha
        region += change
        covered = self.body[surface.rows, surface.columns]
        np.maximum(covered, alpha, out=covered)

    def stroke(
        self,
        start: Point,
        end: Point,
        profile: Profile,
        paint: Paint,
        *,
        flat: Ends | None = None,
        **shading: float,
    ) -> None:
        """Paint a strip: ``strip`` and ``cover`` in one call."""
        self.cover(self.strip(start, end, profile, flat=flat), paint, **shading)

    def darken(self, surface: Surface | None, strength: float, *, body: bool = False) -> None:
        """Let a shadow of this shape fall on everything, or only on what was covered before."""
        if surface is not None:
            shadow = surface.coverage * self.body[surface.rows, surface.columns] if body else surface.coverage
            self.planes[:, surface.rows, surface.columns] *= 1 - np.float32(strength) * shadow

    def _shade(self, surface: Surface, roundness: float, rim: float) -> Float[ndarray, "h w"]:
        sideways = (surface.normal[0] * self.light[0] - surface.normal[1] * self.light[1]) * roundness
        strength = (1 - self.ambient) / 0.72
        squared = surface.across * surface.across
        # The outline darkens with the fourth power, facing falls with the second.
        shade = squared * np.float32(-rim)
        shade -= np.float32(0.5 * roundness * roundness * self.light[2] * strength)
        shade *= squared
        if abs(sideways * strength) > 0.02:
            shade += surface.across * np.float32(sideways * strength)
        shade += np.float32(self.light[2] * strength + self.ambient)
        return np.maximum(shade, np.float32(0.12), out=shade)

    def _box(self, points: Sequence[Point], margin: float) -> tuple[slice, slice] | None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, right = max(int(min(xs) - margin), 0), min(int(max(xs) + margin) + 2, self.width)
        top, bottom = max(int(min(ys) - margin), 0), min(int(max(ys) + margin) + 2, self.height)
        if left >= right or top >= bottom:
            return None
        return slice(top, bottom), slice(left, right)


def within(values: Float[ndarray, "*shape"], low: float, high: float) -> Float[ndarray, "*shape"]:
    """Clip in place; on small arrays much faster than np.clip."""
    np.maximum(values, np.float32(low), out=values)
    return np.minimum(values, np.float32(high), out=values)


def soft_step(distance: Float[ndarray, "*shape"], sharpness: float) -> Float[ndarray, "*shape"]:
    """1 where a distance is positive, 0 where negative, with an edge one pixel wide.

    ``sharpness`` is the number of pixels per unit of the distance.
    """
    return np.clip(distance * np.float32(sharpness) + np.float32(0.5), 0, 1)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A profile at every pixel; single numbers where it does not change."""

    middle: Float[ndarray, "h w"] | None
    half: Float[ndarray, "h w"] | np.float32
    slant: Float[ndarray, "h w"] | np.float32 | None  # shortens distances measured across a steep outline


def _shape(profile: Profile, along: Float[ndarray, "h w"], length: float) -> _Shape:
    """Evaluate a profile `along` pixels after its first knot; smooth when it has more than two."""
    crooked = any([middle for _, middle, _ in profile])
    if len(profile) == 2 and not crooked:
        start, end = profile[0][2], profile[1][2]
        if start == end:
            return _Shape(None, np.float32(max(start, 0.05)), None)
        slope = (end - start) / length
        along *= np.float32(slope)
        along += np.float32(start)
        half = within(along, max(min(start, end), 0.05), max(start, end, 0.06))
        return _Shape(None, half, np.float32(1 / np.sqrt(1 + slope * slope)))
    origin, span = profile[0][0], profile[-1][0] - profile[0][0]
    places = [(place - origin) / span for place, _, _ in profile]
    along *= np.float32((_STEPS - 1) / length)
    step = within(along, 0, _STEPS - 1).astype(np.intp)
    smooth = _SMOOTH @ np.interp(_PLACES, places, [half for _, _, half in profile]).astype(np.float32)
    widths, slopes = np.maximum(smooth[:_STEPS], np.float32(0.05)), smooth[_STEPS:] * np.float32(1 / length)
    slant = 1 / np.sqrt(1 + slopes * slopes)
    middle = None
    if crooked:
        samples = np.interp(_PLACES, places, [middle for _, middle, _ in profile]).astype(np.float32)
        middle = (_SMOOTH[:_STEPS] @ samples).take(step)
    return _Shape(middle, widths.take(step), slant.take(step))


def _smoother(reach: int) -> Float[ndarray, "S2 S"]:
    """A matrix that takes samples to their running mean and to its slope over the whole length."""
    index = np.arange(_STEPS)
    mean = np.zeros((_STEPS, _STEPS))
    for shift in range(-reach, reach + 1):
        mean[index, np.clip(index + shift, 0, _STEPS - 1)] += 1 / (2 * reach + 1)
    return np.concatenate([mean, np.gradient(mean, axis=0) * (_STEPS - 1)]).astype(np.float32)


_PLACES = np.linspace(0, 1, _STEPS)
_SMOOTH = _smoother(_STEPS // 20)
