"""VC-Clothes on disk: ``0001-02-01-03.jpg``; cameras 2 and 3 see the same clothes, 3 and 4 different ones."""

from omnireid.synthetic.lists import WHITE_SHIRT
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import File, Plan, PlanBuilder, SyntheticSpec

NAME = "vc_clothes"
_OUTFITS = (1, 0, 0, 1)  # worn at cameras 1 to 4


def plan(spec: SyntheticSpec) -> Plan:
    """All four cameras see everybody; one query per test person and camera."""
    builder = PlanBuilder(spec, NAME)
    counts, population = builder.counts, builder.population
    train_pids, test_pids = population.shuffled_groups(1, counts.train_ids, counts.test_ids)
    lists: dict[str, list[str]] = {"train": [], "query": [], "gallery": []}
    sides = (
        (train_pids, {"train": counts.shots}),
        (test_pids, {"query": 1, "gallery": counts.gallery_shots}),
    )
    for pids, shots in sides:
        for pid in pids:
            for camera, outfit in enumerate(_OUTFITS):
                for part, count in shots.items():
                    keys = [builder.next_shot(pid, outfit, camera) for _ in range(count)]
                    lists[part] += [_record(builder, part, key) for key in keys]
    builder.add_image(ShotKey(NAME, 0, 0, 0, 0), File(WHITE_SHIRT, "white_shirt"))
    for part, lines in lists.items():
        builder.write(f"datalist/{part}.txt", lines)
    return builder.finish({part: len(lines) for part, lines in lists.items()})


def _record(builder: PlanBuilder, part: str, key: ShotKey) -> str:
    name = f"{key.person:04d}-{key.camera + 1:02d}-{key.outfit + 1:02d}-{key.number + 1:02d}.jpg"
    builder.add_image(key, f"{part}/{name}", File(f"croped_image/{part}/{name}", "clothes"))
    return builder.line(f"{part}/{name}", WHITE_SHIRT, key)
