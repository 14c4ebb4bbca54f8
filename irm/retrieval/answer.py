"""The answer to a search: ranked hits with scores a person can read, and how the question was understood."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

Stage = Literal["cosine", "re-ranked", "re-scored"]
COLUMNS = (  # of a CSV
    "rank", "image", "key", "score", "stage", "percent", "chance", "pid", "camid", "taken", "dataset",
)  # fmt: skip
MEANINGS = {  # of a hit's figures, in the words of docs/search.md; the docs say how they are computed
    "cosine": "Score: cosine similarity.",
    "re-scored": "Score: match logit of text and image, not comparable with cosines.",
    "percent": "P %: of this gallery's pairs of images with such a cosine, P % show the same person.",
    "chance": "1 in N: about one in N images of this gallery would have as high a cosine by accident; an N "
    "below the number of images searched says little.",
}


@dataclass(frozen=True)
class Hit:
    """One gallery image of a ranked list."""

    rank: int  # from 1
    image: int
    score: float  # cosine similarity; the match logit where a text query was re-scored
    stage: Stage
    percent: int | None  # of this gallery's pairs with such a score, that show one person; None: no labels
    chance: float  # share of the gallery's images expected to score as high by accident
    key: str
    pid: int | None
    camid: int | None
    taken: float | None  # unix seconds
    dataset: str | None
    modality: str
    width: int
    height: int

    def rarity(self) -> str:
        """The chance for people.

        It names at most a billion; a normal curve says nothing of what is rarer still.
        """
        return f"1 in {round_for_people(1 / max(self.chance, 1e-9))}"

    def says(self) -> str:
        """The score for people: how often such a score means one person, and how rare it is."""
        return self.rarity() if self.percent is None else f"{self.percent} %, {self.rarity()}"


@dataclass(frozen=True)
class Route:
    """How a free text was understood: the nearest known sentence, and the view that this implies."""

    view: str
    nearest: str
    similarity: float
    reason: str  # one sentence for people


@dataclass(frozen=True)
class Answer:
    """A page of a ranked list."""

    hits: tuple[Hit, ...]
    total: int  # images searched, after filters
    task: str
    view: str
    instruction: str  # given with the query images
    route: Route | None
    warning: str | None
    space: str
    engine: str
    seconds: float
    load_seconds: float  # of these, reading the view into memory, the first time that a process asks it
    embed_seconds: float  # of these, the encoder

    def legend(self) -> str:
        """What the figures of its hits mean."""
        stages = {hit.stage for hit in self.hits}
        said = {
            "cosine": bool(stages - {"re-scored"}),
            "re-scored": "re-scored" in stages,
            "percent": any(hit.percent is not None for hit in self.hits),
            "chance": bool(self.hits),
        }
        return " ".join(MEANINGS[name] for name, is_shown in said.items() if is_shown)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "hits": [{**asdict(hit), "says": hit.says()} for hit in self.hits]}

    def as_csv(self) -> str:
        """The ranked list as a table to download."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _plain(cell) for name, cell in asdict(hit).items()} for hit in self.hits)
        return text.getvalue()


@dataclass(frozen=True, eq=False)
class Explanation:
    """What the model looked at, and how far its gates are open."""

    query: Float[np.ndarray, "h w"] | None  # 0..1 over the patches of the first query image
    hit: Float[np.ndarray, "h w"]
    gates: tuple[float, ...]  # one per layer
    words: tuple[tuple[str, float], ...]  # share of the gated attention that each word of the instruction got
    task: str
    view: str
    score: float


def _plain(cell: object) -> object:
    """The cell, quoted where a spreadsheet would take it for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def round_for_people(number: float) -> str:
    """Rounded to two significant digits, thousands separated.

    >>> round_for_people(12345.6), round_for_people(3.4)
    ('12 000', '3.4')
    """
    if number < 10:
        return f"{number:.2g}"
    digits = max(0, len(str(int(number))) - 2)
    return f"{round(number / 10**digits) * 10**digits:,}".replace(",", " ")
