"""From light to pixels: exposure, colour cast, blur, tone and noise of a camera, by day or under infrared."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageFilter

from omnireid.synthetic.camera import Camera
from omnireid.synthetic.canvas import Canvas, within
from omnireid.synthetic.shot import Shot


def expose(canvas: Canvas, camera: Camera, shot: Shot) -> UInt8[ndarray, "H W 3"]:
    """The canvas as recorded by this camera."""
    planes = canvas.planes
    infrared = canvas.modality == "ir"
    if infrared:
        planes *= np.float32(camera.ir_gain * (0.5 + 0.5 * shot.gain)) * _vignette(
            canvas.height, canvas.width, 0.55
        )
    else:
        grey = planes.mean(axis=0, keepdims=True)
        planes -= grey
        planes *= np.float32(camera.saturation)
        planes += grey
        gains = np.array(camera.gains, np.float32) * np.array(shot.cast, np.float32) * np.float32(shot.gain)
        planes *= gains[:, None, None]
        planes *= _vignette(canvas.height, canvas.width, camera.vignette)
    planes *= np.float32(255)
    bands = [Image.fromarray(plane) for plane in within(planes, 0, 255).astype(np.uint8)]
    blur = shot.blur * canvas.height / 256
    if blur > 0.15:
        radius = float(np.sqrt(3 * blur * blur + 0.25)) - 0.5  # a box as wide as a Gaussian of this deviation
        bands = [band.filter(ImageFilter.BoxBlur(radius)) for band in bands]
    image = bands[0] if infrared else Image.merge("RGB", bands)
    image = image.point(_tone(camera.gamma, camera.contrast) * len(bands))
    level = camera.ir_noise if infrared else camera.noise
    noisy = _noise(canvas, shot.seed) * np.float32(255 * level)
    noisy += np.asarray(image).reshape(noisy.shape)
    clean = within(noisy, 0, 255).astype(np.uint8)
    return np.repeat(clean, 3, axis=2) if infrared else clean


@lru_cache(maxsize=64)
def _tone(gamma: float, contrast: float) -> list[int]:
    """The camera's curve for one channel."""
    levels = np.linspace(0, 1, 256) ** gamma
    curve = np.clip((levels - 0.5) * contrast + 0.5, 0, 1)
    return [round(255 * level) for level in curve]


@lru_cache(maxsize=64)
def _vignette(height: int, width: int, strength: float) -> Float[ndarray, "H W"]:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return 1 - np.float32(strength) * np.clip(0.35 * y * y + 0.5 * x * x, 0, 1)


@lru_cache(maxsize=1)
def _noise_field() -> Float[ndarray, "N M 3"]:
    return np.random.default_rng(19920817).standard_normal((512, 512, 3), dtype=np.float32)


def _noise(canvas: Canvas, seed: int) -> Float[ndarray, "H W C"]:
    """A window of a fixed field of noise; larger images get their own."""
    channels = canvas.planes.shape[0]
    rng = np.random.default_rng(seed)
    if canvas.height > 400 or canvas.width > 400:
        return rng.standard_normal((canvas.height, canvas.width, channels), dtype=np.float32)
    top, left = (int(value) for value in rng.integers(0, 512 - 400, 2))
    return _noise_field()[top : top + canvas.height, left : left + canvas.width, :channels]
