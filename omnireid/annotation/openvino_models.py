"""Real models behind the pipeline's interfaces, run by OpenVINO: Intel's attributes, U2-Net's clothes.

Neither comes with this project; docs/annotation.md says where they are had. Words are proposed only where
the model's classes mean them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from instructions.errors import InputError
from omnireid.annotation.attributes import Proposal
from omnireid.annotation.crops import Parsed
from omnireid.files import sha256_of

# Outputs of person-attributes-recognition-crossroad-0230 in their order, with the word for yes and for no;
# "coat_jacket" says what table 7 has no word for. Its "hat" and "bag" are weak (its authors' own figures).
CROSSROAD: tuple[tuple[str, str, str] | None, ...] = (
    ("gender_code", "male", "female"),
    ("bag_style", "hand bag", "without bag"),
    ("bag_style", "backpack", "without bag"),
    ("cap_style", "with hat", "without hat"),
    ("coat_length", "long sleeve coat", "short sleeve coat"),
    ("trousers_length", "trousers", "shorts trousers"),
    ("hair_style", "long hair", "short hair"),
    None,
)
SURE = 0.5
# Typical levels of the color words; the nearest one names the patch at the model's two color points.
PALETTE: dict[str, tuple[int, int, int]] = {
    "black": (30, 30, 32),
    "gray": (125, 125, 125),
    "white": (225, 225, 225),
    "red": (170, 40, 45),
    "yellow": (200, 170, 60),
    "green": (60, 120, 65),
    "blue": (50, 75, 140),
    "purple": (110, 60, 130),
}
CLOTH_SIDE = 768
UPPER, FULL = 1, 3  # classes of the parser: background, upper, lower, full body


class CrossroadAttributes:
    """Intel's person-attributes-recognition-crossroad-0230: eight yes-or-no questions, seven of them ours."""

    def __init__(self, model: Path) -> None:
        """Load ``*.xml`` with its ``*.bin`` beside it.

        Raises:
            InputError: OpenVINO or the model is missing.
        """
        self._run = _compiled(model)
        self.name, self.version = model.stem, sha256_of(model.with_suffix(".bin"))[:16]

    def propose(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Proposal:
        """Words for what it is more sure of than not."""
        image = np.asarray(Image.fromarray(pixels).resize((80, 160), Image.Resampling.BILINEAR))
        blue_first = image[:, :, ::-1].astype(np.float32)
        answer = self._run(blue_first.transpose(2, 0, 1)[None])
        shares = np.asarray(answer[0]).ravel().tolist()
        words: dict[str, str] = {}
        confidence: dict[str, float] = {}
        for share, question in zip(shares, CROSSROAD, strict=True):
            if question is None:
                continue
            name, yes, no = question
            word, sure = (yes, share) if share > SURE else (no, 1 - share)
            if name not in words or words[name] == no:  # a bag of either kind is a bag
                words[name], confidence[name] = word, sure
        for place, thing in ((1, "coat"), (2, "trousers")):
            color, near = _color_at(image, np.asarray(answer[place]).ravel())
            words[f"{thing}_color"], confidence[f"{thing}_color"] = f"{color} {thing}", near
        return Proposal(words, confidence)


class ClothParser:
    """U2-Net trained on iMaterialist fashion images (cloth-segmentation, MIT): upper, lower, full body.

    It wants the garment large and sharp; on small surveillance crops it often finds nothing, which the crop
    then says.
    """

    def __init__(self, model: Path) -> None:
        """Load the ``.onnx`` file.

        Raises:
            InputError: OpenVINO or the model is missing.
        """
        self._run = _compiled(model)
        self.name, self.version = model.stem, sha256_of(model)[:16]

    def parse(self, pixels: UInt8[np.ndarray, "H W 3"]) -> Parsed:
        """Upper clothes; those that cover the whole body where there are no upper ones."""
        height, width = pixels.shape[:2]
        scale = CLOTH_SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        square = Image.new("RGB", (CLOTH_SIDE, CLOTH_SIDE), "white")
        corner = ((CLOTH_SIDE - size[0]) // 2, (CLOTH_SIDE - size[1]) // 2)
        square.paste(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC), corner)
        levels = np.asarray(square, dtype=np.float32) / 127.5 - 1
        classes = np.asarray(self._run(levels.transpose(2, 0, 1)[None])[0])[0].argmax(axis=0)
        classes = classes[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]]
        found = UPPER if (classes == UPPER).sum() >= (classes == FULL).sum() else FULL
        mask = Image.fromarray((classes == found).astype(np.uint8) * 255)
        return Parsed(np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR)) > 127)


def _color_at(image: UInt8[np.ndarray, "H W 3"], point: np.ndarray) -> tuple[str, float]:
    """The color word around a point (x, y in [0, 1]), and how much nearer it is than the next word."""
    height, width = image.shape[:2]
    across, down = (
        int(np.clip(share, 0, 0.999) * size) for share, size in zip(point, (width, height), strict=True)
    )
    patch = image[max(0, down - 4) : down + 5, max(0, across - 4) : across + 5].reshape(-1, 3)
    seen = np.median(patch, axis=0)
    distances = {word: float(np.linalg.norm(seen - levels)) for word, levels in PALETTE.items()}
    first, second = sorted(distances, key=lambda word: distances[word])[:2]
    return first, distances[second] / max(distances[first] + distances[second], 1e-9)


def _compiled(model: Path) -> Any:
    if not model.is_file():
        raise InputError(f"there is no model {model}; docs/annotation.md says where to get it")
    try:
        import openvino
    except ImportError:
        raise InputError("this model runs on OpenVINO; install it with pip install openvino") from None
    core = openvino.Core()
    try:
        # Full precision, so that results do not depend on what a machine's processor supports.
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled: Any = core.compile_model(core.read_model(model), "CPU", settings)
    except RuntimeError as error:
        raise InputError(f"{model} is not a model that OpenVINO can run: {error!s:.200}") from None
    return compiled
