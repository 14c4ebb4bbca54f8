"""COCAS+ Real1 and Real2 on disk: images, templates, raw lists, and the official lists of `ctcc` and `li`.

The naming scheme of the images is not published; ours is ``images/S/PPPP_O_cCC_FFFFFF.jpg`` (session,
person, outfit, camera, frame), and ``templates/PPPP_O.jpg``.
"""

from omnireid.synthetic.captions import describe
from omnireid.synthetic.lists import ListLine, caption_file
from omnireid.synthetic.people import Take, num_outfits
from omnireid.synthetic.world import Draft, File, Plan, World

ROOTS = {"cocas_real1": "COCAS", "cocas_real2": "real_reid_image_face_blur"}
QUERY_CAMERAS = {"cocas_real1": 10, "cocas_real2": 4}  # the first N cameras; the others record the gallery
_SESSIONS = 3
_WANTS_OTHER_CLOTHES = 0.8  # share of queries that ask for an outfit that the query image does not show


def plan_real1(world: World) -> Plan:
    """The training set; its few test people are in the raw lists only, as in OmniReID."""
    draft = Draft(world, "cocas_real1")
    counts, cast = draft.counts, draft.cast
    train_pids, test_pids = cast.deal(1, counts.train_ids, counts.test_ids)
    train: list[Take] = []
    for pid in train_pids:
        for outfit in range(num_outfits(pid, counts.outfits)):
            train += [take for _, take in draft.tour(pid, outfit, {"train": counts.shots})]
    query, gallery = _shoot_test(draft, test_pids)
    _shoot_all(draft, (*train, *query, *gallery))
    raw = (f"{image(t)} {template(t)} {t.person} {cast.clothes_id(t.person, t.outfit)}" for t in train)
    draft.write(f"{ROOTS[draft.dataset]}/train.txt", raw)
    _write_raw_test(draft, query, gallery)
    worn = [template(t) if row % 2 == 0 else crop(t) for row, t in enumerate(train)]
    draft.write("datalist/train_ctcc.txt", (_line(draft, t, own) for t, own in zip(train, worn, strict=True)))
    draft.write("datalist/train_attr.txt", (_line(draft, t, key(t)) for t in train))
    _write_captions(draft, "runner_real1_v1_gpt", train)
    return draft.finish({"train": len(train), "query": len(query), "gallery": len(gallery)})


def plan_real2(world: World) -> Plan:
    """The test set: a query asks for the person in an outfit, by template or by a caption of the target."""
    draft = Draft(world, "cocas_real2")
    assert draft.counts.train_ids == 0
    (test_pids,) = draft.cast.deal(1, draft.counts.test_ids)
    query, gallery = _shoot_test(draft, test_pids)
    _shoot_all(draft, (*query, *gallery))
    _write_raw_test(draft, query, gallery)
    targets = [_target(draft, take, gallery) for take in query]
    pairs = list(zip(query, targets, strict=True))
    draft.write("datalist/query.txt", (_line(draft, t, template(to), wanted=to) for t, to in pairs))
    draft.write("datalist/gallery.txt", (_line(draft, t, crop(t)) for t in gallery))
    draft.write("datalist/query_attr.txt", (_line(draft, t, key(to), wanted=to) for t, to in pairs))
    draft.write("datalist/gallery_attr.txt", (_line(draft, t, key(t)) for t in gallery))
    _write_captions(draft, "runner_real2_v1_gpt", gallery)
    return draft.finish({"query": len(query), "gallery": len(gallery)})


def key(take: Take) -> str:
    """The name of an image's file, and its key in the caption file."""
    frame = 1000 * take.camera + 17 * take.number
    return f"{take.person:04d}_{take.outfit + 1}_c{take.camera + 1:02d}_{frame:06d}.jpg"


def image(take: Take) -> str:
    """Path of an image within the download."""
    return f"images/{take.camera % _SESSIONS + 1}/{key(take)}"


def template(take: Take) -> str:
    """Path of the outfit's template within the download."""
    return f"templates/{take.person:04d}_{take.outfit + 1}.jpg"


def crop(take: Take) -> str:
    """Path of an image's own upper clothes within the task's folder."""
    return f"croped_clothes/{key(take)}"


def _shoot_test(draft: Draft, pids: list[int]) -> tuple[list[Take], list[Take]]:
    """Queries and gallery of the test people, from different cameras."""
    split = QUERY_CAMERAS[draft.dataset]
    num_cameras = draft.cast.site.num_cameras
    sides = ((range(split), 1), (range(split, num_cameras), draft.counts.gallery_shots))
    takes: tuple[list[Take], list[Take]] = ([], [])
    for pid in pids:
        for outfit in range(num_outfits(pid, draft.counts.outfits)):
            for side, (cameras, shots) in zip(takes, sides, strict=True):
                for camera in draft.cast.itinerary(pid, outfit, draft.counts.cameras, tuple(cameras)):
                    side += [draft.take(pid, outfit, camera) for _ in range(shots)]
    return takes


def _shoot_all(draft: Draft, takes: tuple[Take, ...]) -> None:
    root = ROOTS[draft.dataset]
    templates = set()
    for take in takes:
        if template(take) not in templates:
            templates.add(template(take))
            draft.shoot(take, File(f"{root}/{template(take)}", "template"))
        draft.shoot(take, f"{root}/{image(take)}", File(crop(take), "clothes"))


def _target(draft: Draft, query: Take, gallery: list[Take]) -> Take:
    """The gallery image whose outfit (and caption) a query asks for."""
    rng = draft.cast.rng("target", query.person, query.number)
    own = [take for take in gallery if take.person == query.person]
    other = [take for take in own if take.outfit != query.outfit]
    same = [take for take in own if take.outfit == query.outfit]
    choice = other if rng.uniform() < _WANTS_OTHER_CLOTHES and other else same
    return choice[int(rng.integers(len(choice)))]


def _write_raw_test(draft: Draft, query: list[Take], gallery: list[Take]) -> None:
    """``query.txt``: image, template, pid, clothes, camera; ``gallery.txt`` the same without template."""
    root, cast = ROOTS[draft.dataset], draft.cast

    def numbers(take: Take, outfit: int) -> str:
        return f"{take.person} {cast.clothes_id(take.person, outfit)} {take.camera}"

    asked = [(take, _target(draft, take, gallery)) for take in query]
    draft.write(
        f"{root}/query.txt", (f"{image(t)} {template(to)} {numbers(t, to.outfit)}" for t, to in asked)
    )
    draft.write(f"{root}/gallery.txt", (f"{image(t)} {numbers(t, t.outfit)}" for t in gallery))


def _line(draft: Draft, take: Take, instruction: str, wanted: Take | None = None) -> str:
    """A line of an official list; the clothes id is that of the requested outfit, else of the one shown."""
    root = ROOTS[draft.dataset]
    clothes_id = draft.cast.clothes_id(take.person, (wanted or take).outfit)
    placed = f"{root}/{instruction}" if instruction.startswith("templates/") else instruction
    return str(ListLine(f"{root}/{image(take)}", placed, take.person, clothes_id, take.camera))


def _write_captions(draft: Draft, name: str, takes: list[Take]) -> None:
    captions = {key(take): describe(draft.cast, take) for take in takes}
    draft.texts[f"{draft.folder}/datalist/{name}.json"] = caption_file(captions)
