"""Lays out images and texts on one sheet: sections of rows of cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from omnireid.loading.image import read_image

WIDTH, MARGIN, GAP = 1560, 28, 8
CELL_HEIGHT, CELL_WIDTH = 168, 84
LABEL_HEIGHT, HEADING_HEIGHT = 20, 46
_PAPER, _INK, _QUIET, _ACCENT = (250, 249, 246), (30, 32, 36), (112, 116, 124), (24, 110, 72)
_RIGHT, _WRONG = (26, 143, 60), (198, 40, 40)  # as in omnireid.html_report


@dataclass(frozen=True, slots=True)
class Cell:
    """One image or one text of a row."""

    label: str
    path: Path | None = None
    text: str = ""
    width: int = CELL_WIDTH
    framed: bool = False  # marks what is searched for
    verdict: bool | None = None  # of a retrieved image: right, wrong, or not judged
    gap_before: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its rows."""

    title: str
    remark: str
    rows: tuple[tuple[Cell, ...], ...]


def compose(sections: Iterable[Section], width: int = WIDTH) -> Image.Image:
    """All sections below each other; cells beyond the width are left out."""
    sections = list(sections)
    row_height = CELL_HEIGHT + LABEL_HEIGHT + GAP
    heights = [_heading_height(one) + GAP * 2 + len(one.rows) * row_height for one in sections]
    height = MARGIN * 2 + sum(heights)
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    top = MARGIN
    for section in sections:
        pen.text((MARGIN, top), section.title, _INK, _font(22))
        indent = MARGIN + int(_font(22).getlength(section.title)) + 14 if section.title else MARGIN
        pen.text((indent, top + 7), section.remark, _QUIET, _font(14))
        top += _heading_height(section)
        for row in section.rows:
            _draw_row(sheet, pen, row, top)
            top += row_height
        top += GAP * 2
    return sheet


def _heading_height(section: Section) -> int:
    return HEADING_HEIGHT if section.title and section.rows else HEADING_HEIGHT // 4


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _draw_row(sheet: Image.Image, pen: ImageDraw.ImageDraw, row: tuple[Cell, ...], top: int) -> None:
    left = MARGIN
    for cell in row:
        left += cell.gap_before
        if left + cell.width > sheet.width - MARGIN:
            return
        if cell.path is not None:
            _paste(sheet, pen, cell, left, top)
        else:
            pen.multiline_text((left, top + 4), _wrap(cell.text, cell.width, 15), _INK, _font(15), spacing=5)
        pen.text((left, top + CELL_HEIGHT + 2), cell.label, _color(cell) or _QUIET, _font(12))
        left += cell.width + GAP


def _color(cell: Cell) -> tuple[int, int, int] | None:
    """Colour of the frame and the label; None without a frame."""
    if cell.verdict is not None:
        return _RIGHT if cell.verdict else _WRONG
    return _ACCENT if cell.framed else None


def _paste(sheet: Image.Image, pen: ImageDraw.ImageDraw, cell: Cell, left: int, top: int) -> None:
    assert cell.path is not None
    image = Image.fromarray(read_image(str(cell.path)))
    scale = min(cell.width / image.width, CELL_HEIGHT / image.height)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    place = (left, top + (CELL_HEIGHT - size[1]) // 2)
    sheet.paste(image.resize(size, Image.Resampling.LANCZOS), place)
    color = _color(cell)
    if color is not None:
        box = (place[0] - 2, place[1] - 2, place[0] + size[0] + 1, place[1] + size[1] + 1)
        pen.rectangle(box, outline=color, width=3)


def _wrap(text: str, width: int, size: int) -> str:
    lines, font = [], _font(size)
    for paragraph in text.split("\n"):
        lines.append("")
        for word in paragraph.split():
            longer = f"{lines[-1]} {word}".strip()
            if font.getlength(longer) > width and lines[-1]:
                lines.append(word)
            else:
                lines[-1] = longer
    return "\n".join(lines)
