"""DukeMTMC-reID on disk: ``0005_c2_f0046985.jpg``, three folders, gallery people without a query."""

from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, Plan, World

NAME = "dukemtmc_reid"
_FRAMES_APART = 60


def _file_name(draft: Draft, take: Take) -> str:
    start = int(draft.cast.rng("name", take.person).integers(10_000, 200_000))
    return f"{take.person:04d}_c{take.camera + 1}_f{start + _FRAMES_APART * take.number:07d}.jpg"


def plan(world: World) -> Plan:
    """Like Market-1501, but distractors in the gallery have pids of their own and there is no junk."""
    draft = Draft(world, NAME)
    counts = draft.counts
    train_pids, test_pids = draft.cast.deal(1, counts.train_ids, counts.test_ids)
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
            for folder, take in draft.tour(pid, 0, shots):
                draft.shoot(take, f"{folder}/{_file_name(draft, take)}")
                sizes[folder] += 1
    train, query, gallery = sizes.values()
    return draft.finish({"train": train, "query": query, "gallery": gallery})
