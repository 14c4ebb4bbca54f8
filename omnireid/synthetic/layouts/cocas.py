"""COCAS+ Real1 and Real2 on disk: images, templates, raw lists, and the official lists of `ctcc` and `li`.

The naming scheme of the images is not published; ours is ``images/S/PPPP_O_cCC_FFFFFF.jpg`` (session,
person, outfit, camera, frame), and ``templates/PPPP_O.jpg``.
"""

from omnireid.synthetic.captions import describe
from omnireid.synthetic.lists import ListLine, caption_file
from omnireid.synthetic.people import ShotKey, num_outfits
from omnireid.synthetic.plan import File, Plan, PlanBuilder, SyntheticSpec

ROOTS = {"cocas_real1": "COCAS", "cocas_real2": "real_reid_image_face_blur"}
QUERY_CAMERAS = {"cocas_real1": 10, "cocas_real2": 4}  # the first N cameras; the others record the gallery
_SESSIONS = 3
_WANTS_OTHER_CLOTHES = 0.8  # share of queries that ask for an outfit that the query image does not show


def plan_real1(spec: SyntheticSpec) -> Plan:
    """The training set; its few test people are in the raw lists only, as in OmniReID."""
    builder = PlanBuilder(spec, "cocas_real1")
    counts, population = builder.counts, builder.population
    train_pids, test_pids = population.shuffled_groups(1, counts.train_ids, counts.test_ids)
    train: list[ShotKey] = []
    for pid in train_pids:
        for outfit in range(num_outfits(pid, counts.outfits)):
            train += [key for _, key in builder.shots_of_outfit(pid, outfit, {"train": counts.shots})]
    query, gallery = _shoot_test(builder, test_pids)
    _shoot_all(builder, (*train, *query, *gallery))
    raw = (f"{image(t)} {template(t)} {t.person} {population.clothes_id(t.person, t.outfit)}" for t in train)
    builder.write(f"{ROOTS[builder.dataset]}/train.txt", raw)
    _write_raw_test(builder, query, gallery)
    worn = [template(t) if row % 2 == 0 else crop(t) for row, t in enumerate(train)]
    builder.write(
        "datalist/train_ctcc.txt", (_line(builder, t, own) for t, own in zip(train, worn, strict=True))
    )
    builder.write("datalist/train_attr.txt", (_line(builder, t, file_name(t)) for t in train))
    _write_captions(builder, "runner_real1_v1_gpt", train)
    return builder.finish({"train": len(train), "query": len(query), "gallery": len(gallery)})


def plan_real2(spec: SyntheticSpec) -> Plan:
    """The test set: a query asks for the person in an outfit, by template or by a caption of the target."""
    builder = PlanBuilder(spec, "cocas_real2")
    assert builder.counts.train_ids == 0
    (test_pids,) = builder.population.shuffled_groups(1, builder.counts.test_ids)
    query, gallery = _shoot_test(builder, test_pids)
    _shoot_all(builder, (*query, *gallery))
    _write_raw_test(builder, query, gallery)
    targets = [_target(builder, key, gallery) for key in query]
    pairs = list(zip(query, targets, strict=True))
    builder.write("datalist/query.txt", (_line(builder, t, template(to), wanted=to) for t, to in pairs))
    builder.write("datalist/gallery.txt", (_line(builder, t, crop(t)) for t in gallery))
    builder.write("datalist/query_attr.txt", (_line(builder, t, file_name(to), wanted=to) for t, to in pairs))
    builder.write("datalist/gallery_attr.txt", (_line(builder, t, file_name(t)) for t in gallery))
    _write_captions(builder, "runner_real2_v1_gpt", gallery)
    return builder.finish({"query": len(query), "gallery": len(gallery)})


def file_name(key: ShotKey) -> str:
    """The name of an image's file, and its key in the caption file."""
    frame = 1000 * key.camera + 17 * key.number
    return f"{key.person:04d}_{key.outfit + 1}_c{key.camera + 1:02d}_{frame:06d}.jpg"


