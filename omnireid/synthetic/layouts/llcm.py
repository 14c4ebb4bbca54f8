"""LLCM on disk: visible and infrared images by camera and person, index files; camera 3 has no infrared."""

from omnireid.synthetic.lists import IGNORED
from omnireid.synthetic.people import ShotKey
from omnireid.synthetic.plan import Plan, PlanBuilder, SyntheticSpec

NAME = "llcm"
ROOT = "LLCM"
_BLIND_IN_THE_DARK = 2  # zero-based: camera 3 has no infrared
_MODALITIES = ("vis", "nir")


def _file_name(builder: PlanBuilder, key: ShotKey) -> str:
    """``cam1/0003/0003_c01_s185734_f3195_nir.jpg``, without the folder of split and modality."""
    rng = builder.population.rng("name", key.person, key.camera)
    hour, minute, second = int(rng.integers(7, 23)), int(rng.integers(60)), int(rng.integers(60))
    first = int(rng.integers(1, 9000))
    camera, modality = key.camera + 1, "nir" if key.modality == "ir" else "vis"
    stem = f"{key.person:04d}_c{camera:02d}_s{hour:02d}{minute:02d}{second:02d}_f{first + 13 * key.number}"
    return f"cam{camera}/{key.person:04d}/{stem}_{modality}.jpg"


def plan(spec: SyntheticSpec) -> Plan:
    """Each person is seen by the same cameras in both modalities; the lists' queries are visible images."""
    builder = PlanBuilder(spec, NAME)
    counts, population = builder.counts, builder.population
    train_pids, test_pids = population.shuffled_groups(1, counts.train_ids, counts.test_ids)
    found: dict[str, list[tuple[str, ShotKey]]] = {}
    for pids, prefix, shots in ((train_pids, "", counts.shots), (test_pids, "test_", counts.gallery_shots)):
        for modality in _MODALITIES:
            found[f"{prefix}{modality}"] = []
        for pid in pids:
            for camera in population.cameras_of_outfit(pid, 0, counts.cameras):
                for modality in _MODALITIES:
                    if modality == "nir" and camera == _BLIND_IN_THE_DARK:
                        continue
                    for _ in range(shots):
                        key = builder.next_shot(pid, 0, camera, infrared=modality == "nir")
                        path = f"{prefix}{modality}/{_file_name(builder, key)}"
                        builder.add_image(key, f"{ROOT}/{path}")
                        found[f"{prefix}{modality}"].append((path, key))
    _write_index(builder, train_pids, test_pids, found)
    _write_lists(builder, found)
    sizes = {"train": len(found["vis"]) + len(found["nir"])}
    sizes |= {"query": len(found["test_vis"]), "gallery": len(found["test_nir"])}
    return builder.finish(sizes)


def _write_index(
    builder: PlanBuilder,
    train_pids: list[int],
    test_pids: list[int],
    found: dict[str, list[tuple[str, ShotKey]]],
) -> None:
    label = {pid: index for index, pid in enumerate(train_pids)}
    for modality in _MODALITIES:
        lines = (f"{path} {label[key.person]}" for path, key in found[modality])
        builder.write(f"{ROOT}/idx/train_{modality}.txt", lines)
    builder.write(f"{ROOT}/idx/test_id.txt", [",".join(map(str, test_pids))])


def _write_lists(builder: PlanBuilder, found: dict[str, list[tuple[str, ShotKey]]]) -> None:
    """Visible to infrared; stored beside the images, since this data set has no ``datalist`` folder."""
    parts = {"train": found["vis"] + found["nir"], "query": found["test_vis"], "gallery": found["test_nir"]}
    for part, images in parts.items():
        lines = (builder.line(f"{ROOT}/{path}", IGNORED["vi"], key) for path, key in images)
        builder.write(f"{part}.txt", lines)
