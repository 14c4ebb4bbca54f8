"""DukeMTMC-reID on disk: ``0005_c2_f0046985.jpg``, three folders, gallery people without a query."""

from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import Plan, PlanBuilder, SyntheticSpec

NAME = "dukemtmc_reid"
_FRAMES_APART = 60


def _file_name(builder: PlanBuilder, key: ShotKey) -> str:
    start = int(builder.population.rng("name", key.person).integers(10_000, 200_000))
    return f"{key.person:04d}_c{key.camera + 1}_f{start + _FRAMES_APART * key.number:07d}.jpg"


def plan(spec: SyntheticSpec) -> Plan:
    """Like Market-1501, but distractors in the gallery have pids of their own and there is no junk."""
    builder = PlanBuilder(spec, NAME)
    counts = builder.counts
    train_pids, test_pids = builder.population.shuffled_groups(1, counts.train_ids, counts.test_ids)
    first_stranger = 1 + counts.train_ids + counts.test_ids
    strangers = range(first_stranger, first_stranger + counts.distractors)
    sides = (
        (train_pids, {"bounding_box_train": counts.shots}),
        (test_pids, {"query": 1, "bounding_box_test": counts.gallery_shots}),
        (strangers, {"bounding_box_test": counts.gallery_shots}),
    )
    sizes = {"bounding_box_train": 0, "query": 0, "bounding_box_test": 0}
    for pids, shots in sides:
        for pid in pids:
            for folder, key in builder.shots_of_outfit(pid, 0, shots):
                builder.add_image(key, f"{folder}/{_file_name(builder, key)}")
                sizes[folder] += 1
    train, query, gallery = sizes.values()
    return builder.finish({"train": train, "query": query, "gallery": gallery})
