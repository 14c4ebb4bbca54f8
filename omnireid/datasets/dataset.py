"""A readable data set: its card, how to recognise its folder, and its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instructions.errors import InputError, near_miss
from omnireid.datasets.card import DatasetCard
from omnireid.datasets.scan import refuse_unreadable, subfolders
from omnireid.records import Split

NOT = "!"  # prefix of a marker that must not match
Reader = Callable[[Path, str], Split]


@dataclass(frozen=True)
class Dataset:
    """A data set in its owners' layout ("raw").

    ``markers`` are path patterns: a folder with a match for any of them is taken as the data set's folder,
    unless it has a match for a pattern that begins with an exclamation mark.
    ``markers_of`` replaces them for variants that are in folders of their own.
    ``raw_tasks`` are the tasks annotated in the raw layout; the others need the OmniReID lists.
    ``readers_of`` replaces the reader for tasks that read the same files differently.
    ``num_splits`` gives the number of splits of variants that have several: ``NAME/1`` to ``NAME/20``, where
    NAME alone is the first.
    """

    card: DatasetCard
    reader: Reader
    markers: tuple[str, ...]
    raw_tasks: tuple[str, ...]
    markers_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    readers_of: Mapping[str, Reader] = field(default_factory=dict)
    num_splits: Mapping[str, int] = field(default_factory=dict)

    def find(self, root: str | Path, variant: str | None = None) -> Path | None:
        """The data set's own folder: one of the known names under ``root``, or ``root`` itself.

        Raises:
            PermissionError: a folder of such a name may not be read.
        """
        markers = self._markers(variant)
        return next((path for path in self.candidates(root) if _has_any(path, markers)), None)

    def candidates(self, root: str | Path) -> Iterator[Path]:
        """The folders where the data set is looked for, in order."""
        root, folders = Path(root).expanduser(), self.card.folders
        yield from (root / folder for folder in folders)
        # Unpacked into a folder of its own name, as many archives are: Market-1501/Market-1501-v15.09.15.
        inner = [folder for folder in folders if "/" not in folder]
        yield from (root / outer / folder for outer in folders for folder in inner)
        yield root

    def marks(self, variant: str | None = None) -> str:
        """For messages: the markers of the data set's folder, with file suffixes in lower case only."""
        marks = (mark for mark in self._markers(variant) if mark[0] != NOT)
        return " or ".join(mark for mark in marks if not Path(mark).suffix.isupper())

    def _markers(self, variant: str | None) -> tuple[str, ...]:
        name = (variant or self.card.default_variant).partition("/")[0]
        return self.markers_of.get(name, self.markers)

    def variant(self, variant: str | None) -> str:
        """The requested variant, or the default.

        Raises:
            InputError: for a variant that the data set does not have.
        """
        known = self.card.variants
        if variant is None:
            return self.card.default_variant
        name, _, number = variant.partition("/")
        last = self.num_splits.get(name, 0)
        if number and last and not (number.isdecimal() and 1 <= int(number) <= last):
            raise InputError(f"{self.card.name} has the splits {name}/1 to {name}/{last}, not {variant!r}")
        if (name if last else variant) not in known:
            names = ", ".join(name for name in known if name) or "none"
            raise InputError(
                f"{self.card.name} has no variant {variant!r}{near_miss(variant, known)}; it has: {names}"
            )
        return variant

    def read(self, root: str | Path, variant: str | None = None, task: str | None = None) -> Split:
        """Read the raw layout; ``root`` is the data set's own folder or a data root that holds it.

        ``task`` matters to sets that tasks read differently (``readers_of``).

        Raises:
            InputError: if the root or the data set is not there, or a file of it cannot be understood.
        """
        chosen = self.variant(variant)
        folder = self.find(root, chosen)
        if folder is None:
            raise InputError(self.not_found(root, chosen))
        return self.readers_of.get(task or "", self.reader)(folder, chosen)

    def not_found(self, root: str | Path, variant: str | None = None) -> str:
        """The message for a data set that was not found."""
        root = Path(root).expanduser()
        if not root.is_dir():
            return f"the data root {root} is not a folder; give the folder that holds {self.card.title}"
        wanted = f" {variant}" if variant in self.markers_of else ""
        sentence = (
            f"{self.card.title}{wanted} ({self.card.name}) was not found under {root}: tried "
            f"{', '.join(self.card.folders)}, such a folder in one of these, and the folder itself; "
            f"expected one that contains {self.marks(variant)} (see docs/data.md)"
        )
        known = {folder.partition("/")[0] for folder in self.card.folders}
        small = {name.casefold(): name for name in known}
        for name in subfolders(root):
            if name not in known and name.casefold() in small:
                sentence += f"; rename the folder {name} to {small[name.casefold()]}"
        others = [name for name in self.markers_of if self.find(root, name) is not None]
        if others:
            sentence += f"; what is there is variant {' or '.join(others)}"
        if self.card.withdrawn:
            sentence += "; it was withdrawn by its owners and is no longer distributed"
        return sentence


def _has_any(path: Path, markers: Iterable[str]) -> bool:
    if not path.is_dir():
        return False
    for folder in {path, *(path / marker.partition("/")[0] for marker in markers if "/" in marker)}:
        if folder.is_dir():
            refuse_unreadable(folder)
    there = {marker: any(True for _ in path.glob(marker.removeprefix(NOT))) for marker in markers}
    return any(found for marker, found in there.items() if marker[0] != NOT) and not any(
        found for marker, found in there.items() if marker[0] == NOT
    )
