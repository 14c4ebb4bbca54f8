"""An overview image of a tree: identities across cameras and clothes, infrared, instructions, captions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO
from pathlib import Path

from omnireid.files import write_whole
from omnireid.sheet import Cell, Section, compose
from omnireid.synthetic.lists import ListLine

FILE_NAME = "contact_sheet.jpg"
# Data sets that get a row each: title, folder, training list.
_ONE_ROW = (
    ("MSMT17", "msmt", "datalist/train.txt"),
    ("PRCC", "prcc", "datalist/train.txt"),
    ("VC-Clothes", "vc_clothes", "datalist/train.txt"),
    ("SYNTH-PEDES", "PLIP", "train_t2i.txt"),
)
Row = tuple[Cell, ...]


def write_contact_sheet(root: Path) -> Path | None:
    """Draw the sheet from the lists and images of a tree; None where there is nothing to show."""
    sections = [draw(root / folder) for folder, name, draw in _SECTIONS if (root / folder / name).exists()]
    sections = [section for section in (*sections, _others(root)) if section.rows]
    if not sections:
        return None
    buffer = BytesIO()
    compose(sections).save(buffer, "JPEG", quality=90)
    write_whole(root / FILE_NAME, buffer.getvalue())
    return root / FILE_NAME


def _read(path: Path) -> list[ListLine]:
    return [ListLine.parse(line) for line in path.read_text(encoding="ascii").splitlines()]


def _by_person(lines: Iterable[ListLine]) -> dict[int, list[ListLine]]:
    people: dict[int, list[ListLine]] = defaultdict(list)
    for line in lines:
        people[line.pid].append(line)
    return people


def _row(people: Iterable[Sequence[tuple[str, Path]]], *before: Cell) -> Row:
    """The labelled images of several people, with a gap between people."""
    cells = list(before)
    for images in people:
        for number, (label, path) in enumerate(images):
            cells.append(Cell(label, path, gap_before=20 if cells and number == 0 else 0))
    return tuple(cells)


def _cameras(folder: Path) -> Section:
    """Market-1501: three identities per row."""
    people = []
    for pid, lines in list(_by_person(_read(folder / "datalist/train.txt")).items())[:6]:
        shown = sorted(lines, key=lambda line: lines.index(line) % 2)[:5]  # cameras before second shots
        people.append([(f"{pid:04d} {_camera(line)}", folder / line.image) for line in shown])
    nobody = [line for line in _read(folder / "datalist/gallery.txt") if line.pid == 0][:8]
    junk = sorted((folder / "Market-1501" / "bounding_box_test").glob("-1_*.jpg"))[:8]
    row = [Cell("distractor", folder / line.image) for line in nobody] + [Cell("junk", path) for path in junk]
    rows = [_row(people[first : first + 3]) for first in range(0, len(people), 3)]
    return Section(
        "Market-1501",
        "identities across cameras; distractors and junk boxes in the last row",
        (*rows, tuple(row)),
    )


def _boxes(folder: Path) -> Section:
    """CUHK03: hand-labelled and detected box of the same image side by side."""
    people = []
    for lines in list(_by_person(_read(folder / "datalist/train.txt")).values())[:6]:
        name = Path(lines[0].image)
        labeled = folder / "cuhk03-np" / "labeled" / name.parent.name / name.name
        people.append([("labeled", labeled), ("detected", folder / name)])
    return Section("CUHK03", "hand-labelled and detected boxes of the same images", (_row(people),))


def _others(root: Path) -> Section:
    """One row for each data set that has no section of its own."""
    rows = []
    for title, folder, name in _ONE_ROW:
        if not (root / folder / name).exists():
            continue
        people = []
        for lines in list(_by_person(_read(root / folder / name)).values())[:4]:
            once = {line.image: line for line in lines}
            ordered = sorted(once.values(), key=lambda line: line.clothes_id)
            count = min(len(ordered), 4)
            shown = [ordered[number * len(ordered) // count] for number in range(count)]
            people.append(
                [("" if line.camid is None else _camera(line), root / folder / line.image) for line in shown]
            )
        rows.append(_row(people, Cell("", text=title, width=100)))
    return Section("Other data sets", "one data set per row, four identities each", tuple(rows))


def _clothes(folder: Path) -> Section:
    """LTCC: one identity per row, grouped by outfit, each group after its clothes template."""
    people = _by_person(
        line for side in ("query", "gallery") for line in _read(folder / f"datalist/{side}_general.txt")
    )
    rows = []
    for pid, lines in list(people.items())[:3]:
        row: list[Cell] = []
        for clothes_id in sorted({line.clothes_id for line in lines}):
            worn = [line for line in lines if line.clothes_id == clothes_id]
            outfit = Path(worn[0].image).name.split("_")[1]
            template = folder / "templates" / f"{pid:03d}_{outfit}.jpg"
            row.append(Cell(f"{pid:03d}_{outfit}", template, gap_before=18 if row else 0))
            once = {line.camid or 0: line for line in reversed(worn)}
            row += [Cell(f"cam {camid + 1}", folder / once[camid].image) for camid in sorted(once)[:4]]
        rows.append(tuple(row))
    return Section(
        "LTCC",
        "one identity per row, grouped by outfit; each group begins with its clothes template",
        tuple(rows),
    )


def _infrared(folder: Path) -> Section:
    """LLCM: visible and infrared images of one identity and camera side by side."""
    row: list[Cell] = []
    for pid, lines in list(_by_person(_read(folder / "train.txt")).items())[:6]:
        for camid in sorted({line.camid or 0 for line in lines})[:3]:
            pair = [line for line in lines if line.camid == camid]
            kinds = {("nir" if line.image.endswith("_nir.jpg") else "vis"): line for line in reversed(pair)}
            if len(kinds) == 2:
                for kind in ("vis", "nir"):
                    gap = 18 if kind == "vis" and len(row) % 14 else 0
                    label = f"{pid:04d} {kind} cam {camid + 1}"
                    row.append(Cell(label, folder / kinds[kind].image, gap_before=gap))
    rows = (tuple(row[first : first + 14]) for first in (0, 14))
    return Section("LLCM", "pairs of visible and infrared images", tuple(filter(None, rows)))


def _template_search(folder: Path) -> Section:
    """COCAS+ Real2, `ctcc`: query, template, gallery images with their own crops; true matches framed."""
    rows = []
    for query, found in _searches(folder, "query.txt", "gallery.txt")[:3]:
        row = [Cell(f"query {query.pid}", folder / query.image), Cell("template", folder / query.instruction)]
        for line, right in found[:6]:
            gap = 14 if len(row) > 2 else 36
            row.append(Cell(_camera(line), folder / line.image, framed=right, gap_before=gap))
            row.append(Cell("own crop", folder / line.instruction, width=70))
        rows.append(tuple(row))
    return Section(
        "COCAS+ Real2, ctcc",
        "query, clothes template, and gallery images with their own crops; true matches are framed",
        tuple(rows),
    )


def _caption_search(folder: Path) -> Section:
    """COCAS+ Real2, `li`: query, caption of the target, gallery images of the person; true matches framed."""
    captions = json.loads((folder / "datalist/runner_real2_v1_gpt.json").read_text(encoding="ascii"))
    rows = []
    for query, found in _searches(folder, "query_attr.txt", "gallery_attr.txt")[1:4]:
        description = Cell("", text=captions[query.instruction], width=400)
        row = [Cell(f"query {query.pid}", folder / query.image), description]
        row += [Cell(_camera(line), folder / line.image, framed=right) for line, right in found[:8]]
        rows.append(tuple(row))
    return Section(
        "COCAS+ Real2, li",
        "query, caption of the target, and gallery images; true matches are framed",
        tuple(rows),
    )


def _captions(folder: Path) -> Section:
    """CUHK-PEDES: images with both captions."""
    captions = json.loads((folder / "caption_t2i_v2.json").read_text(encoding="ascii"))
    lines = _read(folder / "query_t2i_v2.txt")
    pairs = [pair for pair in zip(lines[::2], lines[1::2], strict=False) if pair[0].image == pair[1].image]
    cells = []
    for first, second in pairs[:: max(len(pairs) // 6, 1)][:6]:
        cells.append(Cell(f"id {first.pid}", folder / first.image))
        both = f"{captions[first.instruction]}\n\n{captions[second.instruction]}"
        cells.append(Cell("", text=both, width=370))
    rows = tuple(tuple(cells[start : start + 6]) for start in range(0, len(cells), 6))
    return Section("CUHK-PEDES", "two captions per image", rows)


def _camera(line: ListLine) -> str:
    return f"cam {(line.camid or 0) + 1}"


def _searches(folder: Path, queries: str, gallery: str) -> list[tuple[ListLine, list[tuple[ListLine, bool]]]]:
    """The first query of each person with their gallery images; true matches come first and are marked."""
    found = _by_person(_read(folder / "datalist" / gallery))
    searches = []
    for pid, (query, *_) in _by_person(_read(folder / "datalist" / queries)).items():
        marked = [(line, line.clothes_id == query.clothes_id) for line in found[pid]]
        searches.append((query, sorted(marked, key=lambda pair: not pair[1])))
    return searches


# Folder, list that must exist, and the function that draws the section.
_SECTIONS: tuple[tuple[str, str, Callable[[Path], Section]], ...] = (
    ("market", "datalist/train.txt", _cameras),
    ("cuhk", "datalist/train.txt", _boxes),
    ("ltcc", "datalist/train.txt", _clothes),
    ("llcm", "train.txt", _infrared),
    ("real2", "datalist/query.txt", _template_search),
    ("real2", "datalist/query_attr.txt", _caption_search),
    ("CUHK-Pedes", "query_t2i_v2.txt", _captions),
)
