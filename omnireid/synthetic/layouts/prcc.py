"""PRCC on disk: cameras A and B see one outfit, camera C another; train by person, test by camera."""

from omnireid.synthetic.lists import WHITE_SHIRT
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import File, Plan, PlanBuilder, SyntheticSpec

NAME = "prcc"
LETTERS = "ABC"
_OUTFITS = (0, 0, 1)  # worn at cameras A, B and C
_FIRST_FRAME, _FRAMES_APART = 100, 7
# List name → camera; the README has query and gallery, i.e. the clothes-changing protocol.
_TEST_LISTS = {"query": "C", "gallery": "A", "query_sc": "B"}


def plan(spec: SyntheticSpec) -> Plan:
    """Train and val contain the same people; each test person is seen by all three cameras."""
    builder = PlanBuilder(spec, NAME)
    counts = builder.counts
    train_pids, test_pids = builder.population.shuffled_groups(1, counts.train_ids, counts.test_ids)
    lists: dict[str, list[str]] = {"train": [], **{name: [] for name in _TEST_LISTS}}
    num_val = 0
    for pid in train_pids:
        for camera, letter in enumerate(LETTERS):
            for shot in range(counts.shots + 1):
                part = "train" if shot else "val"
                key = builder.next_shot(pid, _OUTFITS[camera], camera)
                line = _record(builder, f"{part}/{pid:03d}/{letter}_{_frame(key)}.jpg", key)
                lists["train"] += [line] if shot else []
                num_val += shot == 0
        builder.add_image(ShotKey(NAME, pid, 0, 0, 0), File(f"prcc_A_templates/{pid:03d}.jpg", "template"))
    for pid in test_pids:
        for camera, letter in enumerate(LETTERS):
            name = next(name for name, of in _TEST_LISTS.items() if of == letter)
            for _ in range(counts.gallery_shots):
                key = builder.next_shot(pid, _OUTFITS[camera], camera)
                lists[name].append(_record(builder, f"test/{letter}/{pid:03d}/{_frame(key)}.jpg", key))
        builder.add_image(ShotKey(NAME, pid, 0, 0, 0), File(f"prcc_A_templates/{pid:03d}.jpg", "template"))
    builder.add_image(ShotKey(NAME, 0, 0, 0, 0), File(WHITE_SHIRT, "white_shirt"))
    for name, lines in lists.items():
        builder.write(f"datalist/{name}.txt", lines)
    sizes = {"train": len(lists["train"]), "val": num_val}
    sizes |= {"query": len(lists["query"]) + len(lists["query_sc"]), "gallery": len(lists["gallery"])}
    return builder.finish(sizes)


def _frame(key: ShotKey) -> str:
    return f"cropped_rgb{_FIRST_FRAME + _FRAMES_APART * key.number:03d}"


def _record(builder: PlanBuilder, path: str, key: ShotKey) -> str:
    builder.add_image(key, f"rgb/{path}", File(f"croped_clothes/{path}", "clothes"))
    return builder.line(f"rgb/{path}", WHITE_SHIRT, key)
