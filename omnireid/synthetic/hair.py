"""Haircuts: hair behind the head, on the skull, and hanging down the back."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from omnireid.synthetic.fabric import look_up, noise_tile
from omnireid.synthetic.figure import Figure
from omnireid.synthetic.head import Globe, Mask, Skull, globe_of, over, paint_globe

# Cut → (swell, rise) of the hair over the skull: the minimum, and what full volume adds.
_MASS: dict[str, tuple[float, float, float]] = {
    "crop": (1.03, 0.04, 0.02),
    "side_part": (1.05, 0.08, 0.06),
    "quiff": (1.04, 0.06, 0.18),
    "curls": (1.10, 0.16, 0.08),
    "bob": (1.10, 0.12, 0.04),
    "straight": (1.06, 0.10, 0.03),
    "waves": (1.10, 0.16, 0.05),
    "ponytail": (1.03, 0.04, 0.02),
    "bun": (1.04, 0.05, 0.02),
    "afro": (1.32, 0.30, 0.12),
    "mohawk": (1.02, 0.0, 0.22),
    "pigtails": (1.05, 0.06, 0.02),
    "bald": (1.0, 0.0, 0.0),
}
_FALLING = ("bob", "straight", "waves")


def draw_hair_behind(figure: Figure, skull: Skull) -> None:
    """Hair behind neck and shoulders while the face is turned this way."""
    if skull.facing > -0.15:
        _draw_fall(figure, skull)


def draw_hair_over(figure: Figure, skull: Skull) -> None:
    """Hair on the skull, and hair hanging down the back if it faces the camera."""
    cut = figure.identity.haircut
    if cut == "bun":
        _draw_bun(figure, skull)
    mass = skull_cap(figure, skull)
    if mass is not None and cut != "bald":
        paint_globe(figure, mass, _mask(figure, mass), figure.hair, _strands(figure, mass))
    if cut == "bald" and figure.identity.hair_length > 0.45:
        _draw_wreath(figure, skull)
    if skull.facing <= -0.15:
        _draw_fall(figure, skull)
    if cut == "pigtails":
        _draw_pigtails(figure, skull)


def skull_cap(figure: Figure, skull: Skull) -> Globe | None:
    """The enlarged head shape that carries the hair."""
    swell, volume, rise = _MASS[figure.identity.haircut]
    full = figure.identity.hair_volume
    if figure.outfit.cap != "none":  # pressed flat
        swell, volume, rise = min(swell, 1.05), 0.0, 0.0
    return globe_of(figure, skull, swell=swell + volume * full, rise=rise * (0.4 + 0.6 * full), chin=False)


def _mask(figure: Figure, globe: Globe) -> Mask:
    """The hairline: high or low on the forehead, at the temples, behind the ears, at the nape."""
    identity = figure.identity
    away = np.degrees(np.abs(globe.longitude))
    front = -0.42 - 0.32 * identity.hairline + identity.fringe * (0.24 + 0.2 * identity.hairline)
    if identity.haircut in ("quiff", "bun", "ponytail", "mohawk"):
        front = -0.46 - 0.28 * identity.hairline
    nape = (
        0.62
        if identity.haircut in ("crop", "side_part", "quiff", "mohawk", "bun", "ponytail", "pigtails")
        else 0.8
    )
    burns = 0.12 if identity.gender != "female" else -0.05
    if identity.haircut in _FALLING:
        line = np.interp(away, (0, 30, 48, 62, 75, 180), (front, front, front + 0.12, 0.35, 1.1, 1.2))
    elif identity.haircut in ("afro", "curls"):
        line = np.interp(away, (0, 40, 60, 72, 100, 180), (front, front + 0.04, -0.1, 0.2, 0.5, nape))
    else:
        line = np.interp(
            away,
            (0, 34, 52, 60, 78, 84, 100, 180),
            (front, front, front * 0.75, -0.3, burns, -0.05, 0.25, nape),
        )
    if identity.haircut in ("side_part", "bob", "straight"):
        line = line + 0.10 * identity.parting * np.sin(globe.longitude) * (away < 60)
    mask = over(line - globe.height, globe)
    if identity.haircut == "mohawk" and figure.outfit.cap == "none":
        across = np.abs(np.sin(globe.longitude)) * np.sqrt(np.clip(1 - globe.height**2, 0, 1))
        mask = mask * np.clip((0.3 - across) * globe.grain + 0.5, 0.3 * (globe.height > -1), 1)
    return mask


def _strands(figure: Figure, globe: Globe) -> Float[ndarray, "h w"]:
    """Streaks along the hair, or a grain for curls."""
    identity = figure.identity
    if identity.haircut in ("curls", "afro", "waves"):
        grain = look_up(noise_tile(5.0), globe.height * 60 + 90, globe.longitude * 45 + 128)
        return 1 + 0.10 * grain
    streaks = look_up(
        noise_tile(5.0), globe.height * 10 + 90, globe.longitude * 70 + 128 + 30 * identity.parting
    )
    parted = np.exp(-(((globe.longitude - 0.7 * identity.parting) / 0.09) ** 2)) * (globe.height < -0.5)
    return 1 + 0.13 * streaks - (0.35 * parted if identity.haircut in ("side_part", "straight", "bob") else 0)


def _draw_fall(figure: Figure, skull: Skull) -> None:
    """Long hair or a ponytail: strips that hang from the back of the head."""
    identity, canvas = figure.identity, figure.canvas
    cut, high = identity.haircut, skull.half_height
    back = -skull.forward
    if cut in _FALLING:
        length = {
            "bob": 1.15,
            "straight": 2.0 + 1.9 * identity.hair_length,
            "waves": 1.9 + 1.7 * identity.hair_length,
        }[cut]
        half = skull.half_width * (1.0 + 0.16 * identity.hair_volume) * (1 - 0.3 * abs(skull.forward))
        x = skull.x + back * skull.half_width * 0.45
        wave = 0.10 * high if cut == "waves" else 0.0
        shape = [
            (0, 0, half * 0.95),
            (0.3, wave, half * 1.05),
            (0.55, -wave, half * 1.04),
            (0.8, wave, half),
            (1, 0, half * 0.72),
        ]
        tip = (x + back * 0.25 * high, skull.y + length * high)
        surface = canvas.strip((x, skull.y - 0.1 * high), tip, shape, flat="end" if cut == "bob" else None)
    elif cut == "ponytail":
        x = skull.x + back * skull.half_width * 1.02
        half = high * (0.2 + 0.14 * identity.hair_volume)
        tip = (x + back * 0.55 * high, skull.y + (0.9 + 1.6 * identity.hair_length) * high)
        shape = [(0, 0, half * 0.6), (0.3, back * 0.25 * high, half), (1, 0, half * 0.3)]
        if skull.facing > 0.75:
            return
        surface = canvas.strip((x, skull.y - 0.4 * high), tip, shape)
    else:
        return
    if surface is None:
        return
    streaks = look_up(noise_tile(5.0), surface.along * (14 / high) + 40, surface.across * 75 + 128)
    canvas.cover(surface, figure.hair, relief=(1 + 0.15 * streaks) * 0.92, rim=0.4)


def _draw_bun(figure: Figure, skull: Skull) -> None:
    high, canvas = skull.half_height, figure.canvas
    size = high * (0.34 + 0.14 * figure.identity.hair_volume)
    up = 1.1 if figure.identity.hair_length > 0.4 and figure.outfit.cap == "none" else 0.3
    x, y = skull.x - skull.forward * skull.half_width * (0.55 if up > 1 else 1.1), skull.y - up * high
    canvas.stroke(
        (x - size * 0.2, y), (x + size * 0.2, y), [(0, 0, size), (1, 0, size)], figure.hair, rim=0.45
    )


def _draw_pigtails(figure: Figure, skull: Skull) -> None:
    high, canvas = skull.half_height, figure.canvas
    for sign in (1, -1):
        x, y = skull.at(sign * 1.75, 0.1, 1.12)
        out = float(np.sin(sign * 1.75 + skull.yaw))
        half = high * (0.2 + 0.1 * figure.identity.hair_volume)
        tip = (x + out * 0.45 * high, y + (0.9 + 0.8 * figure.identity.hair_length) * high)
        canvas.stroke((x, y), tip, [(0, 0, half * 0.5), (0.4, 0, half), (1, 0, half * 0.3)], figure.hair)


def _draw_wreath(figure: Figure, skull: Skull) -> None:
    """The remaining hair around a bald head."""
    globe = globe_of(figure, skull, swell=1.02, chin=False)
    if globe is None:
        return
    away = np.degrees(np.abs(globe.longitude))
    low = np.interp(away, (0, 60, 80, 100, 180), (-2, -2, -0.05, 0.25, 0.5))
    mask = over(low - globe.height, globe) * over(globe.height + 0.12, globe) * (away > 66)
    paint_globe(figure, globe, 0.9 * mask, figure.hair, _strands(figure, globe))
