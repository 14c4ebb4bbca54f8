"""Euclidean and cosine distance matrices in float32, computed in blocks of queries."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from instructions.errors import InputError
from omnireid.metrics.ranking import Array, row_blocks


def cosine_distances(query_features: Array, gallery_features: Array) -> Float[Tensor, "Q G"]:
    """1 - cosine similarity, in [0, 2]; a feature of length zero is at distance 1 from everything."""
    query, gallery = (F.normalize(side.float(), dim=1) for side in checked(query_features, gallery_features))
    distmat = query.new_empty(len(query), len(gallery))
    for rows in row_blocks(*distmat.shape):
        distmat[rows] = (1 - query[rows] @ gallery.T).clamp_(min=0, max=2)
    return distmat


def euclidean_distances(
    query_features: Array, gallery_features: Array, *, squared: bool = False
) -> Float[Tensor, "Q G"]:
    """Euclidean distance, or its square: |q|² + |g|² - 2 q·g, never below zero."""
    query, gallery = (side.float() for side in checked(query_features, gallery_features))
    lengths = gallery.square().sum(dim=1)
    distmat = query.new_empty(len(query), len(gallery))
    for rows in row_blocks(*distmat.shape):
        part = query[rows]
        apart = part.square().sum(dim=1, keepdim=True) + lengths - 2 * part @ gallery.T
        distmat[rows] = apart.clamp_(min=0) if squared else apart.clamp_(min=0).sqrt_()
    return distmat


def checked(
    query_features: Array, gallery_features: Array
) -> tuple[Float[Tensor, "Q D"], Float[Tensor, "G D"]]:
    """Both as tensors, checked: they fit each other and all numbers are finite."""
    query, gallery = shaped(query_features, gallery_features)
    for name, features in (("query", query), ("gallery", gallery)):
        check_finite(features, name)
    return query, gallery


def shaped(
    query_features: Array, gallery_features: Array
) -> tuple[Float[Tensor, "Q D"], Float[Tensor, "G D"]]:
    """Both as tensors that fit each other.

    Raises:
        InputError: They do not, or a side is empty.
    """
    query, gallery = (torch.as_tensor(side).detach() for side in (query_features, gallery_features))
    shapes = f"query and gallery features have shapes {tuple(query.shape)} and {tuple(gallery.shape)}"
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise InputError(f"{shapes}; both must be (images, width), of one width")
    if not (query.numel() and gallery.numel()):
        raise InputError(f"{shapes}; a search needs at least one image on each side")
    return query, gallery


def check_finite(features: Float[Tensor, "N D"], name: str) -> None:
    """Refuse nan and infinity.

    Raises:
        InputError: Some are not finite.
    """
    for rows in row_blocks(*features.shape):
        wrong = ~torch.isfinite(features[rows])
        if bool(wrong.any()):
            row = rows.start + int(wrong.any(dim=1).nonzero()[0])
            raise InputError(f"the {name} features of row {row} hold NaN or infinity")
