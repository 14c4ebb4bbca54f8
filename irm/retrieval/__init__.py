"""Search: a gallery indexed once, then asked with an image, a sentence, a shirt, or all of them."""

from irm.retrieval.answer import Answer, Explanation, Hit, Route
from irm.retrieval.audit import AuditEntry
from irm.retrieval.erasure import Receipt
from irm.retrieval.gallery import Gallery
from irm.retrieval.indexing import Added
from irm.retrieval.info import Facets, Info, ViewInfo
from irm.retrieval.items import Item, items_of_folder, items_of_records, items_of_table
from irm.retrieval.model import SearchModel
from irm.retrieval.question import Filter, Picture, Question
from irm.retrieval.views import VIEWS

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
