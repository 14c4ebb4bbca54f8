"""LLCM on disk: visible and infrared images by camera and person, index files; camera 3 has no infrared."""

from omnireid.synthetic.lists import IGNORED
from omnireid.synthetic.people import Take
from omnireid.synthetic.world import Draft, Plan, World

NAME = "llcm"
ROOT = "LLCM"
_BLIND_IN_THE_DARK = 2  # zero-based: camera 3 has no infrared
_MODALITIES = ("vis", "nir")


def _file_name(draft: Draft, take: Take) -> str:
    """``cam1/0003/0003_c01_s185734_f3195_nir.jpg``, without the folder of split and modality."""
    rng = draft.cast.rng("name", take.person, take.camera)
    hour, minute, second = int(rng.integers(7, 23)), int(rng.integers(60)), int(rng.integers(60))
    first = int(rng.integers(1, 9000))
    camera, modality = take.camera + 1, "nir" if take.modality == "ir" else "vis"
    stem = f"{take.person:04d}_c{camera:02d}_s{hour:02d}{minute:02d}{second:02d}_f{first + 13 * take.number}"
    return f"cam{camera}/{take.person:04d}/{stem}_{modality}.jpg"


def plan(world: World) -> Plan:
    """Each person is seen by the same cameras in both modalities; the lists' queries are visible images."""
    draft = Draft(world, NAME)
    counts, cast = draft.counts, draft.cast
    train_pids, test_pids = cast.deal(1, counts.train_ids, counts.test_ids)
    found: dict[str, list[tuple[str, Take]]] = {}
    for pids, prefix, shots in ((train_pids, "", counts.shots), (test_pids, "test_", counts.gallery_shots)):
        for modality in _MODALITIES:
            found[f"{prefix}{modality}"] = []
        for pid in pids:
            for camera in cast.itinerary(pid, 0, counts.cameras):
                for modality in _MODALITIES:
                    if modality == "nir" and camera == _BLIND_IN_THE_DARK:
                        continue
                    for _ in range(shots):
                        take = draft.take(pid, 0, camera, infrared=modality == "nir")
                        path = f"{prefix}{modality}/{_file_name(draft, take)}"
                        draft.shoot(take, f"{ROOT}/{path}")
                        found[f"{prefix}{modality}"].append((path, take))
    _write_index(draft, train_pids, test_pids, found)
    _write_lists(draft, found)
    sizes = {"train": len(found["vis"]) + len(found["nir"])}
    sizes |= {"query": len(found["test_vis"]), "gallery": len(found["test_nir"])}
    return draft.finish(sizes)


def _write_index(
    draft: Draft, train_pids: list[int], test_pids: list[int], found: dict[str, list[tuple[str, Take]]]
) -> None:
    label = {pid: index for index, pid in enumerate(train_pids)}
    for modality in _MODALITIES:
        lines = (f"{path} {label[take.person]}" for path, take in found[modality])
        draft.write(f"{ROOT}/idx/train_{modality}.txt", lines)
    draft.write(f"{ROOT}/idx/test_id.txt", [",".join(map(str, test_pids))])


def _write_lists(draft: Draft, found: dict[str, list[tuple[str, Take]]]) -> None:
    """Visible to infrared; stored beside the images, since this data set has no ``datalist`` folder."""
    parts = {"train": found["vis"] + found["nir"], "query": found["test_vis"], "gallery": found["test_nir"]}
    for part, images in parts.items():
        lines = (draft.line(f"{ROOT}/{path}", IGNORED["vi"], take) for path, take in images)
        draft.write(f"{part}.txt", lines)
