"""User-defined loss terms beside those of equations 7 and 8: a name, a factory, a factor.

A user's program adds an entry and a sheet weights it, ``losses.own: {NAME: FACTOR}``
(``examples/own_parts.py``). A term is a module, so that it may have parameters: they are trained and saved
with the classifiers, and like these are not part of the saved model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from torch import nn

from instructions.errors import InputError, near_miss
from irm.model_schema import EQ_7, EQ_8
from irm.models import IRM
from omnireid.loading.mixture import Mixture

# Terms of the five image tasks: made once for each domain from the width D of F and the number of training
# people, called with (output: IRMOutput, necked: Necked, batch: Batch).
PICTURE_TERMS: dict[str, Callable[[int, int], nn.Module]] = {}

# Terms of text-to-image: made from the width J of the space that images and texts share, called with
# (image_vectors: B J, text_vectors: B J, labels: B); the vectors have length one.
PAIR_TERMS: dict[str, Callable[[int], nn.Module]] = {}


def make_picture_terms(names: Iterable[str], model: IRM, mixture: Mixture) -> dict[str, nn.ModuleDict]:
    """The named image terms of each domain that tells people apart."""
    dim = model.editing_transformer.embed_dim
    return {
        domain: _make(PICTURE_TERMS, names, dim, mixture.num_classes(domain)) for domain in model.necks.names
    }


def make_pair_terms(names: Iterable[str], model: IRM) -> nn.ModuleDict:
    """The named terms of text-to-image."""
    return _make(PAIR_TERMS, names, model.retrieval.projection_dim)


def refuse_unknown_terms(names: Iterable[str]) -> None:
    """Refuse a term that is not registered.

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


def refuse_idle_objectives(weights: Mapping[str, float], objectives: Collection[str]) -> None:
    """Refuse factors under which an objective that is in use has no term left, whose sum would be empty.

    Args:
        weights: of all terms by name, added ones included.
        objectives: which are in use, "identity" or "image_text".

    Raises:
        InputError: every term of an equation has weight 0, and no added term of its kind has another.
    """
    terms = {"identity": ("7", *EQ_7, *PICTURE_TERMS), "image_text": ("8", *EQ_8, *PAIR_TERMS)}
    for objective, (equation, *names) in terms.items():
        if objective in objectives and not any(weights.get(name) for name in names):
            raise InputError(
                f"every term of eq. {equation} has weight 0 and losses.own adds none to it, so nothing would "
                f"be learnt; set one of losses.weights"
            )


def _make(registry: dict[str, Callable[..., nn.Module]], names: Iterable[str], *shape: Any) -> nn.ModuleDict:
    return nn.ModuleDict({name: registry[name](*shape) for name in names if name in registry})
