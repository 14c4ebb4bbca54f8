"""CUHK-PEDES on disk: images of several sources, two captions each, annotation file, `t2i` lists."""

from omnireid.synthetic.captions import tokens
from omnireid.synthetic.layouts import market1501
from omnireid.synthetic.layouts.captioned import (
    Captioned,
    overlaps_of,
    shoot_captioned,
    sizes_of,
    write_annotations,
)
from omnireid.synthetic.lists import GALLERY_KEY, ListLine, caption_file
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, Plan, World

NAME = "cuhk_pedes"
NUM_CAPTIONS = 2
_SOURCES = ("CUHK01", "CUHK03", "cam", "test_query", "train_query")  # in turn; "cam" is cam_a and cam_b
_ANGLES = (0, 45, 90, 135, 180)


def plan(world: World) -> Plan:
    """Train, val and test, with ids from 1; the last training people are people of Market-1501."""
    draft = Draft(world, NAME)

    def path(_: int, take: Take, original: str | None) -> str:
        return _file_path(draft, take) if original is None else f"Market/{original.rpartition('/')[2]}"

    parts, root = ("bounding_box_test", "bounding_box_train"), f"market/{market1501.ROOT}"
    takes_of = market1501.takes_of
    rows = shoot_captioned(draft, path, takes_of, parts, root, first_pid=1, num_captions=NUM_CAPTIONS)
    _write(draft, rows)
    return draft.finish(sizes_of(rows, "train", "val", "query", "gallery"), overlaps_of(draft, rows))


def _file_path(draft: Draft, take: Take) -> str:
    """A file name in the format of the image's source."""
    source, person, number = _SOURCES[take.person % len(_SOURCES)], take.person, take.number
    match source:
        case "CUHK01":
            return f"CUHK01/{person:04d}{number + 1:03d}.png"
        case "CUHK03":
            return f"CUHK03/{person % 5 + 1}_{person:03d}_{number // 5 + 1}_{number + 1:02d}.png"
        case "cam":
            return f"cam_{'ab'[number % 2]}/{person:03d}_{_ANGLES[number // 2 % len(_ANGLES)]}.bmp"
        case _:
            scene = int(draft.cast.rng("name", person).integers(1, 18_000)) + number
            return f"{source}/p{person}_s{scene}.jpg"


def _write(draft: Draft, rows: list[Captioned]) -> None:
    """The raw annotation contains everybody; the official training list omits people of other test sets."""
    entries = [
        {
            "split": row.split,
            "captions": row.captions,
            "file_path": row.path,
            "processed_tokens": [tokens(caption) for caption in row.captions],
            "id": row.pid,
        }
        for row in rows
    ]
    write_annotations(draft, "reid_raw.json", entries)
    captions = {GALLERY_KEY: "an image"}
    lists: dict[str, list[str]] = {"train": [], "query": [], "gallery": []}
    for row in rows:
        if row.original or row.split == "val":
            continue
        clothes_id = draft.cast.clothes_id(row.pid, 0)
        stem, suffix = row.path.replace("/", "_").rsplit(".", 1)
        for number, caption in enumerate(row.captions):
            key = f"{stem}_{number}.{suffix}"
            captions[key] = caption
            part = "train" if row.split == "train" else "query"
            lists[part].append(str(ListLine(f"imgs/{row.path}", key, row.pid, clothes_id)))
        if row.split == "test":
            lists["gallery"].append(str(ListLine(f"imgs/{row.path}", GALLERY_KEY, row.pid, clothes_id)))
    draft.texts[f"{draft.folder}/caption_t2i_v2.json"] = caption_file(captions)
    for part, lines in lists.items():
        draft.write(f"{part}_t2i_v2.txt", lines)
