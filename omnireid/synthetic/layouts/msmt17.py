"""MSMT17 (V1) on disk: ``0000/0000_000_01_0303morning_0008_0.jpg``, four lists, splits from person 0."""

from collections.abc import Iterable

from omnireid.synthetic.lists import IGNORED
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import Plan, PlanBuilder, SyntheticSpec

NAME = "msmt17"
ROOT = "MSMT17_V1"
_TIMES = ("morning", "noon", "afternoon")


def file_name(builder: PlanBuilder, pid: int, key: ShotKey) -> str:
    """``0000/0000_000_01_0303morning_0008_0.jpg``: person, image, camera, day and time, frame, box."""
    rng = builder.population.rng("name", key.person, key.number)
    day = f"{int(rng.integers(3, 6)):02d}{int(rng.integers(1, 29)):02d}{_TIMES[int(rng.integers(3))]}"
    frame, box = int(rng.integers(10_000)), int(rng.integers(4))
    return f"{pid:04d}/{pid:04d}_{key.number:03d}_{key.camera + 1:02d}_{day}_{frame:04d}_{box}.jpg"


def plan(spec: SyntheticSpec) -> Plan:
    """One validation image (of training people) per person and camera; likewise one query in test."""
    builder = PlanBuilder(spec, NAME)
    counts = builder.counts
    keys: dict[str, list[tuple[int, ShotKey]]] = {"train": [], "val": [], "query": [], "gallery": []}
    sides = (
        ("train", counts.train_ids, 0, {"train": counts.shots, "val": 1}),
        ("test", counts.test_ids, counts.train_ids, {"query": 1, "gallery": counts.gallery_shots}),
    )
    for _, num_ids, first, shots in sides:
        for pid in range(num_ids):
            for part, key in builder.shots_of_outfit(first + pid, 0, shots):
                keys[part].append((pid, key))
    for folder, *_, shots in sides:
        for part in shots:
            _write_part(builder, folder, part, keys[part])
    return builder.finish({part: len(num_taken) for part, num_taken in keys.items()})


def _write_part(builder: PlanBuilder, folder: str, part: str, keys: Iterable[tuple[int, ShotKey]]) -> None:
    raw, official = [], []
    for pid, key in keys:
        name = file_name(builder, pid, key)
        builder.add_image(key, f"{ROOT}/{folder}/{name}")
        raw.append(f"{name} {pid}")
        official.append(builder.line(f"{ROOT}/{folder}/{name}", IGNORED["trad"], key, pid=pid))
    builder.write(f"{ROOT}/list_{part}.txt", raw)
    if part != "val":
        builder.write(f"datalist/{part}.txt", official)


def shots_of(spec: SyntheticSpec, side: str) -> dict[int, list[tuple[str, ShotKey]]]:
    """Path and take of each person's images in train or test; ICFG-PEDES and RSTPReid include some."""
    found: dict[int, list[tuple[str, ShotKey]]] = {}
    for image in plan(spec).images:
        part, person, name = image.files[0].path.rsplit("/", 2)
        if part.endswith(f"/{side}"):
            found.setdefault(int(person), []).append((f"{side}/{person}/{name}", image.key))
    return found
