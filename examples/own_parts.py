"""Parts of one's own without touching the project: a data set, a protocol and a backbone, then any program.

    python -m examples.own_parts tools.train SHEET.yaml --out RUN
    python -m examples.own_parts tools.evaluate RUN

What varies here is data in plain dicts, so whatever is added before a program starts is known to it, in
sheets and on the command line. Copy this file, put your own entries in, and name it instead of this one.
Losses are written into the objectives (CONTRIBUTING.md).
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np

from irm.models import BACKBONES, BackboneSpec
from omnireid.datasets.card import DatasetCard
from omnireid.datasets.catalog import DATASETS
from omnireid.datasets.dataset import Dataset
from omnireid.datasets.market import read_market_style
from omnireid.metrics.judging import LabelArrays
from omnireid.protocols import PROTOCOLS, Judgement, Protocol
from omnireid.records import Split

MALL = DatasetCard(
    name="mall",
    title="A mall that is not there",
    tasks=("trad",),
    homepage="none: an example",
    access="none: an example",
    licence="none: an example",
    consent="none: an example; say here what the people in the pictures agreed to",
    citation="none",
    folders=("mall",),
    num_cameras=6,
    counts={},
)


def read_mall(root: Path, variant: str) -> Split:  # noqa: ARG001  one signature for all readers
    """It is laid out as Market-1501; a reader may also build its records from anything else."""
    return read_market_style(root, MALL.name, [f"read from {root}"])


def same_person(query: LabelArrays, gallery: LabelArrays) -> Judgement:
    """Every picture of the person is right, and all count."""
    right = query.pids[:, None] == gallery.pids[None, :]
    return Judgement(right, np.ones_like(right))


DATASETS["mall"] = Dataset(MALL, read_mall, markers=("bounding_box_train", "query"), raw_tasks=("trad",))
PROTOCOLS["any_camera"] = Protocol(
    "any_camera", "any camera", "Same person is right, nothing is junk.", same_person
)
BACKBONES["slim_vit"] = BackboneSpec("vit_tiny_patch16_224", 48, 3, 3, image_size=(64, 32))

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("say which program, e.g. python -m examples.own_parts tools.train --help")
    del sys.argv[0]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except ImportError as error:
        sys.exit(f"error: {error}")
