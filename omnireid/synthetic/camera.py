"""Cameras of the synthetic world: each has its own place, light, colours, viewpoints and faults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from omnireid.synthetic.palette import RGB

SCENES = (
    "street", "park", "corridor", "shop", "plaza", "door",
    "car_park", "platform", "crossing", "hall", "stairs", "alley",
)  # fmt: skip
_INDOOR = ("corridor", "door", "hall", "shop")
_OCCLUDERS: dict[str, tuple[str, ...]] = {
    "street": ("bin", "pole", "person", "bicycle"),
    "park": ("bush", "bench", "bush", "pole", "person"),
    "corridor": ("person", "trolley", "pillar"),
    "shop": ("counter", "person", "rack"),
    "plaza": ("pole", "person", "bush", "bin"),
    "door": ("pillar", "person", "counter"),
    "car_park": ("car", "pole", "car"),
    "platform": ("pillar", "person", "bench"),
    "crossing": ("car", "bicycle", "person"),
    "hall": ("person", "counter", "pillar"),
    "stairs": ("railing", "person"),
    "alley": ("bin", "bicycle", "pole"),
}
# Numbers of a camera without faults.
_FAULTLESS = {
    "gamma": 1.0, "contrast": 1.0, "saturation": 1.0, "scale_jitter": 0.0, "crop_jitter": 0.0, "noise": 0.0,
    "vignette": 0.0, "occlusion": 0.0, "drift": 0.0, "ir_gain": 1.0, "ir_noise": 0.0, "ir_leak": 0.9,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Camera:
    """A fixed camera; angles in radians, blur in pixels of an image 256 high."""

    name: str
    scene: str  # one of SCENES
    seed: int  # of the background
    light: tuple[float, float, float]  # the direction it comes from: right, up, towards the viewer
    ambient: float  # share of the light that comes from everywhere
    gains: RGB  # colour cast
    gamma: float
    contrast: float
    saturation: float
    views: tuple[float, float, float]  # how often people are seen from front, back, side
    pitch: float  # how far the camera looks down
    scale: float  # height of an average adult over the height of the image
    scale_jitter: float
    crop_jitter: float
    blur: tuple[float, float]
    noise: float  # standard deviation, in [0, 1] units
    vignette: float
    shadow: float  # strength of the shadow on the ground
    occluders: tuple[str, ...]
    occlusion: float  # how often something stands in front
    drift: float  # how much light changes from shot to shot
    jpeg_quality: int  # of the file that is written
    ir_gain: float
    ir_noise: float
    ir_leak: float = 0.0  # how much of the visible grey an infrared image keeps; 0: nothing but material

    def scaled(self, difficulty: float) -> Camera:
        """The same camera with its faults scaled: 1 leaves it as it is, 0 removes them.

        Faults are colour cast, tone, noise, blur, occlusion, drifting light and loose boxes; a faultless
        infrared camera also sees some of the dyes. Place, light and viewpoints stay.
        """

        def near(value: float, ideal: float) -> float:
            return ideal + difficulty * (value - ideal)

        numbers: dict[str, Any] = {
            name: near(getattr(self, name), ideal) for name, ideal in _FAULTLESS.items()
        }
        red, green, blue = (near(gain, 1) for gain in self.gains)
        least, most = (near(radius, 0) for radius in self.blur)
        return replace(self, gains=(red, green, blue), blur=(least, most), **numbers)


def make_cameras(count: int, rng: np.random.Generator) -> tuple[Camera, ...]:
    """Draw cameras at different places, as long as there are places left (twelve)."""
    order = rng.permutation(len(SCENES))
    return tuple(_draw(SCENES[order[index % len(SCENES)]], index, rng) for index in range(count))


def _draw(scene: str, index: int, rng: np.random.Generator) -> Camera:
    indoor = scene in _INDOOR
    side = rng.uniform(-0.9, 0.9)
    up = rng.uniform(0.45, 0.9)
    favourite = int(rng.integers(3))
    views = [0.2, 0.2, 0.2]
    views[favourite] += 0.4
    warmth = rng.normal(0.05 if indoor else -0.01, 0.06)
    tint = rng.normal(0.0, 0.025)
    low = rng.uniform(0.0, 0.5)
    return Camera(
        name=f"c{index + 1}_{scene}",
        scene=scene,
        seed=int(rng.integers(2**31)),
        light=(side, up, 0.75),
        ambient=rng.uniform(0.5, 0.75) if indoor else rng.uniform(0.38, 0.65),
        gains=(1 + warmth, 1 + tint, 1 - warmth),
        gamma=rng.uniform(0.85, 1.2),
        contrast=rng.uniform(0.82, 1.12),
        saturation=rng.uniform(0.7, 1.1),
        views=(views[0], views[1], views[2]),
        pitch=rng.uniform(0.03, 0.3),
        scale=rng.uniform(0.84, 0.93),
        scale_jitter=rng.uniform(0.02, 0.06),
        crop_jitter=rng.uniform(0.015, 0.05),
        blur=(low, low + rng.uniform(0.2, 0.9)),
        noise=rng.uniform(0.008, 0.035),
        vignette=rng.uniform(0.0, 0.25),
        shadow=rng.uniform(0.15, 0.3) if indoor else rng.uniform(0.2, 0.5),
        occluders=_OCCLUDERS[scene],
        occlusion=rng.uniform(0.08, 0.3),
        drift=rng.uniform(0.05, 0.16),
        jpeg_quality=int(rng.integers(60, 94)),
        ir_gain=rng.uniform(0.8, 1.1),
        ir_noise=rng.uniform(0.015, 0.04),
    )
