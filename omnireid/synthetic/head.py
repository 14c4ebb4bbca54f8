"""The head as a rounded body with longitude and height: skull, face, beard and glasses, from any side."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from omnireid.synthetic.canvas import even, soft_step
from omnireid.synthetic.figure import Figure
from omnireid.synthetic.palette import Paint, paint

Mask = Float[ndarray, "h w"]
_DARK = Paint((0.07, 0.06, 0.06), 0.12)
_WHITE = Paint((0.93, 0.92, 0.90), 0.85)


@dataclass(frozen=True, slots=True)
class Globe:
    """The pixels of a head-shaped body, as seen by the camera."""

    rows: slice
    columns: slice
    coverage: Mask
    longitude: Mask  # radians; 0 is the nose, positive the person's left ear
    height: Mask  # -1 at the top of the head to 1 at the chin
    shade: Mask
    grain: float  # half the head's height in pixels: limits the sharpness of features


@dataclass(frozen=True, slots=True)
class Skull:
    """Position and size of a head in the image, in pixels."""

    x: float
    y: float
    half_width: float
    half_height: float
    yaw: float
    jaw: float

    @property
    def forward(self) -> float:
        """Horizontal direction of the face in the image, -1 (left) to 1 (right)."""
        return float(np.sin(self.yaw))

    @property
    def facing(self) -> float:
        """1 when the face looks at the camera, -1 when the back of the head does."""
        return float(np.cos(self.yaw))

    def at(self, longitude: float, height: float, reach: float = 1.0) -> tuple[float, float]:
        """A point on the head, or above it for a reach over 1."""
        ring = np.sqrt(max(1 - height * height, 0.0))
        return (
            self.x + reach * ring * self.half_width * float(np.sin(longitude + self.yaw)),
            self.y + height * self.half_height * reach,
        )


def skull_of(figure: Figure) -> Skull:
    """Measure the head of a figure."""
    identity, bones, unit = figure.identity, figure.bones, figure.unit
    half = identity.head * unit * 0.5
    yaw = bones.yaw + figure.head_turn
    wide, deep = half * 0.745 * identity.face_width, half * 0.86
    head = bones["head"]
    half_width = float(np.hypot(wide * np.cos(yaw), deep * np.sin(yaw)))
    return Skull(head.x, head.y, half_width, half, yaw, identity.jaw)


def globe_of(
    figure: Figure, skull: Skull, *, swell: float = 1.0, rise: float = 0.0, chin: bool = True
) -> Globe | None:
    """Place the head, or an enlarged copy of it for hair and hats, on the canvas."""
    canvas = figure.canvas
    half_width, half_height = skull.half_width * swell, skull.half_height * (swell + rise)
    middle = skull.y - rise * skull.half_height
    left, right = (
        max(int(skull.x - half_width * 1.2) - 1, 0),
        min(int(skull.x + half_width * 1.2) + 2, canvas.width),
    )
    top, bottom = max(int(middle - half_height) - 1, 0), min(int(middle + half_height) + 2, canvas.height)
    if left >= right or top >= bottom:
        return None
    y = ((np.arange(top, bottom, dtype=np.float32) + 0.5 - middle) / half_height)[:, None]
    x = (np.arange(left, right, dtype=np.float32) + 0.5 - skull.x) / half_width
    down = np.clip(y, 0, 1)
    power = 1.65 + 1.1 * skull.jaw if chin else 2.0
    ring = np.where(y > 0, 1 - down**power, 1 - np.clip(y, -1, 0) ** 2)
    ring = np.sqrt(np.maximum(ring, 1e-4)) * (1 - (0.16 if chin else 0.0) * down)
    x = x - skull.forward * (0.13 * down - 0.06)  # in profile the chin juts out and the skull is set back
    edge = (ring - np.abs(x)) * half_width * np.clip(0.35 + ring, 0, 1) + 0.5
    edge = np.minimum(edge, (1 - np.abs(y)) * half_height + 0.5)
    slant = np.clip(x / ring, -1, 1)
    longitude = (np.arcsin(slant) - skull.yaw + np.pi) % (2 * np.pi) - np.pi
    facing = np.sqrt(np.maximum(1 - 0.8 * slant * slant - 0.35 * y * y, 0.02))
    light = canvas.light
    lit = np.maximum(0.85 * slant * light[0] - 0.5 * y * light[1] + facing * light[2], 0)
    shade = canvas.ambient + (1 - canvas.ambient) * lit / 0.72
    height = np.broadcast_to(y, slant.shape) * (swell + rise) - rise
    return Globe(
        slice(top, bottom),
        slice(left, right),
        np.clip(edge, 0, 1),
        longitude,
        height,
        shade,
        skull.half_height,
    )


def spot(globe: Globe, longitude: float, height: float, wide: float, high: float) -> Mask:
    """A soft ellipse on the head; half axes in radians and in head heights."""
    across = (globe.longitude - longitude) / wide
    down = (globe.height - height) / high
    return np.clip((1 - np.sqrt(across * across + down * down)) * min(wide, high) * globe.grain + 0.5, 0, 1)


def over(distance: Mask, globe: Globe) -> Mask:
    """1 where a distance in head heights is positive, soft over a pixel."""
    return soft_step(distance, globe.grain)


def paint_globe(
    figure: Figure,
    globe: Globe,
    mask: Mask | float,
    color: Paint | Float[ndarray, "C h w"],
    relief: Mask | float = 1.0,
) -> None:
    """Colour a part of the head with its own shading."""
    region = figure.canvas.planes[:, globe.rows, globe.columns]
    values = figure.canvas.color(color) if isinstance(color, Paint) else color
    region += mask * globe.coverage * (values * (globe.shade * relief) - region)


def draw_face(figure: Figure, skull: Skull) -> None:
    """Skin, ears, features, beard and glasses."""
    canvas = figure.canvas
    for ear in (1.6, -1.6):
        if np.cos(ear + skull.yaw) > -0.45:
            _draw_ear(figure, skull, ear)
    globe = globe_of(figure, skull)
    if globe is None:
        return
    colors = np.tile(canvas.color(figure.skin), (1, *globe.coverage.shape))
    if skull.facing > -0.55:
        _features(figure, globe, colors)
        _beard(figure, globe, colors)
    rim = 1 - 0.22 * np.clip(1 - (1 - np.abs(np.sin(globe.longitude + skull.yaw))) * 6, 0, 1)
    paint_globe(figure, globe, 1.0, colors, rim)
    if abs(skull.forward) > 0.45 and skull.facing > -0.5:
        _draw_nose(figure, skull)
    for ear in (1.6, -1.6):
        if np.cos(ear + skull.yaw) > 0.2:
            _draw_ear(figure, skull, ear)
    if figure.identity.glasses != "without glasses" and skull.facing > -0.6:
        _draw_glasses(figure, globe)


def _features(figure: Figure, globe: Globe, colors: Float[ndarray, "C h w"]) -> None:
    canvas, identity, skin = figure.canvas, figure.identity, figure.skin
    size = identity.eye_size
    brow = Paint(
        (0.42, 0.42, 0.42) if identity.hair_color == "white hair" else Paint(identity.hair, 0).lit(0.7).rgb,
        0.35,
    )
    for sign in (1, -1):
        place = sign * 0.43 * identity.eye_spacing
        if figure.fine:
            blush = skin.toward(Paint((0.85, 0.35, 0.30), skin.ir), 0.35)
            canvas.mix(colors, 0.5 * spot(globe, sign * 0.6, 0.34, 0.3, 0.17), blush)
            canvas.mix(
                colors,
                0.55 * spot(globe, sign * 0.13 * identity.nose, 0.36, 0.09, 0.05),
                skin.lit(0.5),
            )
        canvas.mix(colors, 0.35 * spot(globe, place, 0.02, 0.30, 0.15), skin.lit(0.55))
        canvas.mix(colors, spot(globe, place, 0.04, 0.21 * size, 0.085 * size), _WHITE)
        canvas.mix(colors, spot(globe, place, 0.03, 0.105 * size, 0.085 * size), _DARK)
        if figure.fine:
            canvas.mix(colors, 0.8 * spot(globe, place, -0.055 * size, 0.23 * size, 0.03), _DARK)
        canvas.mix(colors, spot(globe, place * 1.05, -0.2, 0.27, 0.035 + 0.045 * identity.brow), brow)
    canvas.mix(colors, 0.5 * spot(globe, 0.0, 0.2, 0.07, 0.2), skin.lit(1.25))
    lip = skin.toward(Paint((0.72, 0.16, 0.20), skin.ir * 0.8), 0.35 + 0.6 * identity.lips)
    canvas.mix(colors, spot(globe, 0.0, 0.60, 0.30 * identity.mouth, 0.065 + 0.03 * identity.lips), lip)
    if figure.fine:
        canvas.mix(colors, 0.7 * spot(globe, 0.0, 0.59, 0.30 * identity.mouth, 0.022), _DARK)
    if identity.age == "old":
        _wrinkle(figure, globe, colors)


def _wrinkle(figure: Figure, globe: Globe, colors: Float[ndarray, "C h w"]) -> None:
    canvas, shade = figure.canvas, figure.skin.lit(0.5)
    for sign in (1, -1):
        canvas.mix(colors, 0.45 * spot(globe, sign * 0.42, 0.47, 0.05, 0.17), shade)
        canvas.mix(colors, 0.35 * spot(globe, sign * 0.45, 0.17, 0.22, 0.03), shade)
    canvas.mix(colors, 0.3 * spot(globe, 0.0, -0.42, 0.45, 0.025), shade)


def _beard(figure: Figure, globe: Globe, colors: Float[ndarray, "C h w"]) -> None:
    identity = figure.identity
    if identity.beard == "none":
        return
    away = np.abs(globe.longitude)
    mouth = spot(globe, 0.0, 0.60, 0.26 * identity.mouth, 0.07)
    lip = spot(globe, 0.0, 0.47, 0.36, 0.075)
    if identity.beard in ("full", "stubble"):
        whole = over(globe.height - (0.42 - 0.42 * np.clip((away - 0.45) / 0.8, 0, 1)), globe) * (away < 1.55)
        mask = np.maximum(whole, lip) * (1 - mouth) * (0.95 if identity.beard == "full" else 0.38)
    elif identity.beard == "goatee":
        ring = spot(globe, 0.0, 0.68, 0.48, 0.36)
        mask = np.maximum(ring * (globe.height > 0.45), lip) * (1 - mouth) * 0.9
    else:
        mask = lip * 0.95
    figure.canvas.mix(colors, mask, figure.hair)


def _draw_ear(figure: Figure, skull: Skull, longitude: float) -> None:
    x, y = skull.at(longitude, 0.08, 1.0)
    size = 0.17 * skull.half_height * figure.identity.ears
    wide = size * (0.55 + 0.35 * abs(float(np.cos(longitude + skull.yaw))))
    canvas = figure.canvas
    ear = [(-0.8, 0, wide * 0.8), (0, 0, wide), (1, 0, wide * 0.6)]
    canvas.stroke((x, y - size * 0.4), (x, y + size * 0.9), ear, figure.skin.lit(0.9), rim=0.5)
    if figure.identity.earrings:
        dot = canvas.strip((x, y + size * 1.7), (x, y + size * 2.0), even(0.1 * skull.half_height))
        canvas.cover(dot, Paint((0.95, 0.85, 0.45), 0.9), roundness=0.5)


def _draw_nose(figure: Figure, skull: Skull) -> None:
    """The bump of the nose in the outline, seen in profile."""
    size = figure.identity.nose
    side = 1.0 if skull.forward > 0 else -1.0
    edge = skull.x + skull.half_width * side * (0.93 + 0.05)
    height, reach = skull.half_height, side * abs(skull.forward) * skull.half_height * 0.14 * size
    points = [
        (edge - reach * 0.6, skull.y - 0.05 * height),
        (edge + reach, skull.y + 0.27 * height),
        (edge + reach * 0.7, skull.y + 0.36 * height),
        (edge - reach * 0.7, skull.y + 0.38 * height),
    ]
    light = figure.canvas.ambient + (1 - figure.canvas.ambient) * max(
        0.5 + 0.4 * side * figure.canvas.light[0], 0
    )
    figure.canvas.cover(figure.canvas.polygon(points), figure.skin, relief=light, roundness=0)


def _draw_glasses(figure: Figure, globe: Globe) -> None:
    identity = figure.identity
    frame = paint(identity.frame, "metal")
    dark = identity.glasses == "with sunglasses"
    temple = (
        over(0.035 - np.abs(globe.height + 0.03), globe)
        * (np.abs(globe.longitude) > 0.7)
        * (np.abs(globe.longitude) < 1.55)
    )
    paint_globe(figure, globe, temple, frame)
    paint_globe(figure, globe, spot(globe, 0.0, -0.02, 0.16, 0.05), frame)
    for sign in (1, -1):
        place = sign * 0.45 * identity.eye_spacing
        outer, inner = spot(globe, place, 0.04, 0.36, 0.19), spot(globe, place, 0.04, 0.25, 0.12)
        if dark:
            paint_globe(figure, globe, outer, _DARK)
            paint_globe(figure, globe, 0.4 * spot(globe, place - 0.08, -0.02, 0.1, 0.05), _WHITE)
        else:
            paint_globe(figure, globe, outer * (1 - inner), frame)
            paint_globe(figure, globe, 0.18 * inner, _WHITE)
