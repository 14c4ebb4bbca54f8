"""Loads a data set for a task, from the official lists or the raw layout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from instructions.errors import InputError, near_miss
from omnireid.datasets.catalog import DATASETS, WITHDRAWN, dataset_named
from omnireid.datasets.datalists import read_datalists
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.list_table import LISTS, expected_lists, find_lists
from omnireid.datasets.scan import refusing_os_errors
from omnireid.records import Split
from omnireid.tasks import TASKS

Source = Literal["auto", "lists", "raw"]


def load_split(
    data_root: str | Path,
    dataset: str,
    task: str,
    variant: str | None = None,
    source: str = "auto",
    *,
    keep_clothes_image: bool = False,
) -> Split:
    """Read a data set for a task; training and evaluation read data sets only through this function.

    Args:
        data_root: the folder that holds the data sets (docs/data.md), or the data set's own folder.
        dataset: a key of DATASETS.
        task: a key of TASKS.
        variant: one of the card's variants; the first when None.
        source: ``lists`` reads the official OmniReID lists, ``raw`` the owners' layout. ``auto`` prefers the
            raw layout, except for ``ctcc`` and ``li``, whose instructions exist only in the lists.
        keep_clothes_image: give ``cc`` records from lists their clothes image, as the released code does;
            ``auto`` then prefers the lists.

    Raises:
        InputError: for an unknown name, a task that the data set does not offer, or files that are missing or
            cannot be understood; it says what was tried and what would be accepted.
    """
    entry = dataset_named(dataset)
    check_task(entry, task)
    if source not in get_args(Source):
        raise InputError(
            f"there is no source {source!r}{near_miss(source, get_args(Source))}; use auto, lists or raw"
        )
    with refusing_os_errors():
        split = _read(entry, Path(data_root), task, variant, source, keep_clothes_image)
    if not (split.train or split.query or split.gallery):
        raise InputError(f"no images of {dataset} were found; {'; '.join(split.notes)}")
    return split


def _read(
    entry: Dataset, root: Path, task: str, variant: str | None, source: str, keep_clothes_image: bool
) -> Split:
    if not root.expanduser().is_dir():
        raise InputError(f"the data root {root} is not a folder; give the folder that holds the data sets")
    _refuse_another(root.expanduser(), entry)
    chosen = entry.variant(variant)
    if source == "auto":
        source = find_source(entry, root, task, variant, lists_first=keep_clothes_image)
    if source == "lists":
        return read_datalists(root, entry.card.name, task, variant, keep_clothes_image=keep_clothes_image)
    if task in entry.raw_tasks:
        return entry.read(root, chosen, task)
    raise InputError(
        f"the raw layout of {entry.card.name} has no {task} annotation; use source 'lists' (docs/data.md)"
    )


def _refuse_another(root: Path, entry: Dataset) -> None:
    """Refuse a root that is another data set's own folder: many have the same layout.

    Raises:
        InputError: the folder's name is another data set's, and this one is not below it.
    """
    name = root.resolve().name.casefold()
    owners = {
        owner
        for owner, other in (DATASETS | WITHDRAWN).items()
        if any(name in folder.casefold().split("/") for folder in other.card.folders)
    }
    is_below = any((root / folder).is_dir() for folder in entry.card.folders)
    if owners and entry.card.name not in owners and not is_below:
        raise InputError(
            f"the name of {root} is that of {' or '.join(sorted(owners))}, so {entry.card.name} is not read "
            "from it; give the folder that holds the data sets"
        )


def lists_root(root: Path, dataset: str) -> Path:
    """Where lists of a data set are written: in its own folder below a data root, which no other set shares.

    A folder that is not a data root, or is already the data set's own, is returned unchanged.
    """
    folders = [folder for (name, _), names in LISTS.items() if name == dataset for folder in names.folders]
    if {root.name, root.resolve().name} & {*folders}:
        return root
    found = dataset_named(dataset).find(root)
    is_data_root = (root / folders[0]).is_dir() or found not in (None, root.expanduser())
    return root / folders[0] if is_data_root else root


def check_task(entry: Dataset, task: str) -> None:
    """Refuse a task that is unknown or not offered.

    Raises:
        InputError: it names the available tasks.
    """
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}{near_miss(task, TASKS)}; there are: {', '.join(TASKS)}")
    if task not in entry.card.tasks:
        raise InputError(f"{entry.card.name} has no task {task!r}; it offers: {', '.join(entry.card.tasks)}")


def find_source(
    entry: Dataset, data_root: str | Path, task: str, variant: str | None = None, *, lists_first: bool = False
) -> Source:
    """What ``auto`` reads; with ``lists_first`` the lists if there are any.

    Raises:
        InputError: if there are neither lists nor a raw layout.
    """
    names = LISTS.get((entry.card.name, task))
    chosen = entry.variant(variant)
    held = None if names is None else names.variant(variant)
    has_lists = names is not None and held is not None and find_lists(data_root, names, held) is not None
    has_raw = task in entry.raw_tasks and entry.find(data_root, chosen) is not None
    lists_first = lists_first or TASKS[task].instruction in ("clothes", "caption")
    if has_lists and (lists_first or not has_raw):
        return "lists"
    if has_raw:
        return "raw"
    sentences = [entry.not_found(data_root, chosen)] if task in entry.raw_tasks else []
    if names is not None and held is not None:
        sentences.append(
            f"no OmniReID list of it for {task}; expected {expected_lists(data_root, names, held)}"
        )
    raise InputError("; ".join(sentences))
