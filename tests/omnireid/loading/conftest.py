"""A small data set on disk: six people with five images each, captions and clothes images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omnireid.records import Record


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, ...]:
    """Thirty records; pids are 10, 20 .. 60, cameras 0..4, one outfit a person."""
    return draw_crowd(tmp_path_factory.mktemp("crowd"))


def draw_crowd(folder: Path) -> tuple[Record, ...]:
    rng = np.random.default_rng(0)
    records = []
    for pid in range(10, 70, 10):
        clothes = folder / f"{pid}.png"
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(clothes)
        for camid in range(5):
            path = folder / f"{pid}_{camid}.jpg"
            Image.fromarray(rng.integers(0, 256, (40, 20, 3), dtype=np.uint8)).save(path)
            captions = (f"Person {pid}, seen by camera {camid}.", f"Number {pid} at {camid}!")
            records.append(
                Record(str(path), pid, camid, clothes_id=pid, captions=captions, clothes=str(clothes))
            )
    return tuple(records)
