"""An overview picture of a tree: people across cameras and clothes, infrared, instructions, captions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
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


def write_contact_sheet(root: Path) -> Path | None:
    """Draw the sheet from the lists and pictures of a tree; None where there is nothing to show."""
    sections = [section for draw in _SECTIONS if (section := draw(root)) is not None]
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


def _cameras(root: Path) -> Section | None:
    """Market-1501: three people a row."""
    folder = root / "market"
    if not (folder / "datalist" / "train.txt").exists():
        return None
    people = list(_by_person(_read(folder / "datalist/train.txt")).items())
    rows: list[tuple[Cell, ...]] = []
    for first in range(0, min(len(people), 6), 3):
        row: list[Cell] = []
        for pid, lines in people[first : first + 3]:
            shown = sorted(lines, key=lambda line: lines.index(line) % 2)[:5]  # cameras before second shots
            _people(row, [(f"{pid:04d} {_camera(line)}", folder / line.image) for line in shown])
        rows.append(tuple(row))
    nobody = [line for line in _read(folder / "datalist/gallery.txt") if line.pid == 0][:8]
    junk = sorted((folder / "Market-1501" / "bounding_box_test").glob("-1_*.jpg"))[:8]
    row = [Cell("distractor", folder / line.image) for line in nobody] + [Cell("junk", path) for path in junk]
    rows.append(tuple(row))
    return Section("Market-1501", "people over cameras; distractors and junk boxes below", tuple(rows))


def _people(cells: list[Cell], pictures: list[tuple[str, Path]]) -> None:
    """Add the pictures of one person, a gap before the first."""
    for number, (label, path) in enumerate(pictures):
        cells.append(Cell(label, path, gap_before=20 if cells and number == 0 else 0))


def _boxes(root: Path) -> Section | None:
    """CUHK03: hand-drawn and detected box of the same picture beside each other."""
    folder = root / "cuhk"
    if not (folder / "datalist" / "train.txt").exists():
        return None
    row: list[Cell] = []
    for lines in list(_by_person(_read(folder / "datalist/train.txt")).values())[:6]:
        name = Path(lines[0].image)
        labeled = folder / "cuhk03-np" / "labeled" / name.parent.name / name.name
        _people(row, [("labeled", labeled), ("detected", folder / name)])
    return Section("CUHK03", "boxes drawn by hand and boxes of a detector", (tuple(row),))


def _others(root: Path) -> Section | None:
    """One row for each data set that has no section of its own."""
    rows = []
    for title, folder, name in _ONE_ROW:
        if not (root / folder / name).exists():
            continue
        row = [Cell("", text=title, width=100)]
        for lines in list(_by_person(_read(root / folder / name)).values())[:4]:
            once = {line.image: line for line in lines}
            ordered = sorted(once.values(), key=lambda line: line.clothes_id)
            num_shown = min(len(ordered), 4)
            shown = [ordered[number * len(ordered) // num_shown] for number in range(num_shown)]
            _people(
                row,
                [
                    (_camera(line) if line.camid is not None else "", root / folder / line.image)
                    for line in shown
                ],
            )
        rows.append(tuple(row))
    return Section("The others", "one data set a row, some of its people", tuple(rows)) if rows else None


def _clothes(root: Path) -> Section | None:
    """LTCC: one person a row, outfit by outfit, its template in front."""
    folder = root / "ltcc"
    if not (folder / "datalist" / "train.txt").exists():
        return None
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
    return Section("LTCC", "one person a row, outfit by outfit", tuple(rows))


def _infrared(root: Path) -> Section | None:
    """LLCM: visible and infrared pictures of one person and camera beside each other."""
    folder = root / "llcm"
    if not (folder / "train.txt").exists():
        return None
    rows: list[tuple[Cell, ...]] = []
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
    while row:
        rows.append(tuple(row[:14]))
        row = row[14:]
    return Section("LLCM", "visible and infrared pairs", tuple(rows[:2])) if rows else None


def _template_search(root: Path) -> Section | None:
    """COCAS+ Real2, `ctcc`: query, template, and pictures with their own crops; the right ones are framed."""
    folder = root / "real2"
    if not (folder / "datalist" / "query.txt").exists():
        return None
    gallery = _by_person(_read(folder / "datalist/gallery.txt"))
    rows = []
    for query in _first_of_each(_read(folder / "datalist/query.txt"))[:3]:
        row = [Cell(f"query {query.pid}", folder / query.image), Cell("wears", folder / query.instruction)]
        for line, right in _answers_first(query, gallery[query.pid])[:6]:
            gap = 14 if len(row) > 2 else 36
            row.append(Cell(_camera(line), folder / line.image, framed=right, gap_before=gap))
            row.append(Cell("own crop", folder / line.instruction, width=70))
        rows.append(tuple(row))
    return Section("COCAS+ Real2, ctcc", "find the person in these clothes (framed)", tuple(rows))


def _caption_search(root: Path) -> Section | None:
    """COCAS+ Real2, `li`: query, the wanted description, and the same person's pictures."""
    folder = root / "real2"
    if not (folder / "datalist" / "query_attr.txt").exists():
        return None
    captions = json.loads((folder / "datalist/runner_real2_v1_gpt.json").read_text(encoding="ascii"))
    gallery = _by_person(_read(folder / "datalist/gallery_attr.txt"))
    rows = []
    for query in _first_of_each(_read(folder / "datalist/query_attr.txt"))[1:4]:
        description = Cell("", text=captions[query.instruction], width=400)
        row = [Cell(f"query {query.pid}", folder / query.image), description]
        for line, right in _answers_first(query, gallery[query.pid])[:8]:
            row.append(Cell(_camera(line), folder / line.image, framed=right))
        rows.append(tuple(row))
    return Section("COCAS+ Real2, li", "find the person as described (framed)", tuple(rows))


def _captions(root: Path) -> Section | None:
    """CUHK-PEDES: pictures with both captions."""
    folder = root / "CUHK-Pedes"
    if not (folder / "query_t2i_v2.txt").exists():
        return None
    captions = json.loads((folder / "caption_t2i_v2.json").read_text(encoding="ascii"))
    lines = _read(folder / "query_t2i_v2.txt")
    pairs = [pair for pair in zip(lines[::2], lines[1::2], strict=False) if pair[0].image == pair[1].image]
    cells = []
    for first, second in pairs[:: max(len(pairs) // 6, 1)][:6]:
        cells.append(Cell(f"id {first.pid}", folder / first.image))
        both = f"{captions[first.instruction]}\n\n{captions[second.instruction]}"
        cells.append(Cell("", text=both, width=370))
    rows = tuple(tuple(cells[start : start + 6]) for start in range(0, len(cells), 6))
    return Section("CUHK-PEDES", "two captions for each picture", rows)


def _camera(line: ListLine) -> str:
    return f"cam {(line.camid or 0) + 1}"


def _answers_first(query: ListLine, own: list[ListLine]) -> list[tuple[ListLine, bool]]:
    """The person's gallery pictures, those in the wanted clothes first and marked."""
    marked = [(line, line.clothes_id == query.clothes_id) for line in own]
    return sorted(marked, key=lambda pair: not pair[1])


def _first_of_each(lines: Iterable[ListLine]) -> list[ListLine]:
    """The first query of each person."""
    return [lines[0] for lines in _by_person(lines).values()]


_SECTIONS: tuple[Callable[[Path], Section | None], ...] = (
    _cameras, _boxes, _clothes, _infrared, _template_search, _caption_search, _captions, _others,
)  # fmt: skip
