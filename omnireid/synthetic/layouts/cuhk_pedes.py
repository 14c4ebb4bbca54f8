"""CUHK-PEDES on disk: images of several sources, two captions each, annotation file, `t2i` lists."""

import json
from dataclasses import dataclass

from omnireid.synthetic.captions import tokens, witness
from omnireid.synthetic.layouts import market1501
from omnireid.synthetic.lists import GALLERY_KEY, ListLine, caption_file
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, Plan, World

NAME = "cuhk_pedes"
NUM_CAPTIONS = 2
_SOURCES = ("CUHK01", "CUHK03", "cam", "test_query", "train_query")  # in turn; "cam" is cam_a and cam_b
_VAL_SHARE = 3  # one validation person per this many test people
_ANGLES = (0, 45, 90, 135, 180)
_OVERLAP, _SHARED = "bounding_box_test", "bounding_box_train"  # training people from these Market folders


@dataclass(frozen=True)
class _Described:
    """One row of ``reid_raw.json``."""

    split: str
    path: str
    pid: int
    captions: tuple[str, ...]
    clothes_id: int
    market: str | None = None  # the Market-1501 test image of which this is a copy


def plan(world: World) -> Plan:
    """Train, val and test, with ids from 1; the last training people are people of Market-1501."""
    draft = Draft(world, NAME)
    counts = draft.counts
    num_val = -(-counts.test_ids // _VAL_SHARE)
    rows: list[_Described] = []
    pid = 0
    for split, num_ids, shots in (
        ("train", counts.train_ids - counts.overlap_ids - counts.shared_ids, counts.shots),
        (_OVERLAP, counts.overlap_ids, counts.shots),
        (_SHARED, counts.shared_ids, counts.shots),
        ("val", num_val, counts.gallery_shots),
        ("test", counts.test_ids, counts.gallery_shots),
    ):
        pids = range(pid + 1, pid + num_ids + 1)
        pid += num_ids
        is_borrowed = split in (_OVERLAP, _SHARED)
        rows += (_from_market if is_borrowed else _fresh)(draft, split, pids, shots)
    _write(draft, rows)
    num = {split: sum(row.split == split for row in rows) for split in ("train", "val", "test")}
    sizes = {
        "train": num["train"],
        "val": num["val"],
        "query": NUM_CAPTIONS * num["test"],
        "gallery": num["test"],
    }
    return draft.finish(sizes, {f"{draft.folder}/imgs/{row.path}": row.market for row in rows if row.market})


def _fresh(draft: Draft, split: str, pids: range, shots: int) -> list[_Described]:
    rows = []
    for pid in pids:
        for camera in draft.cast.itinerary(pid, 0, shots):
            take = draft.take(pid, 0, camera)
            path = _file_path(draft, take)
            draft.shoot(take, f"imgs/{path}")
            captions = tuple(witness(draft.cast, take, number) for number in range(1, NUM_CAPTIONS + 1))
            rows.append(_Described(split, path, pid, captions, draft.cast.clothes_id(pid, 0)))
    return rows


def _from_market(draft: Draft, folder: str, pids: range, shots: int) -> list[_Described]:
    rows = []
    cast = draft.world.casts[market1501.NAME]
    people = sorted(market1501.takes_of(draft.world, folder).items()) if pids else []
    assert len(people) >= len(pids), f"the preset's market1501 row has fewer people in {folder}"
    for pid, (_, pictures) in zip(pids, people, strict=False):
        for name, take in pictures[:shots] if folder == _OVERLAP else pictures[::2]:
            path = f"Market/{name}"
            draft.shoot(take, f"imgs/{path}")
            captions = tuple(witness(cast, take, number) for number in range(1, NUM_CAPTIONS + 1))
            market = f"market/{market1501.ROOT}/{folder}/{name}" if folder == _OVERLAP else None
            rows.append(_Described("train", path, pid, captions, draft.cast.clothes_id(pid, 0), market))
    return rows


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


def _write(draft: Draft, rows: list[_Described]) -> None:
    """The raw annotation contains everybody; the official training list omits people of other test sets."""
    items = [
        {
            "split": row.split,
            "captions": list(row.captions),
            "file_path": row.path,
            "processed_tokens": [tokens(caption) for caption in row.captions],
            "id": row.pid,
        }
        for row in rows
    ]
    draft.texts[f"{draft.folder}/reid_raw.json"] = (json.dumps(items) + "\n").encode("ascii")
    captions = {GALLERY_KEY: "an image"}
    lists: dict[str, list[str]] = {"train": [], "query": [], "gallery": []}
    for row in rows:
        if row.market or row.split == "val":
            continue
        stem, suffix = row.path.replace("/", "_").rsplit(".", 1)
        for number, caption in enumerate(row.captions):
            key = f"{stem}_{number}.{suffix}"
            captions[key] = caption
            part = "train" if row.split == "train" else "query"
            lists[part].append(str(ListLine(f"imgs/{row.path}", key, row.pid, row.clothes_id)))
        if row.split == "test":
            lists["gallery"].append(str(ListLine(f"imgs/{row.path}", GALLERY_KEY, row.pid, row.clothes_id)))
    draft.texts[f"{draft.folder}/caption_t2i_v2.json"] = caption_file(captions)
    for part, lines in lists.items():
        draft.write(f"{part}_t2i_v2.txt", lines)
