"""SYNTH-PEDES: millions of web images with generated captions; training only, copies often incomplete."""

from __future__ import annotations

from pathlib import Path

from instructions.errors import InputError
from omnireid.columns import RecordsBuilder
from omnireid.datasets.captions import captions_of, entry_field, iter_entries
from omnireid.datasets.card import DatasetCard, Published
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.scan import subfolders
from omnireid.records import Split

CARD = DatasetCard(
    name="synth_pedes",
    title="SYNTH-PEDES",
    tasks=("t2i",),
    homepage="https://github.com/Zplusdragon/PLIP",
    access="download from the project page",
    licence="research only, commercial use forbidden (project page)",
    consent="no statement of consent in the sources we consulted",
    citation="Zuo et al., PLIP: Language-Image Pre-training for Person Representation Learning, NeurIPS 2024",
    folders=("PLIP", "SYNTH-PEDES", "synth_pedes", "SYNTH_PEDES"),
    num_cameras=None,
    counts={"": {"train": Published(4_791_711, 312_321)}},
    notes=(
        "the release has Part1 to Part11, the OmniReID tree Part1 to Part6; absent parts are skipped",
        "no test people",
    ),
)

ANNOTATIONS = ("synthpedes_dataset.json", "synthpedes-dataset.json")


def read(root: Path, variant: str) -> Split:  # noqa: ARG001  one signature for all readers
    """SYNTH-PEDES from its own folder, as far as it is present."""
    path = next((root / name for name in ANNOTATIONS if (root / name).exists()), None)
    if path is None:
        raise InputError(f"{root} has no {' or '.join(ANNOTATIONS)}")
    present = frozenset(subfolders(root))
    prefix = f"{root}/"
    absent: dict[str, int] = {}
    builder = RecordsBuilder(prefix)
    for number, entry in enumerate(iter_entries(path)):
        name = entry_field(entry, "file_path", str, path, number)
        part = name.partition("/")[0]
        if part not in present:
            absent[part] = absent.get(part, 0) + 1
            continue
        pid = entry_field(entry, "id", int, path, number)
        captions = captions_of(entry.get("captions"), path, number)
        builder.append(prefix + name, pid, 0, captions=captions)
    notes = [f"read from {path}"]
    notes += [
        f"{absent[part]} images of {part} left out: its folder does not exist" for part in sorted(absent)
    ]
    return Split(CARD.name, builder.finish(), notes=tuple(notes))


SYNTH_PEDES = Dataset(CARD, read, markers=ANNOTATIONS, raw_tasks=("t2i",))
