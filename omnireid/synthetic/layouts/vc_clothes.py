"""VC-Clothes on disk: ``0001-02-01-03.jpg``; cameras 2 and 3 see the same clothes, 3 and 4 different ones."""

from omnireid.synthetic.lists import WHITE_SHIRT
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, File, Plan, World

NAME = "vc_clothes"
_OUTFITS = (1, 0, 0, 1)  # worn at cameras 1 to 4


def plan(world: World) -> Plan:
    """All four cameras see everybody; one query per test person and camera."""
    draft = Draft(world, NAME)
    counts, cast = draft.counts, draft.cast
    train_pids, test_pids = cast.deal(1, counts.train_ids, counts.test_ids)
    lists: dict[str, list[str]] = {"train": [], "query": [], "gallery": []}
    sides = (
        (train_pids, {"train": counts.shots}),
        (test_pids, {"query": 1, "gallery": counts.gallery_shots}),
    )
    for pids, shots in sides:
        for pid in pids:
            for camera, outfit in enumerate(_OUTFITS):
                for part, count in shots.items():
                    takes = [draft.take(pid, outfit, camera) for _ in range(count)]
                    lists[part] += [_record(draft, part, take) for take in takes]
    draft.shoot(Take(NAME, 0, 0, 0, 0), File(WHITE_SHIRT, "white_shirt"))
    for part, lines in lists.items():
        draft.write(f"datalist/{part}.txt", lines)
    return draft.finish({part: len(lines) for part, lines in lists.items()})


def _record(draft: Draft, part: str, take: Take) -> str:
    name = f"{take.person:04d}-{take.camera + 1:02d}-{take.outfit + 1:02d}-{take.number + 1:02d}.jpg"
    draft.shoot(take, f"{part}/{name}", File(f"croped_image/{part}/{name}", "clothes"))
    return draft.line(f"{part}/{name}", WHITE_SHIRT, take)
