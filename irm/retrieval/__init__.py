"""Search: a gallery indexed once, then asked with an image, a sentence, a shirt, or all of them."""

from typing import TYPE_CHECKING, Any

from irm.retrieval.answer import Answer, Explanation, Hit, Route
from irm.retrieval.audit import AuditEntry
from irm.retrieval.erasure import Receipt
from irm.retrieval.info import Added, Facets, Info, ViewInfo
from irm.retrieval.items import Item, items_of_folder, items_of_records, items_of_table
from irm.retrieval.question import Filter, Picture, Question
from irm.retrieval.views import VIEWS

if TYPE_CHECKING:
    from irm.retrieval.gallery import Gallery
    from irm.retrieval.model import SearchModel

__all__ = [
    "VIEWS",
    "Added",
    "Answer",
    "AuditEntry",
    "Explanation",
    "Facets",
    "Filter",
    "Gallery",
    "Hit",
    "Info",
    "Item",
    "Picture",
    "Question",
    "Receipt",
    "Route",
    "SearchModel",
    "ViewInfo",
    "items_of_folder",
    "items_of_records",
    "items_of_table",
]


def __getattr__(name: str) -> Any:
    """What needs a model, imported when first asked for: timm and transformers take seconds to import."""
    if name == "Gallery":
        from irm.retrieval.gallery import Gallery

        return Gallery
    if name == "SearchModel":
        from irm.retrieval.model import SearchModel

        return SearchModel
    raise AttributeError(f"module 'irm.retrieval' has no attribute {name!r}")
