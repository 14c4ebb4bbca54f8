"""RSTPReid and ICFG-PEDES on disk: images with captions, some of them of MSMT17's people."""

from omnireid.synthetic.captions import tokens
from omnireid.synthetic.layouts import msmt17
from omnireid.synthetic.layouts.captioned import overlaps_of, shoot_captioned, sizes_of, write_annotations
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, Plan, World

_MSMT17 = (msmt17.takes_of, ("test", "train"), f"msmt/{msmt17.ROOT}")


def plan_rstpreid(world: World) -> Plan:
    """Two captions per image; file names do not show which people are MSMT17's."""
    draft = Draft(world, "rstpreid")

    def path(pid: int, take: Take, _: str | None) -> str:
        return f"{pid:04d}_c{take.camera + 1}_{7 * take.number + pid % 7:04d}.jpg"

    rows = shoot_captioned(draft, path, *_MSMT17, first_pid=0, num_captions=2)
    entries = [
        {"id": row.pid, "captions": row.captions, "split": row.split, "img_path": row.path} for row in rows
    ]
    write_annotations(draft, "data_captions.json", entries)
    return draft.finish(sizes_of(rows, "train", "query", "gallery", "val"), overlaps_of(draft, rows))


def plan_icfg_pedes(world: World) -> Plan:
    """One caption per image; the file names, and the folders train and test, are MSMT17's."""
    draft = Draft(world, "icfg_pedes")

    def path(pid: int, take: Take, original: str | None) -> str:
        return f"train/{msmt17.file_name(draft, pid, take)}" if original is None else original

    rows = shoot_captioned(draft, path, *_MSMT17, first_pid=0, num_captions=1, has_val=False)
    entries = [
        {
            "id": row.pid,
            "captions": row.captions,
            "split": row.split,
            "file_path": row.path,
            "processed_tokens": [tokens(caption) for caption in row.captions],
        }
        for row in rows
    ]
    write_annotations(draft, "ICFG-PEDES.json", entries)
    return draft.finish(sizes_of(rows, "train", "query", "gallery"), overlaps_of(draft, rows))