def image(key: ShotKey) -> str:
    """Path of an image within the download."""
    return f"images/{key.camera % _SESSIONS + 1}/{file_name(key)}"


def template(key: ShotKey) -> str:
    """Path of the outfit's template within the download."""
    return f"templates/{key.person:04d}_{key.outfit + 1}.jpg"


def crop(key: ShotKey) -> str:
    """Path of an image's own upper clothes within the task's folder."""
    return f"croped_clothes/{file_name(key)}"


def _shoot_test(builder: PlanBuilder, pids: list[int]) -> tuple[list[ShotKey], list[ShotKey]]:
    """Queries and gallery of the test people, from different cameras."""
    split = QUERY_CAMERAS[builder.dataset]
    num_cameras = builder.population.site.num_cameras
    sides = ((range(split), 1), (range(split, num_cameras), builder.counts.gallery_shots))
    keys: tuple[list[ShotKey], list[ShotKey]] = ([], [])
    for pid in pids:
        for outfit in range(num_outfits(pid, builder.counts.outfits)):
            for side, (cameras, shots) in zip(keys, sides, strict=True):
                for camera in builder.population.cameras_of_outfit(
                    pid, outfit, builder.counts.cameras, tuple(cameras)
                ):
                    side += [builder.next_shot(pid, outfit, camera) for _ in range(shots)]
    return keys


def _shoot_all(builder: PlanBuilder, keys: tuple[ShotKey, ...]) -> None:
    root = ROOTS[builder.dataset]
    templates = set()
    for key in keys:
        if template(key) not in templates:
            templates.add(template(key))
            builder.add_image(key, File(f"{root}/{template(key)}", "template"))
        builder.add_image(key, f"{root}/{image(key)}", File(crop(key), "clothes"))


def _target(builder: PlanBuilder, query: ShotKey, gallery: list[ShotKey]) -> ShotKey:
    """The gallery image whose outfit (and caption) a query asks for."""
    rng = builder.population.rng("target", query.person, query.number)
    own = [key for key in gallery if key.person == query.person]
    other = [key for key in own if key.outfit != query.outfit]
    same = [key for key in own if key.outfit == query.outfit]
    choice = other if rng.uniform() < _WANTS_OTHER_CLOTHES and other else same
    return choice[int(rng.integers(len(choice)))]


def _write_raw_test(builder: PlanBuilder, query: list[ShotKey], gallery: list[ShotKey]) -> None:
    """``query.txt``: image, template, pid, clothes, camera; ``gallery.txt`` the same without template."""
    root, population = ROOTS[builder.dataset], builder.population

    def numbers(key: ShotKey, outfit: int) -> str:
        return f"{key.person} {population.clothes_id(key.person, outfit)} {key.camera}"

    asked = [(key, _target(builder, key, gallery)) for key in query]
    builder.write(
        f"{root}/query.txt", (f"{image(t)} {template(to)} {numbers(t, to.outfit)}" for t, to in asked)
    )
    builder.write(f"{root}/gallery.txt", (f"{image(t)} {numbers(t, t.outfit)}" for t in gallery))


def _line(builder: PlanBuilder, key: ShotKey, instruction: str, wanted: ShotKey | None = None) -> str:
    """A line of an official list; the clothes id is that of the requested outfit, else of the one shown."""
    root = ROOTS[builder.dataset]
    clothes_id = builder.population.clothes_id(key.person, (wanted or key).outfit)
    placed = f"{root}/{instruction}" if instruction.startswith("templates/") else instruction
    return str(ListLine(f"{root}/{image(key)}", placed, key.person, clothes_id, key.camera))


def _write_captions(builder: PlanBuilder, name: str, keys: list[ShotKey]) -> None:
    captions = {file_name(key): describe(builder.population, key) for key in keys}
    builder.texts[f"{builder.folder}/datalist/{name}.json"] = caption_file(captions)
