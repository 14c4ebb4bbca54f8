"""CUHK03: the new protocol (767 / 700 people) in its three redistributions, and the twenty classic splits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from instructions.errors import InputError
from omnireid.datasets.card import PARTS, DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.market import read_market_style
from omnireid.records import Record, Split

CARD = DatasetCard(
    name="cuhk03",
    title="CUHK03-NP",
    tasks=("trad",),
    homepage="http://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html",
    access="see the project page; new-protocol splits from zhunzhong07/person-re-ranking",
    licence="not stated in the sources we consulted; assume academic research only",
    consent="campus cameras; no statement of consent in the sources we consulted",
    citation="Li et al., DeepReID, CVPR 2014; new protocol: Zhong et al., Re-ranking Person "
    "Re-identification with k-reciprocal Encoding, CVPR 2017",
    folders=(
        "cuhk/cuhk03_1",
        "cuhk/cuhk03-np",
        "cuhk/cuhk03",
        "cuhk03-np",
        "CUHK03-NP",
        "cuhk03_np",
        "cuhk03",
        "CUHK03",
        "cuhk",
    ),
    num_cameras=2,
    counts={
        "detected": {
            "train": Published(7_365, 767),
            "query": Published(1_400, 700),
            "gallery": Published(5_332, 700),
        },
        "labeled": {
            "train": Published(7_368, 767),
            "query": Published(1_400, 700),
            "gallery": Published(5_328, 700),
        },
    },
    variants={
        "detected": "new protocol, detected boxes, as in paper 1 and torchreid",
        "labeled": "new protocol, hand-labelled boxes, the default of fast-reid",
        "classic_detected": "1,367 / 100 people, the first of 20 given splits; further: classic_detected/2",
        "classic_labeled": "the same with hand-labelled boxes; further: classic_labeled/2 to /20",
    },
    notes=(
        "report the variant with every number, because the images differ",
        "in a classic split the test images are both query and gallery",
    ),
)

NAME = re.compile(r"([1-5])_(\d{3})_([12])_(\d{2})\.png$")  # camera pair, person in the pair, view, image
CLASSIC = "classic_"
NUM_CLASSIC = 20
PEOPLE_PER_PAIR = 1_000  # more than any camera pair has (843), so that pair and person make one number


def read(root: Path, variant: str) -> Split:
    """CUHK03 from whichever redistribution is in ``root``.

    Raises:
        InputError: if there is only the raw cuhk-03.mat, or a split file does not match.
    """
    if variant.startswith(CLASSIC):
        return read_classic(root, variant)
    folders = (root / variant, root) if variant == "detected" else (root / variant,)
    market_style = next((path for path in folders if (path / "bounding_box_train").is_dir()), None)
    if market_style is not None:
        notes = [f"read from {market_style}: {variant}"]
        if market_style == root:
            notes = [f"read from {root}; the folder does not say which boxes it holds, taken as {variant}"]
        return read_market_style(market_style, CARD.name, notes)
    images = extracted(root, variant, f"neither {variant}/bounding_box_train nor images_{variant}")
    mat = root / f"cuhk03_new_protocol_config_{variant}.mat"
    splits = root / f"splits_new_{variant}.json"
    if mat.exists():
        parts = read_mat(mat, images)
    elif splits.exists():
        parts = read_json(splits, images)
    else:
        raise InputError(f"{images} needs a split file next to it: {mat.name} or {splits.name}")
    train, query, gallery = parts
    return Split(CARD.name, train, query, gallery, (f"read from {images}: {variant}",))


def extracted(root: Path, boxes: str, lacks: str) -> Path:
    """The folder of the images extracted from cuhk-03.mat.

    Raises:
        InputError: if it is missing, with how to create it.
    """
    images = root / f"images_{boxes}"
    if not images.is_dir():
        way = "get the Market-style CUHK03-NP folders (see docs/data.md)"
        if (root / "cuhk03_release").is_dir():
            way = "extract the images of cuhk-03.mat first: python -m tools.extract_cuhk03 --root " + str(
                root
            )
        raise InputError(f"{root} has {lacks}; {way}")
    return images


def read_classic(root: Path, variant: str) -> Split:
    """One of the twenty splits of 1,367 and 100 people; its test images are query and gallery at once.

    Raises:
        InputError: if the extracted images or their split file are missing.
    """
    name, _, number = variant.partition("/")
    boxes = name.removeprefix(CLASSIC)
    images = extracted(root, boxes, f"no images_{boxes}")
    splits = root / f"splits_classic_{boxes}.json"
    train, query, gallery = read_json(splits, images, int(number or 1))
    return Split(CARD.name, train, query, gallery, (f"read from {splits}: split {number or 1} of {name}",))


def record_of(image: Path | str, pid: int | None, where: str) -> Record:
    """A record from an extracted image's name; the default pid combines camera pair and person number."""
    match = NAME.search(str(image))
    if match is None:
        raise InputError(f"{where}: {Path(image).name!r} is not a name like '1_001_1_01.png'")
    pair, person, view = int(match[1]), int(match[2]), int(match[3])
    return Record(str(image), PEOPLE_PER_PAIR * pair + person if pid is None else pid, view - 1)


def read_mat(path: Path, images: Path) -> list[tuple[Record, ...]]:
    """Train, query and gallery of a published ``cuhk03_new_protocol_config_*.mat`` (one-based indices)."""
    from scipy.io import loadmat

    try:
        config = loadmat(path)
        names = [cell[0] for cell in config["filelist"].ravel()]
        pids = config["labels"].ravel()
        rows = [config[f"{part}_idx"].ravel().astype(int) - 1 for part in PARTS]
    except (KeyError, ValueError, NotImplementedError) as error:
        raise InputError(
            f"{path} is not a new-protocol config with filelist, labels and train_idx: {error}"
        ) from None
    return [tuple(record_of(images / names[row], int(pids[row]), str(path)) for row in part) for part in rows]


def read_json(path: Path, images: Path, number: int = 1) -> list[tuple[Record, ...]]:
    """Train, query and gallery of a split (from 1) of torchreid's split file.

    Its paths are absolute on the machine that wrote it, so only file names are used. Its training pids are
    class numbers and its test pids are not, so people are identified by file name.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        chosen = content[number - 1] if isinstance(content, list) else content
        rows = [chosen[part] for part in PARTS]
        names = [[re.split(r"[/\\]", row[0])[-1] for row in part] for part in rows]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a split file with train, query and gallery: {error!r}") from None
    return [tuple(record_of(images / name, None, str(path)) for name in part) for part in names]


CUHK03 = Dataset(
    CARD,
    read,
    markers=(),
    raw_tasks=("trad",),
    # A bare Market-style folder does not say which boxes it has; OmniReID's has the detected ones.
    markers_of={
        "detected": (
            "bounding_box_train",
            "detected/bounding_box_train",
            "images_detected",
            "cuhk03_release",
        ),
        "labeled": ("labeled/bounding_box_train", "images_labeled", "cuhk03_release"),
        "classic_detected": ("splits_classic_detected.json",),
        "classic_labeled": ("splits_classic_labeled.json",),
    },
    num_splits={"classic_detected": NUM_CLASSIC, "classic_labeled": NUM_CLASSIC},
)
