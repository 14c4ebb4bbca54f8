"""The run that tests of search have, for those who look inside it."""

from tests.irm.retrieval.conftest import search_model, tiny_run

__all__ = ["search_model", "tiny_run"]
