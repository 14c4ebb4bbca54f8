"""CUHK-PEDES on disk: images of several sources, two captions each, annotation file, `t2i` lists."""

from omnireid.synthetic.captions import tokens
from omnireid.synthetic.layouts import market1501
from omnireid.synthetic.layouts.captioned import (
    Captioned,
    overlaps_of,
    plan_captioned,
    sizes_of,
    write_annotations,
)
from omnireid.synthetic.lists import GALLERY_KEY, ListLine, caption_file
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import Plan, PlanBuilder, SyntheticSpec

NAME = "cuhk_pedes"
NUM_CAPTIONS = 2
_SOURCES = ("CUHK01", "CUHK03", "cam", "test_query", "train_query")  # in turn; "cam" is cam_a and cam_b
_ANGLES = (0, 45, 90, 135, 180)


def plan(spec: SyntheticSpec) -> Plan:
    """Train, val and test, with ids from 1; the last training people are people of Market-1501."""
    builder = PlanBuilder(spec, NAME)

    def path(_: int, key: ShotKey, original: str | None) -> str:
        return _file_path(builder, key) if original is None else f"Market/{original.rpartition('/')[2]}"

    parts, root = ("bounding_box_test", "bounding_box_train"), f"market/{market1501.ROOT}"
    shots_of = market1501.shots_of
    rows = plan_captioned(builder, path, shots_of, parts, root, first_pid=1, num_captions=NUM_CAPTIONS)
    _write(builder, rows)
    return builder.finish(sizes_of(rows, "train", "val", "query", "gallery"), overlaps_of(builder, rows))


def _file_path(builder: PlanBuilder, key: ShotKey) -> str:
    """A file name in the format of the image's source."""
    source, person, number = _SOURCES[key.person % len(_SOURCES)], key.person, key.number
    match source:
        case "CUHK01":
            return f"CUHK01/{person:04d}{number + 1:03d}.png"
        case "CUHK03":
            return f"CUHK03/{person % 5 + 1}_{person:03d}_{number // 5 + 1}_{number + 1:02d}.png"
        case "cam":
            return f"cam_{'ab'[number % 2]}/{person:03d}_{_ANGLES[number // 2 % len(_ANGLES)]}.bmp"
        case _:
            scene = int(builder.population.rng("name", person).integers(1, 18_000)) + number
            return f"{source}/p{person}_s{scene}.jpg"


def _write(builder: PlanBuilder, rows: list[Captioned]) -> None:
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
    write_annotations(builder, "reid_raw.json", entries)
    captions = {GALLERY_KEY: "an image"}
    lists: dict[str, list[str]] = {"train": [], "query": [], "gallery": []}
    for row in rows:
        if row.original or row.split == "val":
            continue
        clothes_id = builder.population.clothes_id(row.pid, 0)
        stem, suffix = row.path.replace("/", "_").rsplit(".", 1)
        for number, caption in enumerate(row.captions):
            caption_key = f"{stem}_{number}.{suffix}"
            captions[caption_key] = caption
            part = "train" if row.split == "train" else "query"
            lists[part].append(str(ListLine(f"imgs/{row.path}", caption_key, row.pid, clothes_id)))
        if row.split == "test":
            lists["gallery"].append(str(ListLine(f"imgs/{row.path}", GALLERY_KEY, row.pid, clothes_id)))
    builder.texts[f"{builder.folder}/caption_t2i_v2.json"] = caption_file(captions)
    for part, lines in lists.items():
        builder.write(f"{part}_t2i_v2.txt", lines)
