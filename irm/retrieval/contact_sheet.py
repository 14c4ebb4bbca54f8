"""A contact sheet of an answer: the query, and the hits with their scores and cameras."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from instructions.errors import InputError
from irm.retrieval.answer import Answer
from irm.retrieval.question import Question

CELL, HEIGHT, GAP, MARGIN, LINE = 96, 192, 10, 20, 16  # pixels
NUM_COLUMNS = 10
_PAPER, _INK, _QUIET, _ACCENT = (250, 249, 246), (30, 32, 36), (112, 116, 124), (24, 110, 72)


KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}  # by a file's suffix


def kind_of(file: Path) -> str:
    """The image format of a file, by its suffix.

    Raises:
        InputError: its suffix is none of ``KINDS``.
    """
    if file.suffix.lower() not in KINDS:
        raise InputError(f"{file} has no supported image suffix; use one of {', '.join(KINDS)}")
    return KINDS[file.suffix.lower()]


def contact_sheet(
    question: Question, answer: Answer, thumbnail_of: Callable[[int], bytes], kind: str = "JPEG"
) -> bytes:
    """One page of a ranked list as an image file.

    Args:
        question: Its images come first, framed.
        answer: Whose hits are shown.
        thumbnail_of: Gives the thumbnail of a gallery image.
        kind: A value of ``KINDS``.
    """
    cells = [(Image.fromarray(one.pixels), "query", "", True) for one in question.images]
    cells += [(_opened(thumbnail_of(image)), "query", f"image {image}", True) for image in question.like]
    cells += [(Image.fromarray(question.clothes.pixels), "clothes", "", True)] if question.clothes else []
    for hit in answer.hits:
        where = "" if hit.camid is None else f" cam {hit.camid}"
        cells.append((_opened(thumbnail_of(hit.image)), f"{hit.rank}{where}", hit.says(), False))
    rows = -(-len(cells) // NUM_COLUMNS) or 1
    width = 2 * MARGIN + NUM_COLUMNS * (CELL + GAP)
    sheet = Image.new("RGB", (width, 2 * MARGIN + 3 * LINE + rows * (HEIGHT + 3 * LINE)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    said = question.text or answer.instruction or "no instruction"
    pen.text((MARGIN, MARGIN), f"{answer.task} against {answer.view}: {said}"[:150], _INK, _font(15))
    pen.text((MARGIN, MARGIN + LINE + 4), f"{answer.total} images searched", _QUIET, _font(12))
    for place, (picture, title, remark, is_asked) in enumerate(cells):
        left = MARGIN + place % NUM_COLUMNS * (CELL + GAP)
        top = MARGIN + 3 * LINE + place // NUM_COLUMNS * (HEIGHT + 3 * LINE)
        picture.thumbnail((CELL, HEIGHT))
        sheet.paste(picture, (left, top))
        if is_asked:
            box = (left - 2, top - 2, left + picture.width + 1, top + picture.height + 1)
            pen.rectangle(box, outline=_ACCENT, width=2)
        pen.text((left, top + HEIGHT + 2), title, _ACCENT if is_asked else _INK, _font(12))
        pen.text((left, top + HEIGHT + 2 + LINE), remark, _QUIET, _font(10))
    buffer = io.BytesIO()
    sheet.save(buffer, kind, quality=90)  # ignored by PNG
    return buffer.getvalue()


def _opened(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
