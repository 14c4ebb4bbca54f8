"""A data set that can be read: its card, how to recognise its folder, and its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instructions.errors import InputError, near_miss
from omnireid.datasets.card import DatasetCard
from omnireid.records import Split

Reader = Callable[[Path, str], Split]


@dataclass(frozen=True)
class Dataset:
    """One data set in its owners' own layout.

    ``markers`` are path patterns; a folder that has any of them is taken for the data set's own.
    ``markers_of`` replaces them for variants that lie in folders of their own.
    ``raw_tasks`` are the tasks whose annotation is in the raw layout; the others need the OmniReID lists.
    """

    card: DatasetCard
    reader: Reader
    markers: tuple[str, ...]
    raw_tasks: tuple[str, ...]
    markers_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def find(self, root: str | Path, variant: str | None = None) -> Path | None:
        """The data set's own folder: one of the known names under ``root``, or ``root`` itself."""
        markers = self._markers(variant)
        return next((path for path in self.candidates(root) if _has_any(path, markers)), None)

    def candidates(self, root: str | Path) -> Iterator[Path]:
        """Where the data set is looked for, in order."""
        root = Path(root).expanduser()
        yield from (root / folder for folder in self.card.folders)
        yield root

    def _markers(self, variant: str | None) -> tuple[str, ...]:
        return self.markers_of.get(variant or self.card.default_variant, self.markers)

    def variant(self, variant: str | None) -> str:
        """The variant asked for, or the default.

        Raises:
            InputError: for a variant that the data set does not have.
        """
        known = self.card.variants
        if variant is None:
            return self.card.default_variant
        if variant not in known:
            names = ", ".join(name for name in known if name) or "none"
            raise InputError(
                f"{self.card.name} has no variant {variant!r}{near_miss(variant, known)}; it has: {names}"
            )
        return variant

    def read(self, root: str | Path, variant: str | None = None) -> Split:
        """Read the raw layout; ``root`` is the data set's own folder or a data root that holds it.

        Raises:
            InputError: if the root or the data set is not there, or a file of it cannot be understood.
        """
        chosen = self.variant(variant)
        folder = self.find(root, chosen)
        if folder is None:
            raise InputError(self.not_found(root, chosen))
        return self.reader(folder, chosen)

    def not_found(self, root: str | Path, variant: str | None = None) -> str:
        """The sentence for a data set that is not where it was looked for."""
        root = Path(root).expanduser()
        if not root.is_dir():
            return f"the data root {root} is not a folder; give the folder that holds {self.card.title}"
        wanted = f" {variant}" if variant in self.markers_of else ""
        return (
            f"{self.card.title}{wanted} ({self.card.name}) was not found under {root}: tried "
            f"{', '.join(self.card.folders)} and the folder itself; expected one that contains "
            f"{' or '.join(self._markers(variant))} (see docs/data.md)"
        )


def _has_any(path: Path, markers: Iterable[str]) -> bool:
    return path.is_dir() and any(True for marker in markers for _ in path.glob(marker))
