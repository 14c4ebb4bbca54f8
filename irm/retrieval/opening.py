"""Opens a store with its model, and refuses a model that the store was not indexed with."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from instructions.errors import InputError
from irm.retrieval.catalog import FILE_NAME, Catalog
from irm.retrieval.model import SearchModel
from irm.retrieval.views import Space, View, default_views, known_view


def model_of(catalog: Catalog, run: str | Path | None, model: SearchModel | None) -> SearchModel:
    """The model that a store was indexed with.

    Args:
        catalog: The store's.
        run: Where the model is, if it moved.
        model: Already loaded.

    Raises:
        InputError: The store has no model, the model is gone, or it is another one.
    """
    known, folder = catalog.metadata("model"), catalog.folder
    if known is None:
        raise InputError(
            f"{folder} has not been indexed yet; run python -m tools.index RUN --images DIR --store {folder}"
        )
    if model is None:
        place = Path(run or catalog.metadata("run") or "")
        if not place.is_dir():
            raise InputError(
                f"the model of this store was in {place}, which no longer exists; give its new place with "
                "--run"
            )
        model = SearchModel.load(place)
    if model.fingerprint != known:
        raise InputError(
            f"the store {folder} was indexed by a different model ({known[:12]}) than {model.folder} "
            f"({model.fingerprint[:12]}), so their vectors cannot be compared; index again into another "
            "folder"
        )
    return model


def check_place(folder: Path) -> None:
    """Refuse to make a store where something else is.

    Raises:
        InputError: The folder is a file, or holds files but no store.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a new folder for the store")
    if folder.is_dir() and not (folder / FILE_NAME).is_file() and any(folder.iterdir()):
        raise InputError(f"{folder} holds files but no gallery store; name a new folder for the store")


def space_of(model: SearchModel, view: View, dataset: str | None) -> Space:
    """The space of a model's vectors for a view, with a data set's batch-norm statistics if it has them."""
    return Space(
        model=model.fingerprint,
        view=view.name,
        domain=model.domain(view, dataset),
        beside=view.says(model.asking),
        preprocessing=model.preprocessing,
    )


def same_space(known: Space, ours: Space, folder: Path) -> None:
    """Compare the space of a store's vectors with the space of the model at hand.

    Raises:
        InputError: They differ.
    """
    if ours != known:
        raise InputError(
            f"the view {known.view!r} of {folder} was created with other settings than this model's "
            f"({known.as_dict()} against {ours.as_dict()}); index again into another folder"
        )


def prepare(folder: Path, model: SearchModel, views: Sequence[str] | None, dataset: str | None) -> None:
    """Note the model in a new store; add views to an existing one.

    Raises:
        InputError: A view is unknown, or the model can serve none.
    """
    names = tuple(views or default_views(model.tasks))
    for name in names:
        known_view(name)
    if not names:
        raise InputError(
            f"the model {model.folder} was not trained for any task that a gallery can be searched with"
        )
    catalog = Catalog(folder, create=True)
    if catalog.metadata("model") is None:
        catalog.set_metadata(
            model=model.fingerprint,
            run=str(model.folder.absolute()),
            views=json.dumps(names),
            dataset=dataset or "",
            created=str(time.time()),
        )
    elif views is not None and catalog.metadata("model") == model.fingerprint:
        known = json.loads(catalog.metadata("views") or "[]")
        catalog.set_metadata(views=json.dumps(list(dict.fromkeys([*known, *names]))))
    catalog.close()
