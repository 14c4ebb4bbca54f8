"""Market-1501 on disk: ``0002_c1s1_000451_03.jpg``, three folders, distractors (0000) and junk (-1)."""

from omnireid.synthetic.lists import IGNORED
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import File, Plan, PlanBuilder, SyntheticSpec

NAME = "market1501"
ROOT = "Market-1501"
FRAMES_APART = 25  # minimum distance between two images of a person


def _file_name(builder: PlanBuilder, pid: int, key: ShotKey, box: int, serial: int | None) -> str:
    """``pid_cCAMsSEQUENCE_FRAME_BOX.jpg``; box 00 is drawn by hand.

    Images of one pid are frames apart: counted by person, or by ``serial`` if many people share the pid.
    """
    rng = builder.population.rng("name", key.person)
    sequence, start = int(rng.integers(1, 7)), int(rng.integers(0, 60_000))
    frame = start + FRAMES_APART * key.number if serial is None else FRAMES_APART * serial
    frame += int(builder.population.rng("name", key.person, key.number).integers(FRAMES_APART))
    label = "-1" if pid == -1 else f"{pid:04d}"
    return f"{label}_c{key.camera + 1}s{sequence}_{frame:06d}_{box:02d}.jpg"


def _record(
    builder: PlanBuilder, folder: str, key: ShotKey, *, pid: int, box: int, serial: int | None = None
) -> str:
    """Plan one image; of the boxes that share a pid (with a serial), every other one is badly cropped."""
    name = _file_name(builder, pid, key, box, serial)
    cut = pid == -1 or (serial is not None and serial % 2 == 1)
    builder.add_image(key, File(f"{ROOT}/{folder}/{name}", "cut" if cut else "whole"))
    return builder.line(f"{ROOT}/{folder}/{name}", IGNORED["trad"], key, pid=pid)


def plan(spec: SyntheticSpec) -> Plan:
    """Train, query (one hand-drawn box per person and camera) and gallery with distractors and junk."""
    builder = PlanBuilder(spec, NAME)
    counts, population = builder.counts, builder.population
    train_pids, test_pids = population.shuffled_groups(1, counts.train_ids, counts.test_ids)
    train, query, gallery = [], [], []
    for pid in train_pids:
        for camera in population.cameras_of_outfit(pid, 0, counts.cameras):
            for box in range(1, counts.shots + 1):
                train.append(
                    _record(
                        builder, "bounding_box_train", builder.next_shot(pid, 0, camera), pid=pid, box=box
                    )
                )
    for pid in test_pids:
        for camera in population.cameras_of_outfit(pid, 0, counts.cameras):
            query.append(_record(builder, "query", builder.next_shot(pid, 0, camera), pid=pid, box=0))
            for box in range(1, counts.gallery_shots + 1):
                gallery.append(
                    _record(builder, "bounding_box_test", builder.next_shot(pid, 0, camera), pid=pid, box=box)
                )
    gallery += _distractors(builder, first=1 + counts.train_ids + counts.test_ids)
    num_junk = _junk(builder, test_pids)
    for name, lines in (("train", train), ("query", query), ("gallery", gallery)):
        builder.write(f"datalist/{name}.txt", lines)
    sizes = {"train": len(train), "query": len(query), "gallery": len(gallery) + num_junk}
    return builder.finish(sizes)


def _distractors(builder: PlanBuilder, first: int) -> list[str]:
    """People without a query; every other box is also badly cropped."""
    lines = []
    for index in range(builder.counts.distractors):
        key = builder.next_shot(first + index, 0, index % builder.population.site.num_cameras)
        lines.append(_record(builder, "bounding_box_test", key, pid=0, box=1, serial=index))
    return lines


def _junk(builder: PlanBuilder, test_pids: list[int]) -> int:
    """Badly cropped boxes of test people: on disk, but in no list, since every loader ignores them."""
    for index in range(builder.counts.junk):
        person = test_pids[index % len(test_pids)]
        cameras = builder.population.cameras_of_outfit(person, 0, builder.counts.cameras)
        key = builder.next_shot(person, 0, cameras[index % len(cameras)])
        _record(builder, "bounding_box_test", key, pid=-1, box=9, serial=index)
    return builder.counts.junk


def shots_of(spec: SyntheticSpec, part: str) -> dict[int, list[tuple[str, ShotKey]]]:
    """Path and take of each person's images in a folder, some of which CUHK-PEDES includes."""
    found: dict[int, list[tuple[str, ShotKey]]] = {}
    for image in plan(spec).images:
        folder, name = image.files[0].path.rsplit("/", 1)
        if folder.endswith(part) and name[:2] != "-1" and name[:4] != "0000":
            found.setdefault(int(name[:4]), []).append((f"{part}/{name}", image.key))
    return found
