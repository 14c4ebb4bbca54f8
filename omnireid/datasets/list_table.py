"""The OmniReID lists of each data set and task: folders and file names with their known spellings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omnireid.datasets.card import Part

Pairs = tuple[tuple[str, str], ...]  # query list and gallery list, which belong together


@dataclass(frozen=True)
class ListNames:
    """Lists of one (data set, task); each name is looked for in ``datalist/`` and in the folder itself.

    ``test`` has the pairs of each variant that the lists hold, the default first.
    """

    folders: tuple[str, ...]  # the task's root under the data root
    train: tuple[str, ...] = ()
    test: Mapping[str, Pairs] = field(default_factory=dict)
    captions: tuple[str, ...] = ()
    infrared: re.Pattern[str] | None = None  # pattern of infrared image paths
    query_is_infrared: tuple[str, ...] = ()  # variants whose query side is infrared
    not_a_list: re.Pattern[str] | None = None  # first line of the owners' own gallery table of the same name

    def variant(self, asked: str | None) -> str | None:
        """The variant that is read; None if the lists do not have the requested one."""
        if not self.test:  # training only: every variant has the same list
            return ""
        return next(iter(self.test)) if asked is None else asked if asked in self.test else None

    def files(self) -> frozenset[str]:
        """Every name that a list may have."""
        return frozenset(
            (*self.train, *(name for pairs in self.test.values() for pair in pairs for name in pair))
        )


_TRAIN: tuple[str, ...] = ("train.txt",)
_PLAIN: Pairs = (("query.txt", "gallery.txt"),)
_LLCM: Pairs = (*_PLAIN, ("query_v2.txt", "gallery_v2.txt"))

# README of the released code, its sheets and its scripts name some files differently; all spellings are read.
# train_ctcc.txt of LTCC and query_sc.txt of PRCC are our names: the released pack's are not known.
LISTS: dict[tuple[str, str], ListNames] = {
    ("market1501", "trad"): ListNames(("market",), _TRAIN, {"": _PLAIN}),
    ("msmt17", "trad"): ListNames(("msmt",), _TRAIN, {"train": _PLAIN}),
    ("cuhk03", "trad"): ListNames(("cuhk",), _TRAIN, {"detected": _PLAIN}),
    ("ltcc", "cc"): ListNames(
        ("ltcc",),
        _TRAIN,
        {
            "general": (("query_general.txt", "gallery_general.txt"), *_PLAIN),
            "cc": (("query_cc.txt", "gallery_cc.txt"),),
            "sc": (("query_sc.txt", "gallery_sc.txt"),),
        },
    ),
    ("ltcc", "ctcc"): ListNames(("ltcc", "LTCC_ReID"), ("train_ctcc.txt",)),
    ("prcc", "cc"): ListNames(
        ("prcc",), _TRAIN, {"clothes_change": _PLAIN, "same_clothes": (("query_sc.txt", "gallery.txt"),)}
    ),
    ("vc_clothes", "cc"): ListNames(("vc_clothes",), ("train.txt", "train_cc_clo.txt"), {"all": _PLAIN}),
    ("llcm", "vi"): ListNames(
        ("llcm",),
        _TRAIN,
        {"vis_to_ir": _LLCM, "ir_to_vis": _LLCM},
        infrared=re.compile(r"(^|/)(test_)?nir/|_nir\.[a-z]+$"),
        query_is_infrared=("ir_to_vis",),
    ),
    ("cocas_real1", "ctcc"): ListNames(("real1",), ("train_ctcc.txt",)),
    ("cocas_real1", "li"): ListNames(
        ("real1",), ("train_attr.txt",), captions=("runner_real1_v1_gpt.json", "real1_v1.json")
    ),
    ("cocas_real2", "ctcc"): ListNames(
        ("real2",), test={"": _PLAIN}, not_a_list=re.compile(r"\S+?[,\s]+\d+[,\s]+\d+[,\s]+\d+\s*$")
    ),
    ("cocas_real2", "li"): ListNames(
        ("real2",),
        test={"": (("query_attr.txt", "gallery_attr.txt"),)},
        captions=("runner_real2_v1_gpt.json", "real2_v1.json"),
    ),
    ("cuhk_pedes", "t2i"): ListNames(
        ("CUHK-Pedes", "cuhk_pedes", "CUHK-PEDES"),
        ("train_t2i_v2.txt", "train_t2i.txt"),
        {"test": (("query_t2i_v2.txt", "gallery_t2i_v2.txt"), ("query_t2i.txt", "gallery_t2i.txt"))},
        captions=("caption_t2i_v2.json", "caption_t2i.json"),
    ),
    ("synth_pedes", "t2i"): ListNames(
        ("PLIP", "SYNTH-PEDES", "synth_pedes"),
        ("train_t2i.txt", "train_t2i_v2.txt"),
        captions=("caption_t2i.json", "caption_t2i_v2.json"),
    ),
}

# Patterns of each set's image paths, by a folder or by the published file names; COCAS+ has neither.
# Several sets have lists of the same name, and a misplaced list would silently train on the wrong people.
IMAGE_PATHS: dict[str, re.Pattern[str]] = {
    dataset: re.compile(rf"(^|/)({pattern})", re.IGNORECASE)
    for dataset, pattern in {
        "market1501": r"Market-?1501[^/]*/|(-1|\d{4})_c[1-6]s\d_\d{6}_\d{2}\.",
        "msmt17": r"MSMT17[^/]*/|\d{4}_\d{3}_\d{2}_\d{4}(morning|noon|afternoon)_",
        "cuhk03": r"CUHK03[^/]*/|\d{4}_c[12]_\d+\.|[1-5]_\d{3}_[12]_\d{2}\.",
        "ltcc": r"LTCC(_ReID)?/|\d{3}_\d+_c\d+_\d+\.",
        "prcc": r"PRCC/|([ABC]_)?cropped_rgb\d+\.",
        "vc_clothes": r"VC[-_]?Clothes/|\d+-\d+-\d+-\d+\.",
        "llcm": r"LLCM/|\d{4}_c\d{2}_s\d+_f\d+_(vis|nir)\.",
        "cocas_real1": r"(COCAS|real1)/",
        "cocas_real2": r"(real_reid_image_face_blur|COCAS_Real2|real2)/",
        "cuhk_pedes": r"CUHK[-_]PEDES/|imgs/",
        "synth_pedes": r"(PLIP|SYNTH[-_]PEDES)/|Part\d+/",
    }.items()
}


def owner_of(image: str, dataset: str, list_name: str) -> str | None:
    """The other data set that has a list of this name and owns the image, by its path (else None)."""
    if IMAGE_PATHS[dataset].search(image):
        return None
    known = str(Path(list_name).with_suffix(Path(list_name).suffix.lower()))
    others = [name for name, names in LISTS.items() if name[0] != dataset and known in names.files()]
    return next((other for other, _ in others if IMAGE_PATHS[other].search(image)), None)


@dataclass(frozen=True)
class FoundLists:
    """The lists of one (data set, task) that exist under a data root."""

    root: Path
    train: Path | None
    query: Path | None
    gallery: Path | None
    captions: Path | None

    def paths(self) -> dict[Part, Path]:
        """The lists that exist, by part."""
        parts: dict[Part, Path | None] = {"train": self.train, "query": self.query, "gallery": self.gallery}
        return {part: path for part, path in parts.items() if path is not None}


def find_lists(data_root: str | Path, names: ListNames, variant: str) -> FoundLists | None:
    """Look for lists under each known folder of the data root, then in the root itself."""
    data_root = Path(data_root).expanduser()
    for root in (*(data_root / folder for folder in names.folders), data_root):
        train = _first(root, names.train)
        pairs = [tuple(_first(root, (name,)) for name in pair) for pair in names.test.get(variant, ())]
        query, gallery = next(
            (pair for pair in pairs if any(pair) and not _is_owners(pair[1], names.not_a_list)), (None, None)
        )
        if train or query or gallery:
            return FoundLists(root, train, query, gallery, _first(root, names.captions))
    return None


def _is_owners(gallery: Path | None, first_line: re.Pattern[str] | None) -> bool:
    if gallery is None or first_line is None:
        return False
    with gallery.open(encoding="utf-8-sig", errors="replace") as lines:
        return first_line.match(lines.readline()) is not None


def _first(root: Path, names: Sequence[str]) -> Path | None:
    """The first name that is there, its ending also in capitals."""
    paths = (root / folder / name for name in names for folder in ("datalist", "."))
    spelled = (other for path in paths for other in (path, path.with_suffix(path.suffix.upper())))
    return next((path for path in spelled if path.is_file()), None)


def expected_lists(data_root: str | Path, names: ListNames, variant: str) -> str:
    """For error sentences: the folders tried and the file names that would be accepted."""
    pairs = (f"{query} with {gallery}" for query, gallery in names.test.get(variant, ()))
    folders = ", ".join(str(Path(data_root).expanduser() / folder) for folder in names.folders)
    return f"in {folders} (or in datalist/ there): {'; '.join((*names.train, *pairs))}"
