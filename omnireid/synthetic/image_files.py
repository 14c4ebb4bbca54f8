"""From a planned image to the bytes of its files: render once, crop the views, encode with Pillow only."""

from dataclasses import replace
from io import BytesIO
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from omnireid.synthetic.clothes import crop_clothes, render_template
from omnireid.synthetic.outfit import Outfit
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import ImagePlan, SyntheticSpec, View
from omnireid.synthetic.render import Rendering, render_person

Pixels = np.ndarray  # (H W 3) uint8

_TEMPLATE_QUALITY = 92
_LOOSE = 0.09  # largest error of a detector's box at each edge, as a share of the side
_CUT = (0.45, 0.75)  # share of each side that a badly cropped box keeps


def render_files(spec: SyntheticSpec, image: ImagePlan) -> list[tuple[str, bytes]]:
    """Path and content of every file of an image; views of the same kind are encoded once."""
    key = image.key
    population = spec.populations[key.dataset]
    rendering = _render(spec, key) if image.shows_person else None
    encoded: dict[tuple[View, str], bytes] = {}
    for file in image.files:
        kind = (file.view, PurePosixPath(file.path).suffix)
        if kind not in encoded:
            pixels = _view(spec, key, rendering, file.view)
            quality = population.cameras[key.camera].jpeg_quality if rendering else _TEMPLATE_QUALITY
            encoded[kind] = encode(pixels, kind[1], quality)
    return [(file.path, encoded[file.view, PurePosixPath(file.path).suffix]) for file in image.files]


def encode(pixels: Pixels, suffix: str, quality: int) -> bytes:
    """Encode an image file; always by Pillow, so that its bytes do not depend on other installed packages."""
    buffer = BytesIO()
    match suffix:
        case ".jpg":
            Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
        case ".png":
            Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        case ".bmp":
            Image.fromarray(pixels).save(buffer, "BMP")
        case _:
            raise ValueError(f"no encoder for {suffix!r}")
    return buffer.getvalue()


def _render(spec: SyntheticSpec, key: ShotKey) -> Rendering:
    population = spec.populations[key.dataset]
    height, width = spec.image_size(key.dataset)
    return render_person(
        population.identity(key.person),
        population.outfit(key.person, key.outfit),
        population.cameras[key.camera],
        population.shot(key),
        height=height,
        width=width,
        modality=key.modality,
    )


def _view(spec: SyntheticSpec, key: ShotKey, rendering: Rendering | None, view: View) -> Pixels:
    population, side = spec.populations[key.dataset], spec.preset.clothes_size
    match view:
        case "template":
            outfit = population.outfit(key.person, key.outfit)
            return render_template(outfit, population.rng("template", key.person, key.outfit), size=side)
        case "white_shirt":
            return render_template(white_shirt(), np.random.default_rng(0), size=side)
    assert rendering is not None, f"{view} of an image without a person"
    match view:
        case "clothes":
            return crop_clothes(rendering, side)
        case "loose" | "cut":
            return _recut(rendering.image, population.rng("box", key.person, key.number), view)
        case _:
            return rendering.image


def _recut(image: Pixels, rng: np.random.Generator, view: View) -> Pixels:
    """The same scene in a worse box of the same size; pixels outside repeat the border."""
    height, width = image.shape[:2]
    if view == "loose":
        left, top, right, bottom = np.array((0, 0, 1, 1)) + rng.uniform(-_LOOSE, _LOOSE, size=4)
    else:
        keep_x, keep_y = rng.uniform(*_CUT, size=2)
        left, top = rng.uniform(0, 1 - keep_x), rng.uniform(0, 1 - keep_y)
        right, bottom = left + keep_x, top + keep_y
    margin_y, margin_x = int(np.ceil(_LOOSE * height)), int(np.ceil(_LOOSE * width))
    padded = np.pad(image, ((margin_y, margin_y), (margin_x, margin_x), (0, 0)), mode="edge")
    box = (
        margin_x + left * width,
        margin_y + top * height,
        margin_x + right * width,
        margin_y + bottom * height,
    )
    return np.asarray(Image.fromarray(padded).resize((width, height), Image.Resampling.BILINEAR, box=box))


def white_shirt() -> Outfit:
    """The neutral garment that the official lists name if no clothes are specified."""
    white = (0.94, 0.94, 0.93)
    return replace(
        Outfit.draw(np.random.default_rng(0)),
        coat_color="white",
        coat=white,
        accent=white,
        inner=white,
        coat_style="shirt",
        coat_length="short sleeve coat",
        coat_material="cotton",
        pattern="plain",
        closure="buttons",
        collar="fold",
        tie=None,
        fit=1.0,
        hem=0.5,
        uniform="common clothing",
        seed=0,
    )
