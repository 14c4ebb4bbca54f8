"""MSMT17 (V1) on disk: ``0000/0000_000_01_0303morning_0008_0.jpg``, four lists, splits from person 0."""

from collections.abc import Iterable

from omnireid.synthetic.lists import IGNORED
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, Plan, World

NAME = "msmt17"
ROOT = "MSMT17_V1"
_TIMES = ("morning", "noon", "afternoon")


def file_name(draft: Draft, pid: int, take: Take) -> str:
    """``0000/0000_000_01_0303morning_0008_0.jpg``: person, image, camera, day and time, frame, box."""
    rng = draft.cast.rng("name", take.person, take.number)
    day = f"{int(rng.integers(3, 6)):02d}{int(rng.integers(1, 29)):02d}{_TIMES[int(rng.integers(3))]}"
    frame, box = int(rng.integers(10_000)), int(rng.integers(4))
    return f"{pid:04d}/{pid:04d}_{take.number:03d}_{take.camera + 1:02d}_{day}_{frame:04d}_{box}.jpg"


def plan(world: World) -> Plan:
    """One validation image (of training people) per person and camera; likewise one query in test."""
    draft = Draft(world, NAME)
    counts = draft.counts
    takes: dict[str, list[tuple[int, Take]]] = {"train": [], "val": [], "query": [], "gallery": []}
    sides = (
        ("train", counts.train_ids, 0, {"train": counts.shots, "val": 1}),
        ("test", counts.test_ids, counts.train_ids, {"query": 1, "gallery": counts.gallery_shots}),
    )
    for _, num_ids, first, shots in sides:
        for pid in range(num_ids):
            for part, take in draft.tour(first + pid, 0, shots):
                takes[part].append((pid, take))
    for folder, *_, shots in sides:
        for part in shots:
            _write_part(draft, folder, part, takes[part])
    return draft.finish({part: len(taken) for part, taken in takes.items()})


def _write_part(draft: Draft, folder: str, part: str, takes: Iterable[tuple[int, Take]]) -> None:
    raw, official = [], []
    for pid, take in takes:
        name = file_name(draft, pid, take)
        draft.shoot(take, f"{ROOT}/{folder}/{name}")
        raw.append(f"{name} {pid}")
        official.append(draft.line(f"{ROOT}/{folder}/{name}", IGNORED["trad"], take, pid=pid))
    draft.write(f"{ROOT}/list_{part}.txt", raw)
    if part != "val":
        draft.write(f"datalist/{part}.txt", official)


def takes_of(world: World, side: str) -> dict[int, list[tuple[str, Take]]]:
    """Path and take of each person's images in train or test; ICFG-PEDES and RSTPReid include some."""
    found: dict[int, list[tuple[str, Take]]] = {}
    for image in plan(world).images:
        part, person, name = image.files[0].path.rsplit("/", 2)
        if part.endswith(f"/{side}"):
            found.setdefault(int(person), []).append((f"{side}/{person}/{name}", image.take))
    return found
