"""RSTPReid and ICFG-PEDES on disk: images with captions, some of them of MSMT17's people."""

from omnireid.synthetic.captions import tokens
from omnireid.synthetic.layouts import msmt17
from omnireid.synthetic.layouts.captioned import overlaps_of, plan_captioned, sizes_of, write_annotations
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import Plan, PlanBuilder, SyntheticSpec

_MSMT17 = (msmt17.shots_of, ("test", "train"), f"msmt/{msmt17.ROOT}")


def plan_rstpreid(spec: SyntheticSpec) -> Plan:
    """Two captions per image; file names do not show which people are MSMT17's."""
    builder = PlanBuilder(spec, "rstpreid")

    def path(pid: int, key: ShotKey, _: str | None) -> str:
        return f"{pid:04d}_c{key.camera + 1}_{7 * key.number + pid % 7:04d}.jpg"

    rows = plan_captioned(builder, path, *_MSMT17, first_pid=0, num_captions=2)
    entries = [
        {"id": row.pid, "captions": row.captions, "split": row.split, "img_path": row.path} for row in rows
    ]
    write_annotations(builder, "data_captions.json", entries)
    return builder.finish(sizes_of(rows, "train", "query", "gallery", "val"), overlaps_of(builder, rows))


def plan_icfg_pedes(spec: SyntheticSpec) -> Plan:
    """One caption per image; the file names, and the folders train and test, are MSMT17's."""
    builder = PlanBuilder(spec, "icfg_pedes")

    def path(pid: int, key: ShotKey, original: str | None) -> str:
        return f"train/{msmt17.file_name(builder, pid, key)}" if original is None else original

    rows = plan_captioned(builder, path, *_MSMT17, first_pid=0, num_captions=1, has_val=False)
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
    write_annotations(builder, "ICFG-PEDES.json", entries)
    return builder.finish(sizes_of(rows, "train", "query", "gallery"), overlaps_of(builder, rows))
