"""The background of each camera, painted once as a panorama from which every shot takes a crop."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image, ImageFilter

from omnireid.synthetic.camera import Camera
from omnireid.synthetic.canvas import Canvas
from omnireid.synthetic.fabric import look_up, noise_tile
from omnireid.synthetic.landmarks import THINGS, Stage
from omnireid.synthetic.palette import Paint

_WIDE, _HIGH = 3.0, 1.12  # size of the panorama, in images

# Scene → (wall, ground, objects along the wall).
_PLACES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "street": ("brick", "slabs", ("window", "door", "window", "pipe", "poster")),
    "park": ("hedge", "grass", ("tree", "tree", "bush")),
    "corridor": ("plaster", "lino", ("door", "poster", "door", "pipe")),
    "shop": ("panels", "tiles", ("goods", "goods", "poster")),
    "plaza": ("facade", "tiles", ("column", "tree", "column")),
    "door": ("plaster", "slabs", ("glass_door", "plant", "glass_door")),
    "car_park": ("concrete", "asphalt", ("car", "car", "column")),
    "platform": ("train", "slabs", ("sign", "column")),
    "crossing": ("facade", "zebra", ("tree", "sign", "car")),
    "hall": ("glass", "lino", ("column", "plant", "column")),
    "stairs": ("concrete", "steps", ("pipe", "poster")),
    "alley": ("shutter", "cobbles", ("door", "pipe", "poster")),
}
_WALLS: dict[str, tuple[Paint, ...]] = {
    "brick": (Paint((0.55, 0.32, 0.25), 0.55), Paint((0.66, 0.50, 0.38), 0.6)),
    "hedge": (Paint((0.22, 0.36, 0.17), 0.86), Paint((0.30, 0.38, 0.16), 0.9)),
    "plaster": (Paint((0.82, 0.80, 0.72), 0.75), Paint((0.70, 0.76, 0.78), 0.7)),
    "panels": (Paint((0.75, 0.62, 0.46), 0.65), Paint((0.62, 0.66, 0.70), 0.6)),
    "facade": (Paint((0.66, 0.63, 0.58), 0.55), Paint((0.52, 0.56, 0.62), 0.5)),
    "concrete": (Paint((0.55, 0.55, 0.53), 0.5), Paint((0.46, 0.47, 0.49), 0.45)),
    "train": (Paint((0.72, 0.74, 0.76), 0.6), Paint((0.30, 0.42, 0.36), 0.5)),
    "glass": (Paint((0.66, 0.76, 0.80), 0.35), Paint((0.74, 0.74, 0.70), 0.4)),
    "shutter": (Paint((0.45, 0.48, 0.46), 0.45), Paint((0.50, 0.42, 0.38), 0.4)),
}
_GROUNDS: dict[str, Paint] = {
    "slabs": Paint((0.58, 0.56, 0.53), 0.5),
    "grass": Paint((0.36, 0.48, 0.24), 0.92),
    "lino": Paint((0.64, 0.62, 0.58), 0.55),
    "tiles": Paint((0.70, 0.67, 0.62), 0.6),
    "asphalt": Paint((0.36, 0.36, 0.37), 0.3),
    "zebra": Paint((0.34, 0.34, 0.36), 0.3),
    "steps": Paint((0.62, 0.60, 0.57), 0.5),
    "cobbles": Paint((0.44, 0.42, 0.40), 0.4),
}


def backdrop(
    camera: Camera, place: float, rise: float, *, height: int, width: int, modality: str
) -> Float[ndarray, "C H W"]:
    """Crop an image from the camera's panorama; both positions range from 0 to 1."""
    panorama = _panorama(camera, height, width, modality)
    left = int(place * (panorama.shape[2] - width))
    top = int(np.clip(rise, 0, 1) * (panorama.shape[1] - height))
    window = panorama[:, top : top + height, left : left + width]
    return np.multiply(window, np.float32(1 / 255), dtype=np.float32)


@lru_cache(maxsize=96)
def _panorama(camera: Camera, height: int, width: int, modality: str) -> ndarray:
    rng = np.random.default_rng(camera.seed)
    full_height, full_width = int(height * _HIGH), int(width * _WIDE)
    canvas = Canvas(full_height, full_width, light=camera.light, ambient=camera.ambient, modality=modality)
    floor = int(full_height * (0.74 - 0.95 * camera.pitch + rng.uniform(-0.04, 0.04)))
    stage = Stage(canvas, floor, float(height), rng)
    wall, ground, things = _PLACES[camera.scene]
    _paint_wall(stage, wall)
    _paint_ground(stage, ground)
    x = rng.uniform(0.02, 0.2) * height
    index = int(rng.integers(len(things)))
    while x < full_width:
        THINGS[things[index % len(things)]](stage, x)
        x += rng.uniform(0.22, 0.5) * height
        index += 1
    seam = slice(max(floor - int(0.01 * height), 0), floor + 2)
    canvas.planes[:, seam] *= 0.72
    pixels = np.clip(canvas.planes * 255, 0, 255).astype(np.uint8)
    softness = height / 256 * 0.9
    return np.stack(
        [np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(softness))) for p in pixels]
    )


def _grid(stage: Stage, top: int, bottom: int) -> tuple[Float[ndarray, "h w"], Float[ndarray, "h w"]]:
    """Row and column coordinates of a band, in image heights."""
    y = np.arange(top, bottom, dtype=np.float32)[:, None] / stage.size
    x = np.arange(stage.canvas.width, dtype=np.float32)[None, :] / stage.size
    return np.broadcast_to(y, (bottom - top, x.shape[1])), np.broadcast_to(x, (bottom - top, x.shape[1]))


