"""Normalises 8-bit images for the network: on a GPU, in C where there is a compiler, or with torch."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from omnireid.loading.buffer_pool import BufferPool
from omnireid.loading.variation import RGB
from omnireid.native import address, compiled

SOURCE = Path(__file__).with_name("pixels.c")


def normalise(
    pixels: UInt8[Tensor, "B H W 3"],
    mean: RGB,
    std: RGB,
    flipped: Bool[np.ndarray, " B"] | None = None,
    pool: BufferPool | None = None,
) -> Float[Tensor, "B 3 H W"]:
    """Channels first, minus the mean, divided by the deviation; all implementations give the same numbers.

    Args:
        pixels: the images, on any device.
        mean: per channel, between 0 and 1.
        std: standard deviation per channel.
        flipped: which images are flipped; None: none.
        pool: provides memory for the result if it is on the CPU; fresh memory by default.
    """
    scale = torch.tensor([1 / (255 * deviation) for deviation in std])
    shift = torch.tensor([-m / deviation for m, deviation in zip(mean, std, strict=True)])
    flipped = np.zeros(len(pixels), dtype=bool) if flipped is None else flipped
    if pixels.device.type != "cpu":
        return _on_device(pixels, scale, shift, flipped)
    count, height, width, _ = pixels.shape
    images = (BufferPool() if pool is None else pool).take((count, 3, height, width))
    made = library()
    if made is None:
        _by_torch(pixels, scale, shift, flipped, images)
    else:
        whole = pixels.contiguous().numpy()
        sizes = [ctypes.c_int64(size) for size in (count, height, width)]
        rest = (scale.numpy(), shift.numpy(), np.ascontiguousarray(flipped), images.numpy())
        made.normalise(address(whole), *sizes, *map(address, rest))
    return images


def library() -> ctypes.CDLL | None:
    """The compiled C code; None if it is not available."""
    return compiled(SOURCE)


def _on_device(
    pixels: UInt8[Tensor, "B H W 3"],
    scale: Float[Tensor, 3],
    shift: Float[Tensor, 3],
    flipped: Bool[np.ndarray, " B"],
) -> Float[Tensor, "B 3 H W"]:
    # Convert the layout while values are 8-bit, then compute in place in float.
    images = rearrange(pixels, "b h w c -> b c h w").contiguous()
    if flipped.any():
        chosen = torch.from_numpy(flipped).to(images.device, non_blocking=True)
        images = torch.where(rearrange(chosen, "b -> b 1 1 1"), images.flip(-1), images)
    scale, shift = (one[:, None, None].to(images.device, non_blocking=True) for one in (scale, shift))
    return images.float().mul_(scale).add_(shift)


def _by_torch(
    pixels: UInt8[Tensor, "B H W 3"],
    scale: Float[Tensor, 3],
    shift: Float[Tensor, 3],
    flipped: Bool[np.ndarray, " B"],
    images: Float[Tensor, "B 3 H W"],
) -> None:
    """Image by image, so that each step finds the result of the last in the processor's cache."""
    planes = np.empty((3, *pixels.shape[1:3]), dtype=np.uint8)
    levels = torch.from_numpy(planes)
    for image, mirrored, out in zip(pixels.numpy(), flipped, images, strict=True):
        for channel, plane in enumerate(planes):  # numpy separates channels in half of torch's time
            np.copyto(plane, image[:, :, channel])
        out.copy_(levels.flip(-1) if mirrored else levels).mul_(scale[:, None, None]).add_(
            shift[:, None, None]
        )
