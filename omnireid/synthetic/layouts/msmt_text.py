"""RSTPReid and ICFG-PEDES on disk: pictures with captions, some of them of MSMT17's people."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from omnireid.synthetic.captions import tokens, witness
from omnireid.synthetic.layouts import msmt17
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, Plan, World

_VAL_SHARE = 3  # RSTPReid: one validation person for so many test people


@dataclass(frozen=True)
class _Shown:
    """One row of an annotation file before it has its captions."""

    split: str
    pid: int
    path: str  # below imgs
    take: Take
    original: str | None = None  # the MSMT17 test picture that this one is


def plan_rstpreid(world: World) -> Plan:
    """Two captions a picture; MSMT17's people under names that say nothing of MSMT17."""
    draft = Draft(world, "rstpreid")

    def name(pid: int, take: Take) -> str:
        return f"{pid:04d}_c{take.camera + 1}_{7 * take.number + pid % 7:04d}.jpg"

    num_val = -(-draft.counts.test_ids // _VAL_SHARE)
    rows = _rows(draft, name, lambda pid, _, __, take: name(pid, take), num_val)
    _write(draft, "data_captions.json", rows, 2, lambda row: {"img_path": row.path})
    return _finish(draft, rows, 2)


def plan_icfg_pedes(world: World) -> Plan:
    """One caption per picture; the file names, and the folders train and test, are MSMT17's."""
    draft = Draft(world, "icfg_pedes")

    def name(pid: int, take: Take) -> str:
        return f"train/{msmt17.file_name(draft, pid, take)}"

    rows = _rows(draft, name, lambda _, side, original, __: f"{side}/{original}", 0)
    _write(
        draft,
        "ICFG-PEDES.json",
        rows,
        1,
        lambda row: {"file_path": row.path, "processed_tokens": [tokens(_caption(draft, row, 1))]},
    )
    return _finish(draft, rows, 1)


def _rows(
    draft: Draft, name: Callable[[int, Take], str], copied: Callable[[int, str, str, Take], str], num_val: int
) -> list[_Shown]:
    """Train, val and test, people from 0 on; the last training people are people of MSMT17."""
    counts, rows, pid = draft.counts, [], 0
    borrowed = [
        (side, pictures)
        for side, num_ids in (("test", counts.overlap_ids), ("train", counts.shared_ids))
        for _, pictures in sorted(msmt17.takes_of(draft.world, side).items())[:num_ids]
    ]
    assert len(borrowed) == counts.overlap_ids + counts.shared_ids, "the preset's msmt17 row has fewer people"
    for split, num_ids, shots in (
        ("train", counts.train_ids - len(borrowed), counts.shots),
        ("msmt17", len(borrowed), counts.shots),
        ("val", num_val, counts.gallery_shots),
        ("test", counts.test_ids, counts.gallery_shots),
    ):
        for number in range(num_ids):
            if split == "msmt17":
                side, pictures = borrowed[number]
                for original, take in pictures[:shots] if side == "test" else pictures[::2]:
                    path = copied(pid, side, original, take)
                    tested = f"msmt/{msmt17.ROOT}/test/{original}" if side == "test" else None
                    rows.append(_Shown("train", pid, path, take, tested))
            else:
                for camera in draft.cast.itinerary(pid, 0, shots):
                    take = draft.take(pid, 0, camera)
                    rows.append(_Shown(split, pid, name(pid, take), take))
            pid += 1
    for row in rows:
        draft.shoot(row.take, f"imgs/{row.path}")
    return rows


def _caption(draft: Draft, row: _Shown, number: int) -> str:
    return witness(draft.world.casts[row.take.dataset], row.take, number)


def _write(
    draft: Draft,
    file: str,
    rows: list[_Shown],
    num_captions: int,
    more: Callable[[_Shown], dict[str, object]],
) -> None:
    items = [
        {
            "id": row.pid,
            "captions": [_caption(draft, row, number) for number in range(1, num_captions + 1)],
            "split": row.split,
            **more(row),
        }
        for row in rows
    ]
    draft.texts[f"{draft.folder}/{file}"] = (json.dumps(items) + "\n").encode("ascii")


def _finish(draft: Draft, rows: list[_Shown], num_captions: int) -> Plan:
    num = {split: sum(row.split == split for row in rows) for split in ("train", "val", "test")}
    sizes = {"train": num["train"], "query": num_captions * num["test"], "gallery": num["test"]}
    sizes |= {"val": num["val"]} if num["val"] else {}
    overlaps = {f"{draft.folder}/imgs/{row.path}": row.original for row in rows if row.original}
    return draft.finish(sizes, overlaps)
