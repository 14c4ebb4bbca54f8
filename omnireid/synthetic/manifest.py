"""``synthetic.json`` at the root of a tree: preset, seed and counts; it also marks the folder as ours."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from instructions.errors import InputError
from omnireid.files import write_whole
from omnireid.synthetic.plan import Plan
from omnireid.synthetic.presets import Preset

FILE_NAME = "synthetic.json"
VERSION = 1  # of the images and layouts: raise it whenever the same seed would give other bytes


@dataclass(frozen=True)
class Manifest:
    """Description of a tree; equal trees have the same ``fingerprint``."""

    preset: str
    seed: int
    fingerprint: str
    version: int = VERSION
    complete: bool = False
    datasets: dict[str, dict[str, int]] = field(default_factory=dict)
    overlaps: dict[str, dict[str, str]] = field(default_factory=dict)
    note: str = (
        "Procedurally drawn people; nobody in these pictures exists. Call every figure on them synthetic."
    )

    @classmethod
    def of(cls, preset: Preset, seed: int) -> Self:
        """The manifest of a run that has not written any data set yet."""
        numbers = asdict(preset)
        for row in numbers["counts"].values():
            if not row["shared_ids"]:  # trees that are older than this number keep their fingerprint
                del row["shared_ids"]
        parameters = json.dumps({"version": VERSION, "seed": seed, **numbers}, sort_keys=True)
        return cls(preset.name, seed, hashlib.sha256(parameters.encode()).hexdigest()[:16])

    @classmethod
    def read(cls, root: Path) -> Self | None:
        """The manifest of a tree; None if there is none.

        Raises:
            InputError: the manifest cannot be read.
        """
        path = root / FILE_NAME
        try:
            fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(**fields)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not a manifest that this version understands: {error}") from None

    def write(self, root: Path) -> None:
        """Write it to the root."""
        write_whole(root / FILE_NAME, (json.dumps(asdict(self), indent=1) + "\n").encode(), durable=True)


def claim(root: Path, preset: Preset, seed: int) -> Manifest:
    """Mark a folder as a synthetic tree, or continue one.

    Raises:
        InputError: the folder has another preset, seed or version, or other files.
    """
    wanted = Manifest.of(preset, seed)
    found = Manifest.read(root)
    if found is None:
        left_by_killed = {f".{FILE_NAME}.part"}
        if {entry.name for entry in root.iterdir()} - left_by_killed:
            raise InputError(
                f"{root} is not empty and was not written by tools.synthesize; choose another folder"
            )
        wanted.write(root)
        return wanted
    if found.fingerprint != wanted.fingerprint:
        had = f"preset {found.preset}, seed {found.seed}, version {found.version}"
        asked = f"preset {preset.name}, seed {seed}, version {VERSION}"
        if had == asked:  # the preset's own numbers were changed since
            had, asked = f"{had}, fingerprint {found.fingerprint}", f"fingerprint {wanted.fingerprint}"
        raise InputError(f"{root} holds {had}, not {asked}; choose another folder or remove it")
    return found


def finished(found: Manifest, plans: list[Plan]) -> Manifest:
    """The manifest with these data sets added."""
    datasets = found.datasets | {plan.dataset: plan.summary for plan in plans}
    overlaps = found.overlaps | {plan.dataset: plan.overlaps for plan in plans if plan.overlaps}
    fields = {**asdict(found), "complete": True}
    fields |= {"datasets": dict(sorted(datasets.items())), "overlaps": dict(sorted(overlaps.items()))}
    return Manifest(**fields)
