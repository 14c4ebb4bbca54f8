"""Reads checkpoints from elsewhere: nothing in them is executed, and damaged files are refused."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from irm.models.manifest import sha256_of

# The function that numpy pickles its numbers with; it has no public name.
_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
# What training scripts save besides tensors; constructing these cannot run code.
HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),  # as numpy before 2.0 called it
    _NUMPY_SCALAR,
]
FORBIDDEN = re.compile(r"(?:GLOBAL|class|global) ([\w.]+\.[\w.]+)")
TORCHSCRIPT = "constants.pkl"


def read_checkpoint(path: Path, *, sha256: str | None = None) -> dict[str, Any]:
    """The content of a ``.pth``, ``.pt``, ``.bin``, ``.pth.tar`` or ``.safetensors`` file, as plain data.

    Args:
        path: a local file.
        sha256: the digest it should have; None accepts any.

    Raises:
        ValueError: when there is no such file, its digest differs, it is damaged or truncated, or it holds
            more than tensors and plain data; in no case has anything in it been executed.
    """
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    if sha256 is not None and sha256_of(path) != sha256.lower():
        raise ValueError(f"{path} is not the expected file: its sha256 is {sha256_of(path)}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} contains a {type(content).__name__}, not a dictionary of tensors")
    return dict(content)


def tensors_of(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors that lie directly in a dictionary."""
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def unwrap(
    content: Mapping[str, Any], *, wrappers: tuple[str, ...], prefixes: tuple[str, ...]
) -> dict[str, Tensor]:
    """The state dict in a training file, with wrapper prefixes removed from its keys.

    Args:
        content: as ``read_checkpoint`` returns it.
        wrappers: entries that may hold the state dict; the first one present wins, and may be nested.
        prefixes: prefixes that the network's keys may have ("module."), removed in this order; keys without
            them stay as they are.
    """
    inner = next((content[name] for name in wrappers if isinstance(content.get(name), Mapping)), None)
    if inner is not None:
        return unwrap(inner, wrappers=wrappers, prefixes=prefixes)
    tensors = tensors_of(content)
    for prefix in prefixes:
        tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    return tensors


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or truncated: {error}") from None


def _read_torch(path: Path) -> Any:
    """Torch's own formats, zip and legacy, read by the restricted unpickler."""
    with path.open("rb") as handle:
        is_zip = handle.read(4) == b"PK\x03\x04"
    if is_zip:
        _check_zip(path)
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a pickle protocol that torch does not use
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        found = FORBIDDEN.search(str(error))
        if found is None:
            raise ValueError(
                f"{path} is damaged or not a PyTorch checkpoint; nothing in it was executed"
            ) from None
        raise ValueError(
            f"{path} contains more than tensors ({found[1]}), and loading that could run code; nothing in "
            "it was executed; ask its authors for the bare state dict"
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError):
        raise ValueError(f"{path} is damaged, truncated, or not a PyTorch checkpoint") from None


def _check_zip(path: Path) -> None:
    """Verify the zip's checksums, since torch itself does not notice a flipped bit."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error, NotImplementedError):
        raise ValueError(f"{path} is damaged or truncated") from None
    if damaged is not None:
        raise ValueError(f"{path} is damaged: its entry {damaged!r} fails the checksum")
    if any(Path(name).name == TORCHSCRIPT for name in names):
        raise ValueError(
            f"{path} is a TorchScript program, which is not executed here; save its state dict and use that"
        )
