"""The review sheet: HTML pages that open anywhere, on which a person accepts, corrects, picks or rejects."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from instructions.attributes import ATTRIBUTES, AttributeSet
from instructions.errors import InputError
from omnireid.annotation.crops import Box, cut, standing_boxes
from omnireid.annotation.decisions import FORMAT
from omnireid.annotation.sentences import standing_sentences
from omnireid.annotation.templates import proposed_templates
from omnireid.annotation.work import Progress, Work
from omnireid.files import write_whole
from omnireid.loading.image import read_image

FOLDER = "review"
PER_PAGE = 50
IMAGE, CROP, TEMPLATE = (112, 224), (112, 112), (72, 72)  # width, height on the sheet


def write_review(
    work: Work, *, everything: bool = False, per_page: int = PER_PAGE, progress: Progress | None = None
) -> tuple[list[Path], int]:
    """Write the pages, each a file of its own with images and script inside.

    Returns:
        Their paths, and how many images are on none because they could not be read.

    Args:
        work: What to review.
        everything: Also images that a person has decided on.
        per_page: Images on a page.
        progress: Called after every image.

    Raises:
        InputError: Nothing is left to review, or a shop's image cannot be read.
    """
    decided = set(work.journal("decisions").latest())
    images = [listed.image for listed in work.images() if everything or listed.image not in decided]
    if not images:
        raise InputError(f"every image of {work.folder} has been reviewed; --all shows them again")
    folder = work.folder / FOLDER
    folder.mkdir(exist_ok=True)
    cards = _Cards(work)
    pages = []
    num_pages, num_unreadable = -(-len(images) // per_page), 0
    shown = work.pixels(images, progress)
    for number in range(num_pages):
        part = list(islice(shown, per_page))
        rows = [cards.card(image, pixels) for image, pixels in part if pixels is not None]
        num_unreadable += len(part) - len(rows)
        path = folder / f"page-{number + 1:04d}.html"
        page = _page(f"{work.dataset}, page {number + 1} of {num_pages}", rows, cards.taken())
        write_whole(path, page.encode())
        pages.append(path)
    for stale in sorted(folder.glob("page-*.html")):
        if stale not in pages:
            stale.unlink()
    return pages, num_unreadable


class _Cards:
    """What the sheet shows of each image."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.attributes = work.attributes()
        self.sentences = standing_sentences(work)
        self.boxes = standing_boxes(work)
        self.templates = proposed_templates(work)
        self._shop: dict[str, str] = {}  # template images of the page, each once
        self._made: dict[str, str] = {}

    def card(self, image: str, pixels: UInt8[np.ndarray, "H W 3"]) -> dict[str, Any]:
        words, sources = self.attributes.get(image, (AttributeSet({}), ()))
        sentence = self.sentences.get(image)
        box = self.boxes.get(image)
        shop, names = self.templates.get(image, (Path(), ()))
        for name in names:  # two shops may have images of one name
            path = str(shop / name)
            if path not in self._made:
                self._made[path] = _data(read_image(path), TEMPLATE)
            self._shop[path] = self._made[path]
        return {
            "image": image,
            "thumbnail": _data(pixels, IMAGE),
            "frame": None if box is None else _frame(box, pixels.shape[0], pixels.shape[1]),
            "crop": None if box is None else _data(cut(pixels, box), CROP),
            "words": words.to_dict(),
            "by": sorted({f"{by.name} ({by.kind})" for by in sources}),
            "sentence": sentence.value["text"] if sentence else "",
            "missing": sentence.value["missing"] if sentence else [],
            "sentence_by": f"{sentence.by.name} ({sentence.by.kind})" if sentence else "",
            "templates": list(names),
            "shop": f"{shop}/",
        }

    def taken(self) -> dict[str, str]:
        """The template images since the last page."""
        shop, self._shop = self._shop, {}
        return shop


def _page(title: str, cards: Sequence[dict[str, Any]], shop: dict[str, str]) -> str:
    content: dict[str, Any] = {
        "format": FORMAT,
        "title": title,
        "attributes": {name: list(words) for name, words in ATTRIBUTES.items()},
        "cards": cards,
        "shop": shop,
    }
    # What a browser kept of an older sheet must not hide what this one says anew.
    content["digest"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    text = resources.files("omnireid.annotation").joinpath("review.html").read_text(encoding="utf-8")
    # "</" would end the script element that holds the data.
    data = json.dumps(content, ensure_ascii=False).replace("</", "<\\/")
    return "".join(_filled(text, {"TITLE": html.escape(title), "DATA": data}))


def _filled(text: str, values: dict[str, str]) -> Iterator[str]:
    """The page with its two slots filled; what is filled in is not searched for slots."""
    for number, part in enumerate(text.split("@@")):
        yield values[part] if number % 2 else part


def _frame(box: Box, height: int, width: int) -> list[float]:
    """The box in per cent of the image: left, top, width, height."""
    left, top, right, bottom = box
    shares = (left / width, top / height, (right - left) / width, (bottom - top) / height)
    return [round(100 * share, 2) for share in shares]


def _data(pixels: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]) -> str:
    """A small copy as a data address."""
    image = Image.fromarray(pixels)
    if size[0] == size[1]:  # clothes keep their shape
        image.thumbnail(size, Image.Resampling.BILINEAR)
    else:
        image = image.resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
