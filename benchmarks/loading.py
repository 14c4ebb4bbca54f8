"""Images per CPU-second of our training pipeline and of the usual one, and the rate that one GPU needs.

python -m benchmarks.loading --images 256 --repeats 5
python -m benchmarks.loading --tflops 400          a GPU of your own: its measured bf16 matrix product
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

from instructions.errors import InputError
from omnireid.loading.buffer_pool import BufferPool
from omnireid.loading.cache import ImageCache
from omnireid.loading.image import read_image
from omnireid.loading.resizing import resize
from omnireid.loading.transforms import Preprocessing, TrainTransform, empty_pixels
from tools import _program

SIZES = {"Market-1501": (128, 64), "MSMT17": (300, 125)}  # height, width of the images on disk
BATCH = 128
BASELINE = "Pillow + torchvision v1"
FROM_JPEG, FROM_CACHE = "ours, 8-bit for the device to flip and normalise", "ours, 8-bit from the cache"
COPY = "limit of a cache: each image copied once"
H200 = 790.0  # TFLOP/s of a dense bf16 matrix product, measured on one
SHARES = (1.0, 0.6, 0.5)  # of that rate: the bound, and what a good step reaches


def write_images(folder: Path, height: int, width: int, count: int) -> list[str]:
    """Images with the detail of photographs, so that JPEG decoding costs as much as on real ones."""
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
    transform, cache, room = TrainTransform(preprocessing), ImageCache(2**31), BufferPool()
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
    decoded = {path: resize(read_image(path), preprocessing.image_size) for path in paths}
    batches = [paths[first : first + BATCH] for first in range(0, len(paths), BATCH)]

    def theirs() -> None:
        for batch in batches:
            torch.stack([usual(Image.open(path).convert("RGB")) for path in batch])

    def copy() -> None:
        for batch in batches:
            pixels = empty_pixels(len(batch), preprocessing.image_size, room)
            for kept, row in zip(batch, pixels, strict=True):
                row[:] = decoded[kept]

    def vary(kept: ImageCache, *, normalise: bool = False) -> None:
        for step, batch in enumerate(batches):
            pixels = empty_pixels(len(batch), preprocessing.image_size, room)
            drawn = transform.draw_rows(0, stream=0, step=step, rows=range(len(batch)))
            images = kept.read_each(batch, preprocessing.image_size)
            transform.place([_readable(image) for image in images], drawn, pixels)
            if normalise:
                preprocessing.normalise(torch.from_numpy(pixels), drawn.flips, room)

    return {
        "Pillow decodes only": lambda: [np.asarray(Image.open(path)) for path in paths],
        "read_image only": lambda: [read_image(path) for path in paths],
        BASELINE: theirs,
        "ours, float32": lambda: vary(ImageCache(), normalise=True),
        FROM_JPEG: lambda: vary(ImageCache()),
        FROM_CACHE: lambda: vary(cache),
        COPY: copy,
    }


def _readable(image: np.ndarray | InputError) -> np.ndarray:
    assert not isinstance(image, InputError)
    return image


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


def gflop_per_image() -> dict[str, float]:
    """FLOPs of IRM for one image: ViT-B/16 at 256 x 128, edited by a cached sentence of eight words.

    A multiplication with its addition counts as two operations. The gate and two fusion blocks over all
    tokens are included. Training costs three forward passes, less the gradients of pixels and words, which
    are not needed.
    """
    width, depth, patches, words = 768, 12, 128, 8
    tokens = patches + 1

    def blocks(count: int, length: int) -> float:
        return count * (24 * length * width**2 + 4 * length**2 * width)

    embedded = 2 * patches * 3 * 16**2 * width
    words_projected, attended = depth * 4 * words * width**2, depth * 4 * tokens * words * width
    fused = blocks(2, tokens + words)
    edited = blocks(depth, tokens) + attended
    return {
        "training": (2 * embedded + 3 * (edited + fused) + 2 * words_projected) / 1e9,
        "inference": (embedded + edited + fused + words_projected) / 1e9,
    }


def print_need(rates: dict[str, dict[str, float]], tflops: float) -> None:
    """The image rate that one GPU consumes, and the number of cores like this one that supply it."""
    shares = "".join(f"{f'at {share:.0%}':>10}" for share in SHARES)
    print(f"\none GPU of {tflops:g} TFLOP/s, IRM on ViT-B/16, 256 x 128, cached sentences{shares}")
    for use, gflop in gflop_per_image().items():
        needs = [1000 * tflops * share / gflop for share in SHARES]
        columns = "".join(f"{need:10,.0f}" for need in needs)
        print(f"{f'{use}: {gflop:.1f} GFLOP/image, images/s':<74}{columns}")
        for name, measured in rates.items():
            for case, source in ((FROM_JPEG, "JPEGs"), (FROM_CACHE, "the decoded cache")):
                columns = "".join(f"{need / measured[case]:10.1f}" for need in needs)
                print(f"{f'    cores that feed it from {source} like {name}':<74}{columns}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=256, help="images of each size")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds; the median counts")
    parser.add_argument("--tflops", type=float, default=H200, help="of one GPU (%(default)s: an H200, bf16)")
    parser.add_argument("--json", type=Path, help="also write the rates to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (height, width) in SIZES.items():
            paths = write_images(Path(folder), height, width, arguments.images)
            num_bytes = statistics.mean(Path(path).stat().st_size for path in paths)
            cases = pipelines(paths)
            # With a cache, nothing else is decoded.
            cached = {case: cases.pop(case) for case in (FROM_CACHE, COPY)}
            rates[name] = measure(cases, len(paths), arguments.repeats)
            rates[name] |= measure(cached, len(paths), arguments.repeats)
            print(f"\nlike {name}: {width} × {height} JPEGs of {num_bytes / 1000:.1f} kB")
            for case, rate in rates[name].items():
                ratio = rate / rates[name][BASELINE]
                print(f"{case:50}{rate:9.0f} images per CPU-second{ratio:7.2f} × {BASELINE}")
    print_need(rates, arguments.tflops)
    if arguments.json:
        arguments.json.write_text(json.dumps(rates, indent=1) + "\n")


if __name__ == "__main__":
    _program.run(main)
