"""Data of the search benchmark: clustered vectors from a seed, a gallery of them, the exact results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from irm.embedder import IRMEmbedder
from irm.models import IRM, SentenceTokenizer
from irm.retrieval import Gallery, SearchModel
from irm.retrieval.images import thumbnail
from irm.retrieval.views import VIEWS

DIM, TOP, EACH, BLOCK = 768, 10, 20, 10_000
NUM_IMAGES = 1000  # images with a thumbnail, representative of all
DOMAIN = "trad/market1501"
FULL = {
    "backbone": {"name": "pass_vit_base", "image_size": [256, 128]}
}  # ViT-B/16, with ALBEF's text encoder
SMALL = {
    "backbone": {"name": "vit_demo_small", "image_size": [128, 64]},
    "instruction": {
        "text": {"name": "minilm"},
        "image": {"name": "vit_demo_clothes", "image_size": [64, 64]},
    },
    "fusion": {"layers": 1},
}


def random_model(arguments: dict[str, object], folder: Path) -> SearchModel:
    """A model of a given size with random weights: its run time is realistic."""
    torch.manual_seed(0)
    model = IRM(**arguments, match=None, necks=[DOMAIN]).eval()
    model.attach_tokenizer(SentenceTokenizer.characters())
    return SearchModel(IRMEmbedder(model), "0" * 64, folder, ["trad"])


def blocks(count: int, spread: float) -> Iterator[np.ndarray]:
    """Unit vectors, a block at a time, clustered around centres in groups of EACH."""
    for first in range(0, count, BLOCK):
        generator = torch.Generator().manual_seed(first)
        size = min(BLOCK, count - first)
        centres = torch.randn(-(-size // EACH), DIM, generator=generator).repeat_interleave(EACH, 0)[:size]
        rows = centres + spread * torch.randn(size, DIM, generator=generator)
        yield torch.nn.functional.normalize(rows, dim=1).numpy()


def gathered(count: int, spread: float) -> torch.Tensor:
    """All of them in memory."""
    vectors = torch.empty(count, DIM)
    for number, block in enumerate(blocks(count, spread)):
        vectors[number * BLOCK : number * BLOCK + len(block)] = torch.from_numpy(block)
    return vectors


def questions(count: int, num_queries: int, spread: float) -> torch.Tensor:
    """Queries: further images of people of the gallery."""
    generator = torch.Generator().manual_seed(7)
    first = next(blocks(min(count, BLOCK), spread))
    rows = torch.from_numpy(first)[torch.randint(len(first), (num_queries,), generator=generator)]
    noise = torch.randn(num_queries, DIM, generator=generator) / DIM**0.5
    return torch.nn.functional.normalize(rows + 0.7 * noise, dim=1)


def write(folder: Path, model: SearchModel, count: int, spread: float) -> Gallery:
    """A gallery of the given number of images; the first have thumbnails."""
    gallery = Gallery.create(folder, model, views=["trad"])
    catalog = gallery.catalog
    space = catalog.add_space(gallery.space(VIEWS["trad"]), DIM)
    noise = np.random.default_rng(0).integers(0, 256, (256, 128, 3), dtype=np.uint8)
    jpeg, ids = thumbnail(noise), iter(range(1, count + 1))
    for block in blocks(count, spread):
        with catalog.writing() as connection:
            numbers = [next(ids) for _ in block]
            connection.executemany(
                "INSERT INTO images (key, path, size, changed, content, pid, camid, modality, captions, "
                "width, height, added, revision) VALUES (?, '', 0, 0, '', ?, ?, 'rgb', '[]', 1, 1, 0, 1)",
                [(str(number), (number - 1) // EACH + 1, number % 6) for number in numbers],
            )
            connection.executemany(
                f"INSERT INTO {space.table} VALUES (?, ?)",
                [(number, row.tobytes()) for number, row in zip(numbers, block, strict=True)],
            )
            if numbers[0] == 1:
                connection.executemany(
                    "INSERT INTO pictures VALUES (?, ?)", [(one, jpeg) for one in range(1, NUM_IMAGES + 1)]
                )
    catalog.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return gallery


def brute_force(queries: torch.Tensor, count: int, spread: float) -> np.ndarray:
    """Ids of the nearest by float64, one gallery block at a time."""
    best = torch.full((len(queries), 0), 0.0, dtype=torch.float64)
    ids = torch.zeros((len(queries), 0), dtype=torch.int64)
    for number, block in enumerate(blocks(count, spread)):
        scores = queries.double() @ torch.from_numpy(block).double().T
        value, place = scores.topk(TOP, dim=1)
        best, ids = torch.cat([best, value], 1), torch.cat([ids, place + number * BLOCK + 1], 1)
        best, order = best.topk(TOP, dim=1)
        ids = ids.gather(1, order)
    return ids.numpy()
