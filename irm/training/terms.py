"""Loss terms of one's own beside those of equations 7 and 8: a name, who makes the term, its factor.

A program of one's own adds an entry and a sheet weighs it, ``losses.own: {NAME: FACTOR}``
(``examples/own_parts.py``). A term is a module, so that it may have parameters: they are trained and saved
with the classifiers, and die with training as these do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from instructions.errors import InputError, near_miss
from irm.models import IRM
from omnireid.loading.mixture import Mixture

# Terms of the five picture tasks: made once for each domain from the width D of F and the number of training
# people, called with (output: IRMOutput, necked: Necked, batch: Batch).
PICTURE_TERMS: dict[str, Callable[[int, int], nn.Module]] = {}

# Terms of text-to-image: made from the width J of the space that pictures and texts share, called with
# (image_vectors: B J, text_vectors: B J, labels: B); the vectors have length one.
PAIR_TERMS: dict[str, Callable[[int], nn.Module]] = {}


def make_picture_terms(names: Iterable[str], model: IRM, mixture: Mixture) -> dict[str, nn.ModuleDict]:
    """The named picture terms of each domain that tells people apart."""
    dim = model.editing_transformer.embed_dim
    return {
        domain: _make(PICTURE_TERMS, names, dim, mixture.num_classes(domain)) for domain in model.necks.names
    }


def make_pair_terms(names: Iterable[str], model: IRM) -> nn.ModuleDict:
    """The named terms of text-to-image."""
    return _make(PAIR_TERMS, names, model.retrieval.projection_dim)


def refuse_unknown_terms(names: Iterable[str]) -> None:
    """Name a term that nobody added.

    Raises:
        InputError: for a name that is in neither registry.
    """
    known = {**PICTURE_TERMS, **PAIR_TERMS}
    for name in names:
        if name not in known:
            raise InputError(
                f"losses.own names {name!r}, but no such term was added{near_miss(name, known)}; known: "
                f"{', '.join(known) or 'none'} (examples/own_parts.py shows how to add one)"
            )


def _make(registry: dict[str, Callable[..., nn.Module]], names: Iterable[str], *shape: Any) -> nn.ModuleDict:
    return nn.ModuleDict({name: registry[name](*shape) for name in names if name in registry})