def _seams(position: Float[ndarray, "h w"], period: float, width: float) -> Float[ndarray, "h w"]:
    """1 on thin lines, 0 between them."""
    return (np.abs((position / period) % 1 - 0.5) > 0.5 - 0.5 * width / period).astype(np.float32)


def _paint_wall(stage: Stage, kind: str) -> None:
    canvas, rng, floor = stage.canvas, stage.rng, stage.floor
    options = _WALLS[kind]
    base = options[int(rng.integers(len(options)))].lit(rng.uniform(0.8, 1.12))
    y, x = _grid(stage, 0, floor)
    grain = look_up(noise_tile(5.0), y * 130 + 11, x * 90)
    relief = 1 + 0.05 * grain
    if kind == "brick":
        row = np.floor(y / 0.035)
        relief = relief - 0.28 * np.maximum(
            _seams(y, 0.035, 0.006), _seams(x + 0.045 * (row % 2), 0.09, 0.006)
        )
        relief = relief + 0.07 * look_up(
            noise_tile(1.2), row * 17, np.floor((x + 0.045 * (row % 2)) / 0.09) * 29
        )
    elif kind == "hedge":
        relief = (
            1
            + 0.22 * look_up(noise_tile(1.2), y * 240, x * 240)
            + 0.14 * grain
            - 0.5 * (y - y.max() + 0.2).clip(0)
        )
    elif kind in ("panels", "concrete", "glass"):
        relief = relief - 0.18 * _seams(x, rng.uniform(0.2, 0.4), 0.008) - 0.12 * _seams(y, 0.33, 0.008)
    elif kind == "shutter":
        relief = relief * (0.88 + 0.14 * np.abs(np.sin(y * 110)))
    elif kind == "plaster" and rng.uniform() < 0.7:
        relief = relief * np.where(y > y.max() - 0.22, 0.68, 1.0)
    band = canvas.planes[:, :floor]
    band[...] = canvas.color(base) * relief * (0.8 + 0.2 * y / max(float(y.max()), 0.1))
    if kind in ("facade", "train", "glass", "hedge"):
        _paint_openings(stage, kind, y, x)


def _paint_openings(stage: Stage, kind: str, y: Float[ndarray, "h w"], x: Float[ndarray, "h w"]) -> None:
    """Windows of buildings and trains, glass panes, and the sky above a hedge."""
    canvas, rng = stage.canvas, stage.rng
    band = canvas.planes[:, : stage.floor]
    dark, sky = canvas.color(Paint((0.20, 0.25, 0.32), 0.2)), canvas.color(Paint((0.78, 0.85, 0.92), 0.12))
    if kind == "facade":
        mask = (((x / 0.16) % 1) > 0.35) & (((y / 0.2) % 1) > 0.4) & (y < y.max() - 0.1)
        band += mask * 0.85 * (dark - band)
    elif kind == "train":
        middle = float(y.max()) - 0.42
        band += ((np.abs(y - middle) < 0.1) & (((x / 0.3) % 1) > 0.18)) * (dark - band)
        band += (np.abs(y - middle - 0.17) < 0.02) * (canvas.color(Paint((0.8, 0.25, 0.15), 0.6)) - band)
    elif kind == "glass":
        glow = look_up(noise_tile(5.0), y * 40, x * 40)
        band += 0.12 * glow
    else:
        crown = (
            0.16
            + 0.035 * look_up(noise_tile(5.0), 0 * x, x * 120)
            + 0.01 * look_up(noise_tile(1.2), 0 * x + 9, x * 300)
        )
        band += (y < crown) * (sky - band) * rng.uniform(0.8, 1.0)


def _paint_ground(stage: Stage, kind: str) -> None:
    canvas, rng, floor = stage.canvas, stage.rng, stage.floor
    base = _GROUNDS[kind].lit(rng.uniform(0.82, 1.15))
    y, x = _grid(stage, floor, canvas.height)
    depth = (y - floor / stage.size) + 0.06  # nearer rows are lower and larger
    away = 0.08 / depth
    side = (x - x.mean()) / depth * 0.35
    grain = (
        look_up(noise_tile(5.0), away * 600, side * 150) * 0.04
        + look_up(noise_tile(1.2), y * 250, x * 250) * 0.03
    )
    relief = 1 + grain
    if kind in ("slabs", "tiles"):
        period = 0.16 if kind == "slabs" else 0.09
        lines = np.maximum(_seams(away, period, 0.012), _seams(side, period * 1.6, 0.014))
        relief = relief - 0.16 * lines
        if kind == "tiles":
            relief = relief - 0.10 * ((np.floor(away / period) + np.floor(side / period / 1.6)) % 2)
    elif kind == "grass":
        relief = relief + 0.13 * look_up(noise_tile(1.2), y * 400, x * 180)
    elif kind == "cobbles":
        row = np.floor(away / 0.07)
        relief = relief - 0.2 * np.maximum(
            _seams(away, 0.07, 0.015), _seams(side + 0.06 * (row % 2), 0.12, 0.02)
        )
    elif kind == "steps":
        relief = relief * (0.78 + 0.3 * ((y / 0.055) % 1))
    elif kind == "lino":
        relief = relief + 0.10 * np.exp(-(((x / 0.5) % 1 - 0.5) ** 2) / 0.02)
    band = canvas.planes[:, floor:]
    band[...] = canvas.color(base) * relief
    if kind == "zebra":
        band += (((side / 0.5) % 1) < 0.5) * 0.8 * (canvas.color(Paint((0.88, 0.88, 0.86), 0.7)) - band)
    elif kind == "asphalt":
        band += (_seams(side, 0.9, 0.05)) * 0.8 * (canvas.color(Paint((0.85, 0.84, 0.78), 0.7)) - band)
