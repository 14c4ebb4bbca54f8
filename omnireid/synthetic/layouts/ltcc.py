"""LTCC on disk: ``094_1_c9_015923.png``, twelve cameras, up to three outfits, lists of changing people."""

from omnireid.synthetic.lists import WHITE_SHIRT
from omnireid.synthetic.people import Take, num_outfits
from omnireid.synthetic.world import Draft, File, Plan, World

NAME = "ltcc"
ROOT = "LTCC_ReID"
_FRAMES_APART = 40
_SETTLED_EVERY = 4  # one in N training people never changes clothes; all test people do


def _outfits(draft: Draft, person: int, *, train: bool) -> int:
    settled = train and person % _SETTLED_EVERY == _SETTLED_EVERY - 1
    return 1 if settled else num_outfits(person, draft.counts.outfits)


def _file_name(draft: Draft, take: Take) -> str:
    frame = int(draft.cast.rng("name", take.person).integers(0, 80_000)) + _FRAMES_APART * take.number
    frame += int(draft.cast.rng("name", take.person, take.number).integers(_FRAMES_APART))
    return f"{take.person:03d}_{take.outfit + 1}_c{take.camera + 1}_{frame:06d}.png"


def plan(world: World) -> Plan:
    """One query per test person, outfit and camera; lists for all three settings."""
    draft = Draft(world, NAME)
    counts = draft.counts
    train_pids, test_pids = draft.cast.deal(0, counts.train_ids, counts.test_ids)
    takes: dict[str, list[Take]] = {"train": [], "query": [], "test": []}
    sides = (
        (train_pids, {"train": counts.shots}, True),
        (test_pids, {"query": 1, "test": counts.gallery_shots}, False),
    )
    for pids, shots, is_train in sides:
        for pid in pids:
            for outfit in range(_outfits(draft, pid, train=is_train)):
                for part, take in draft.tour(pid, outfit, shots):
                    takes[part].append(take)
                template = File(f"templates/{pid:03d}_{outfit + 1}.jpg", "template")
                draft.shoot(Take(NAME, pid, outfit, 0, 0), template)
        _write_ids(draft, "train" if is_train else "test", pids, train=is_train)
    for part, taken in takes.items():
        for take in taken:
            name = f"{part}/{_file_name(draft, take)}"
            draft.shoot(take, f"{ROOT}/{name}", File(f"croped_clothes/{name}", "clothes"))
    draft.shoot(Take(NAME, 0, 0, 0, 0), File(WHITE_SHIRT, "white_shirt"))
    _write_lists(draft, takes)
    sizes = {"train": len(takes["train"]), "query": len(takes["query"]), "gallery": len(takes["test"])}
    return draft.finish(sizes)


def _write_ids(draft: Draft, part: str, pids: list[int], *, train: bool) -> None:
    changing = [pid for pid in pids if _outfits(draft, pid, train=train) > 1]
    for name, members in (("cloth-change", changing), ("cloth-unchange", sorted({*pids} - {*changing}))):
        draft.write(f"{ROOT}/info/{name}_id_{part}.txt", map(str, members))


def _write_lists(draft: Draft, takes: dict[str, list[Take]]) -> None:
    """``cc`` lists name the white shirt; ``train_ctcc`` (our name) alternates template and crop."""

    def line(part: str, take: Take, instruction: str = WHITE_SHIRT) -> str:
        return draft.line(f"{ROOT}/{part}/{_file_name(draft, take)}", instruction, take)

    draft.write("datalist/train.txt", (line("train", take) for take in takes["train"]))
    for setting in ("general", "sc", "cc"):
        asked = [query for query in takes["query"] if _has_answer(query, takes["test"], setting)]
        draft.write(f"datalist/query_{setting}.txt", (line("query", take) for take in asked))
        draft.write(f"datalist/gallery_{setting}.txt", (line("test", take) for take in takes["test"]))
    worn = []
    for index, take in enumerate(takes["train"]):
        template = f"templates/{take.person:03d}_{take.outfit + 1}.jpg"
        crop = f"croped_clothes/train/{_file_name(draft, take)}"
        worn.append(line("train", take, crop if index % 2 else template))
    draft.write("datalist/train_ctcc.txt", worn)


def _has_answer(query: Take, gallery: list[Take], setting: str) -> bool:
    """Whether another camera saw the person, in clothes that count in this setting."""
    wanted = {"general": (True, False), "sc": (True,), "cc": (False,)}[setting]
    return any(
        other.person == query.person
        and other.camera != query.camera
        and (other.outfit == query.outfit) in wanted
        for other in gallery
    )
