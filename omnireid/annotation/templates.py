"""Shop images proposed as clothes templates: the forty nearest to each crop (IRM, section 3).

The paper searched shopping websites; here a local folder is searched, so that nothing is fetched and nobody's
image leaves the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from instructions.errors import InputError
from omnireid.annotation.crops import cut, standing_boxes
from omnireid.annotation.journal import Entry, Kind, Provenance
from omnireid.annotation.work import Progress, Work
from omnireid.datasets.scan import is_image_name
from omnireid.loading.image import read_image

NUM_PROPOSED = 40  # "the top 40 matching clothes templates"
WHITE = 225  # the least channel of a shop's background
MIDDLE = np.s_[18:40, 14:34]  # rows and columns, of 48, of a crop
RATIOS, LEVELS = np.linspace(-0.4, 0.5, 10), np.linspace(0, 1, 5)


class Describer(Protocol):
    """Turns an image of clothes into a vector; two are compared by cosine similarity."""

    @property
    def name(self) -> str:
        """Its name in the journal."""
        ...

    @property
    def version(self) -> str:
        """Hash of its weights."""
        ...

    def describe(self, pixels: UInt8[np.ndarray, "H W 3"], *, is_template: bool) -> Float[np.ndarray, " D"]:
        """The vector, of any norm."""
        ...


@dataclass(frozen=True)
class ColorDescriber:
    """No model: which colours the garment has, and how much of each.

    Of a template its white background is left out; of a crop only the middle counts, where no background,
    arm or trousers are. Colours are told by two ratios of the channels, which light changes little, and by
    brightness, coarsely; each pixel counts for the nearest few, so that no border between colours matters.
    """

    name: str = "colors"
    version: str = "1"

    def describe(self, pixels: UInt8[np.ndarray, "H W 3"], *, is_template: bool) -> Float[np.ndarray, " D"]:
        """Square roots of a soft histogram over both ratios and brightness."""
        image = Image.fromarray(pixels).resize((48, 48), Image.Resampling.BILINEAR)
        colors = np.asarray(image, dtype=np.float64)
        colors = (colors if is_template else colors[MIDDLE]).reshape(-1, 3)
        if is_template:
            is_garment = colors.min(axis=1) < WHITE
            if is_garment.mean() > 0.05:  # else the garment itself is white
                colors = colors[is_garment]
        red, green, blue = colors.T
        total = colors.sum(axis=1) + 30  # so that the dark has no colour
        shares = (
            _memberships((red - green) / total, RATIOS, 0.08),
            _memberships((blue - (red + green) / 2) / total, RATIOS, 0.08),
            _memberships(colors.mean(axis=1) / 255, LEVELS, 0.22),
        )
        return np.sqrt(np.einsum("na,nb,nl->abl", *shares).ravel() / len(colors))


def _memberships(
    values: Float[np.ndarray, " N"], centres: Float[np.ndarray, " K"], width: float
) -> Float[np.ndarray, "N K"]:
    """How much each value belongs to each centre; a row sums to 1."""
    weights = np.exp(-(((values[:, None] - centres) / width) ** 2))
    return weights / weights.sum(axis=1, keepdims=True)


def shop_images(folder: Path) -> list[Path]:
    """The images under a folder, in the order of their paths.

    Raises:
        InputError: There are none.
    """
    found = sorted(path for path in folder.rglob("*") if is_image_name(path.name)) if folder.is_dir() else []
    if not found:
        raise InputError(f"{folder} holds no images of clothes")
    return found


def propose_templates(
    work: Work,
    shop: Path,
    describer: Describer,
    *,
    now: str,
    count: int = NUM_PROPOSED,
    progress: Progress | None = None,
) -> int:
    """Propose the nearest shop images for every crop that stands; how many images are new.

    A crop whose box changed since is searched anew.

    Raises:
        InputError: There are no shop images, one cannot be read, or no image has a crop.
    """
    boxes = standing_boxes(work)
    if not boxes:
        raise InputError(f"{work.folder} has no crops yet; run the step crops first")
    paths = shop_images(shop)
    names = [str(path.relative_to(shop)) for path in paths]
    listed = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    kind: Kind = "rule" if isinstance(describer, ColorDescriber) else "model"
    by = Provenance(kind, f"{describer.name} on {shop.name}", f"{describer.version}-{listed}", time=now)
    journal = work.journal("templates")
    done = {
        (entry.image, tuple(entry.value["box"]))
        for entry in journal.entries()
        if entry.by.source == by.source and len(entry.value["proposed"]) == min(count, len(names))
    }
    images = [
        listed.image
        for listed in work.images()
        if listed.image in boxes and (listed.image, boxes[listed.image]) not in done
    ]
    if not images:
        return 0
    templates = _unit(np.stack([describer.describe(read_image(path), is_template=True) for path in paths]))
    for number, image in enumerate(images, start=1):
        crop = cut(read_image(work.path(image)), boxes[image])
        scores = templates @ _unit(describer.describe(crop, is_template=False)[None])[0]
        found = {"shop": str(shop.resolve()), "box": boxes[image], **_nearest(scores, names, count)}
        journal.add(Entry(image, found, by))
        if progress is not None:
            progress(number, len(images))
    return len(images)


def _nearest(scores: Float[np.ndarray, " N"], names: Sequence[str], count: int) -> dict[str, list[Any]]:
    order = np.argsort(-scores, kind="stable")[:count]
    return {
        "proposed": [names[place] for place in order],
        "scores": [round(float(scores[place]), 4) for place in order],
    }


def proposed_templates(work: Work) -> dict[str, tuple[Path, Sequence[str]]]:
    """For each image the shop's folder and the proposed names, nearest first."""
    return {
        image: (Path(entry.value["shop"]), entry.value["proposed"])
        for image, entry in work.journal("templates").latest().items()
    }


def _unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
