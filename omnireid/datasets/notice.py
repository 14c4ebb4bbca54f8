"""Generates the table of data set terms in NOTICE.md from the cards, so that the two cannot disagree."""

from __future__ import annotations

from collections.abc import Iterable

from omnireid.datasets.card import DatasetCard
from omnireid.datasets.catalog import DATASETS, WITHDRAWN

BEGIN, END = "<!-- cards: begin -->", "<!-- cards: end -->"
COLUMNS = ("Data set", "Where", "How to get it", "Licence", "Consent", "Cite")


def all_cards() -> list[DatasetCard]:
    """Cards of the available data sets, then of the withdrawn ones."""
    return [dataset.card for dataset in (*DATASETS.values(), *WITHDRAWN.values())]


def terms_table(cards: Iterable[DatasetCard]) -> str:
    """A Markdown table, one row per card."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS)]
    for card in cards:
        title = f"**{card.title} (withdrawn)**" if card.withdrawn else card.title
        rows.append((title, card.homepage, card.access, card.licence, card.consent, card.citation))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_table(text: str) -> str:
    """NOTICE.md with the table between its two marks regenerated."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{terms_table(all_cards())}\n{END}{after}"
