"""Images per CPU-second of our training pipeline and of the field's usual one, in turns in one process.

python -m benchmarks.loading --images 256 --repeats 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms as torchvision

from omnireid.loading.cache import ImageCache
from omnireid.loading.image import read_image
from omnireid.loading.transforms import Preprocessing, TrainTransform, empty_pixels

SIZES = {"Market-1501": (128, 64), "MSMT17": (300, 125)}  # height, width of the pictures on disk
BATCH = 128
BASELINE = "Pillow + torchvision v1"


def write_pictures(folder: Path, height: int, width: int, count: int) -> list[str]:
    """Pictures with the detail of photographs, so that JPEG has as much to do as with real ones."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        pixels = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        paths.append(str(folder / f"{height}_{number}.jpg"))
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def pipelines(paths: list[str]) -> dict[str, Callable[[], object]]:
    preprocessing = Preprocessing()
    transform, cache = TrainTransform(preprocessing), ImageCache(2**31)
    usual = torchvision.Compose(
        [
            torchvision.Resize(preprocessing.image_size),
            torchvision.RandomHorizontalFlip(),
            torchvision.Pad(10),
            torchvision.RandomCrop(preprocessing.image_size),
            torchvision.ToTensor(),
            torchvision.Normalize(preprocessing.mean, preprocessing.std),
            torchvision.RandomErasing(scale=(0.02, 0.2), ratio=(0.3, 10 / 3)),
        ]
    )
    batches = [paths[first : first + BATCH] for first in range(0, len(paths), BATCH)]

    def theirs() -> None:
        for batch in batches:
            torch.stack([usual(Image.open(path).convert("RGB")) for path in batch])

    def vary(read: Callable[[str], np.ndarray], *, normalise: bool = False) -> None:
        for step, batch in enumerate(batches):
            pixels = empty_pixels(len(batch), preprocessing.image_size)
            drawn = transform.draw_rows(0, stream=0, step=step, rows=range(len(batch)))
            for path, variation, row in zip(batch, drawn, pixels, strict=True):
                transform.place(read(path), variation, row)
            if normalise:
                flipped = np.array([variation.flip for variation in drawn])
                preprocessing.normalise(torch.from_numpy(pixels), flipped)

    return {
        "Pillow decodes only": lambda: [np.asarray(Image.open(path)) for path in paths],
        "read_image only": lambda: [read_image(path) for path in paths],
        BASELINE: theirs,
        "ours, float32": lambda: vary(read_image, normalise=True),
        "ours, 8-bit for the device to flip and normalise": lambda: vary(read_image),
        "ours, 8-bit from the cache": lambda: vary(lambda path: cache.read(path, preprocessing.image_size)),
    }


def measure(cases: dict[str, Callable[[], object]], count: int, repeats: int) -> dict[str, float]:
    """Median images per CPU-second of each case; the first round warms up and fills caches."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(repeats + 1):
        for name, run in cases.items():
            start = time.process_time()
            run()
            if turn:
                seconds[name].append(time.process_time() - start)
    return {name: count / statistics.median(taken) for name, taken in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=256, help="pictures of each size")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds; the median counts")
    parser.add_argument("--json", type=Path, help="also write the rates to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (height, width) in SIZES.items():
            paths = write_pictures(Path(folder), height, width, arguments.images)
            num_bytes = statistics.mean(Path(path).stat().st_size for path in paths)
            rates[name] = measure(pipelines(paths), len(paths), arguments.repeats)
            print(f"\nlike {name}: {width} × {height} JPEGs of {num_bytes / 1000:.1f} kB")
            for case, rate in rates[name].items():
                ratio = rate / rates[name][BASELINE]
                print(f"{case:50}{rate:9.0f} images per CPU-second{ratio:7.2f} × {BASELINE}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rates, indent=1) + "\n")


if __name__ == "__main__":
    main()
