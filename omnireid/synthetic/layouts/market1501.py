"""Market-1501 on disk: ``0002_c1s1_000451_03.jpg``, three folders, distractors (0000) and junk (-1)."""

from omnireid.synthetic.lists import IGNORED
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, File, Plan, World

NAME = "market1501"
ROOT = "Market-1501"
FRAMES_APART = 25  # minimum distance between two images of a person


def _file_name(draft: Draft, pid: int, take: Take, box: int, serial: int | None) -> str:
    """``pid_cCAMsSEQUENCE_FRAME_BOX.jpg``; box 00 is drawn by hand.

    Images of one pid are frames apart: counted by person, or by ``serial`` if many people share the pid.
    """
    rng = draft.cast.rng("name", take.person)
    sequence, start = int(rng.integers(1, 7)), int(rng.integers(0, 60_000))
    frame = start + FRAMES_APART * take.number if serial is None else FRAMES_APART * serial
    frame += int(draft.cast.rng("name", take.person, take.number).integers(FRAMES_APART))
    label = "-1" if pid == -1 else f"{pid:04d}"
    return f"{label}_c{take.camera + 1}s{sequence}_{frame:06d}_{box:02d}.jpg"


def _record(draft: Draft, folder: str, take: Take, *, pid: int, box: int, serial: int | None = None) -> str:
    """Plan one image; of the boxes that share a pid (with a serial), every other one is badly cropped."""
    name = _file_name(draft, pid, take, box, serial)
    cut = pid == -1 or (serial is not None and serial % 2 == 1)
    draft.shoot(take, File(f"{ROOT}/{folder}/{name}", "cut" if cut else "whole"))
    return draft.line(f"{ROOT}/{folder}/{name}", IGNORED["trad"], take, pid=pid)


def plan(world: World) -> Plan:
    """Train, query (one hand-drawn box per person and camera) and gallery with distractors and junk."""
    draft = Draft(world, NAME)
    counts, cast = draft.counts, draft.cast
    train_pids, test_pids = cast.deal(1, counts.train_ids, counts.test_ids)
    train, query, gallery = [], [], []
    for pid in train_pids:
        for camera in cast.itinerary(pid, 0, counts.cameras):
            for box in range(1, counts.shots + 1):
                train.append(
                    _record(draft, "bounding_box_train", draft.take(pid, 0, camera), pid=pid, box=box)
                )
    for pid in test_pids:
        for camera in cast.itinerary(pid, 0, counts.cameras):
            query.append(_record(draft, "query", draft.take(pid, 0, camera), pid=pid, box=0))
            for box in range(1, counts.gallery_shots + 1):
                gallery.append(
                    _record(draft, "bounding_box_test", draft.take(pid, 0, camera), pid=pid, box=box)
                )
    gallery += _distractors(draft, first=1 + counts.train_ids + counts.test_ids)
    num_junk = _junk(draft, test_pids)
    for name, lines in (("train", train), ("query", query), ("gallery", gallery)):
        draft.write(f"datalist/{name}.txt", lines)
    sizes = {"train": len(train), "query": len(query), "gallery": len(gallery) + num_junk}
    return draft.finish(sizes)


def _distractors(draft: Draft, first: int) -> list[str]:
    """People without a query; every other box is also badly cropped."""
    lines = []
    for index in range(draft.counts.distractors):
        take = draft.take(first + index, 0, index % draft.cast.site.num_cameras)
        lines.append(_record(draft, "bounding_box_test", take, pid=0, box=1, serial=index))
    return lines


def _junk(draft: Draft, test_pids: list[int]) -> int:
    """Badly cropped boxes of test people: on disk, but in no list, since every loader ignores them."""
    for index in range(draft.counts.junk):
        person = test_pids[index % len(test_pids)]
        cameras = draft.cast.itinerary(person, 0, draft.counts.cameras)
        take = draft.take(person, 0, cameras[index % len(cameras)])
        _record(draft, "bounding_box_test", take, pid=-1, box=9, serial=index)
    return draft.counts.junk


def takes_of(world: World, part: str) -> dict[int, list[tuple[str, Take]]]:
    """Path and take of each person's images in a folder, some of which CUHK-PEDES includes."""
    found: dict[int, list[tuple[str, Take]]] = {}
    for image in plan(world).images:
        folder, name = image.files[0].path.rsplit("/", 1)
        if folder.endswith(part) and name[:2] != "-1" and name[:4] != "0000":
            found.setdefault(int(name[:4]), []).append((f"{part}/{name}", image.take))
    return found
