"""The form a search arrives in, and the question for the engine that it becomes."""

from __future__ import annotations

from typing import Annotated

from fastapi import UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from instructions.errors import InputError
from irm.retrieval import Filter, Question
from irm.retrieval.http.settings import Limits
from irm.retrieval.http.uploads import Decoder
from irm.retrieval.items import time_of

LIMITS = Limits()
Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what a database can hold
ImageId = Annotated[int, Field(ge=0, lt=2**63)]
Word = Annotated[str, Field(max_length=200)]


def _seconds(sent: object) -> object:
    """A number as it is; a time as people write it in Unix seconds, as ``tools.query`` takes it."""
    try:
        return float(str(sent))
    except ValueError:
        pass
    try:
        return time_of(str(sent), "")
    except InputError:
        raise ValueError("not a time; write 2026-01-31, 2026-01-31T18:30 (UTC) or Unix seconds") from None


Seconds = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=float | str),
    Field(allow_inf_nan=False, ge=-1e12, le=1e12),  # some thirty thousand years
]


class SearchForm(BaseModel):
    """A search by images, text, a clothes image, or several (multipart; a list is a repeated field)."""

    model_config = ConfigDict(extra="forbid")

    images: list[UploadFile] = Field(
        [], description="Images of the person to find; the features of several images are averaged."
    )
    negatives: list[UploadFile] = Field([], description="Images of somebody else.")
    clothes: UploadFile | None = Field(None, description="A clothes image as the instruction.")
    like: list[ImageId] = Field(
        [],
        max_length=LIMITS.pictures,
        description="Ids of gallery images to search with, like uploaded ones.",
    )
    unlike: list[ImageId] = Field([], max_length=64, description="Ids of gallery images of somebody else.")
    text: str | None = Field(
        None,
        max_length=LIMITS.text,
        description="The instruction for an image; without an image, the query itself.",
    )
    task: Word | None = Field(
        None, description="trad, cc, vi, ctcc, li or t2i; if omitted, chosen from the rest of the query."
    )
    view: Word | None = Field(None, description="Gallery view to search; overrides the automatic choice.")
    camids: list[Number] = Field([], max_length=1000, description="Only these cameras.")
    datasets: list[Word] = Field([], max_length=1000, description="Only these data sets.")
    modalities: list[Word] = Field([], max_length=8, description="Only rgb, or only ir.")
    since: Seconds | None = Field(
        None, description="Taken at this time or later: ISO 8601 (UTC if no zone is given) or Unix seconds."
    )
    until: Seconds | None = Field(None, description="Taken at this time or earlier, written likewise.")
    top: int = Field(20, ge=1, le=LIMITS.page, description="Number of hits on this page.")
    first: int = Field(0, ge=0, le=LIMITS.depth, description="Number of hits to skip before this page.")
    re_rank: bool = Field(False, description="Re-rank the top of the list by k-reciprocal neighbours.")

    async def question(self, decode: Decoder) -> Question:
        """What the engine is asked.

        Raises:
            Problem: an image is not taken.
            InputError: the parts do not make a question.
        """
        return Question(
            images=await decode.people(self.images, what="image"),
            like=tuple(self.like),
            negatives=await decode.people(self.negatives, what="image of somebody else"),
            unlike=tuple(self.unlike),
            text=(self.text or "").strip() or None,
            clothes=await decode.clothes(self.clothes),
            task=self.task or None,
            view=self.view or None,
            where=Filter(
                camids=tuple(self.camids),
                datasets=tuple(self.datasets),
                modalities=tuple(self.modalities),
                since=self.since,
                until=self.until,
            ),
            top=self.top,
            first=self.first,
            re_rank=self.re_rank,
        )


class ExplainForm(SearchForm):
    """A search and one of its hits to explain."""

    image: ImageId = Field(description="Image id of the hit.")


class EraseForm(BaseModel):
    """People or images to erase from every view, thumbnail and log."""

    model_config = ConfigDict(extra="forbid")

    pids: list[Number] = Field([], max_length=1000, description="Person ids.")
    images: list[ImageId] = Field([], max_length=1000, description="Image ids.")
