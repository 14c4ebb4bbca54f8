"""LTCC on disk: ``094_1_c9_015923.png``, twelve cameras, up to three outfits, lists of changing people."""

from omnireid.synthetic.lists import WHITE_SHIRT
from omnireid.synthetic.people import ShotKey, num_outfits
from omnireid.synthetic.plan import File, Plan, PlanBuilder, SyntheticSpec

NAME = "ltcc"
ROOT = "LTCC_ReID"
_FRAMES_APART = 40
_SETTLED_EVERY = 4  # one in N training people never changes clothes; all test people do


def _outfits(builder: PlanBuilder, person: int, *, train: bool) -> int:
    settled = train and person % _SETTLED_EVERY == _SETTLED_EVERY - 1
    return 1 if settled else num_outfits(person, builder.counts.outfits)


def _file_name(builder: PlanBuilder, key: ShotKey) -> str:
    frame = int(builder.population.rng("name", key.person).integers(0, 80_000)) + _FRAMES_APART * key.number
    frame += int(builder.population.rng("name", key.person, key.number).integers(_FRAMES_APART))
    return f"{key.person:03d}_{key.outfit + 1}_c{key.camera + 1}_{frame:06d}.png"


def plan(spec: SyntheticSpec) -> Plan:
    """One query per test person, outfit and camera; lists for all three settings."""
    builder = PlanBuilder(spec, NAME)
    counts = builder.counts
    train_pids, test_pids = builder.population.shuffled_groups(0, counts.train_ids, counts.test_ids)
    keys: dict[str, list[ShotKey]] = {"train": [], "query": [], "test": []}
    sides = (
        (train_pids, {"train": counts.shots}, True),
        (test_pids, {"query": 1, "test": counts.gallery_shots}, False),
    )
    for pids, shots, is_train in sides:
        for pid in pids:
            for outfit in range(_outfits(builder, pid, train=is_train)):
                for part, key in builder.shots_of_outfit(pid, outfit, shots):
                    keys[part].append(key)
                template = File(f"templates/{pid:03d}_{outfit + 1}.jpg", "template")
                builder.add_image(ShotKey(NAME, pid, outfit, 0, 0), template)
        _write_ids(builder, "train" if is_train else "test", pids, train=is_train)
    for part, num_taken in keys.items():
        for key in num_taken:
            name = f"{part}/{_file_name(builder, key)}"
            builder.add_image(key, f"{ROOT}/{name}", File(f"croped_clothes/{name}", "clothes"))
    builder.add_image(ShotKey(NAME, 0, 0, 0, 0), File(WHITE_SHIRT, "white_shirt"))
    _write_lists(builder, keys)
    sizes = {"train": len(keys["train"]), "query": len(keys["query"]), "gallery": len(keys["test"])}
    return builder.finish(sizes)


def _write_ids(builder: PlanBuilder, part: str, pids: list[int], *, train: bool) -> None:
    changing = [pid for pid in pids if _outfits(builder, pid, train=train) > 1]
    for name, members in (("cloth-change", changing), ("cloth-unchange", sorted({*pids} - {*changing}))):
        builder.write(f"{ROOT}/info/{name}_id_{part}.txt", map(str, members))


def _write_lists(builder: PlanBuilder, keys: dict[str, list[ShotKey]]) -> None:
    """``cc`` lists name the white shirt; ``train_ctcc`` (our name) alternates template and crop."""

    def line(part: str, key: ShotKey, instruction: str = WHITE_SHIRT) -> str:
        return builder.line(f"{ROOT}/{part}/{_file_name(builder, key)}", instruction, key)

    builder.write("datalist/train.txt", (line("train", key) for key in keys["train"]))
    for setting in ("general", "sc", "cc"):
        asked = [query for query in keys["query"] if _has_answer(query, keys["test"], setting)]
        builder.write(f"datalist/query_{setting}.txt", (line("query", key) for key in asked))
        builder.write(f"datalist/gallery_{setting}.txt", (line("test", key) for key in keys["test"]))
    worn = []
    for index, key in enumerate(keys["train"]):
        template = f"templates/{key.person:03d}_{key.outfit + 1}.jpg"
        crop = f"croped_clothes/train/{_file_name(builder, key)}"
        worn.append(line("train", key, crop if index % 2 else template))
    builder.write("datalist/train_ctcc.txt", worn)


def _has_answer(query: ShotKey, gallery: list[ShotKey], setting: str) -> bool:
    """Whether another camera saw the person, in clothes that count in this setting."""
    wanted = {"general": (True, False), "sc": (True,), "cc": (False,)}[setting]
    return any(
        other.person == query.person
        and other.camera != query.camera
        and (other.outfit == query.outfit) in wanted
        for other in gallery
    )
