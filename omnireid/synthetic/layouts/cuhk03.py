"""CUHK03 on disk: NP folders like Market-1501's, and the extracted images with their ``.mat`` files."""

from io import BytesIO

import numpy as np
import scipy.io

from omnireid.synthetic.lists import IGNORED
from omnireid.synthetic.plan import File, Plan, PlanBuilder, SyntheticSpec, View

NAME = "cuhk03"
OFFICIAL = "cuhk03_1"  # the folder used by the official lists: detected boxes
NUM_PAIRS = 5  # camera pairs of the campus
MOST_SHOTS = 5  # maximum number of images per person and camera
_BOXES: dict[str, View] = {"detected": "loose", "labeled": "whole"}
_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
_MAT_HEADER = b"MATLAB 5.0 MAT-file Platform: synthetic OmniReID"  # scipy writes the time of day there


def plan(spec: SyntheticSpec) -> Plan:
    """The 767/700 protocol at small size: one query per test person and camera, the rest is gallery."""
    builder = PlanBuilder(spec, NAME)
    counts, population = builder.counts, builder.population
    assert max(counts.shots, 1 + counts.gallery_shots) <= MOST_SHOTS
    train, test = population.shuffled_groups(1, counts.train_ids, counts.test_ids)
    shots = {person: counts.shots for person in train} | {person: 1 + counts.gallery_shots for person in test}
    names, labels, parts = [], [], []
    lists: dict[str, list[str]] = {part: [] for part in _FOLDERS}
    for label in sorted(shots):
        extracted = _extracted_stem(label, len(shots))
        for view in (1, 2):
            for shot in range(shots[label]):
                image = (view - 1) * MOST_SHOTS + shot + 1
                part = "train" if label in train else "gallery" if shot else "query"
                name = f"{label:04d}_c{view}_{image}.png"
                raw = f"{extracted}_{view}_{image:02d}.png"
                key = builder.next_shot(label, 0, view - 1)
                builder.add_image(key, *_files(_FOLDERS[part], name, raw))
                path = f"{OFFICIAL}/{_FOLDERS[part]}/{name}"
                lists[part].append(builder.line(path, IGNORED["trad"], key))
                names.append(raw)
                labels.append(label)
                parts.append(part)
    for part, lines in lists.items():
        builder.write(f"datalist/{part}.txt", lines)
    for boxes in _BOXES:
        path = f"{builder.folder}/cuhk03/cuhk03_new_protocol_config_{boxes}.mat"
        builder.texts[path] = protocol_file(names, labels, parts)
    return builder.finish({part: len(lines) for part, lines in lists.items()})


def _extracted_stem(label: int, num_labels: int) -> str:
    """``pair_person``: labels are numbered through the camera pairs, one pair after the other."""
    pair = (label - 1) * NUM_PAIRS // num_labels
    first = -(-pair * num_labels // NUM_PAIRS)  # zero-based index of the first label of the pair
    return f"{pair + 1}_{label - first:03d}"


def _files(folder: str, name: str, raw: str) -> list[File]:
    files = [File(f"{OFFICIAL}/{folder}/{name}", _BOXES["detected"])]
    for boxes, view in _BOXES.items():
        files.append(File(f"cuhk03-np/{boxes}/{folder}/{name}", view))
        files.append(File(f"cuhk03/images_{boxes}/{raw}", view))
    return files


def protocol_file(names: list[str], labels: list[int], parts: list[str]) -> bytes:
    """The new-protocol ``.mat``: one-based indices of the parts; label, camera and name of every image."""

    def column(values: list[int]) -> np.ndarray:
        return np.array(values, dtype=np.uint16)[:, None]

    filelist = np.empty((len(names), 1), dtype=object)
    filelist[:, 0] = names
    rows = {part: [row for row, other in enumerate(parts, start=1) if other == part] for part in _FOLDERS}
    indices = {f"{part}_idx": column(rows[part]) for part in _FOLDERS}
    cameras = column([int(name.split("_")[2]) for name in names]).astype(np.uint8)
    buffer = BytesIO()
    scipy.io.savemat(buffer, {"filelist": filelist, "labels": column(labels), "camId": cameras, **indices})
    content = buffer.getvalue()
    return _MAT_HEADER.ljust(116, b" ") + content[116:]
