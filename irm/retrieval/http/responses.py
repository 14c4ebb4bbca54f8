"""What the server answers, as types: the schemas of the OpenAPI document."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict

from instructions import BANKS
from irm.retrieval import Answer, Explanation, Facets, Info
from irm.retrieval.http.settings import ServerSettings
from irm.retrieval.views import sentence_of
from omnireid.tasks import TASKS, InstructionSettings


class RouteBody(BaseModel):
    """How a free text was understood; ``view`` of a search overrides it."""

    model_config = ConfigDict(from_attributes=True)

    view: str
    nearest: str
    similarity: float
    reason: str


class HitBody(BaseModel):
    """One image of a ranked list, by number and by its key; ``/v1/images/{image}/thumbnail`` shows it."""

    model_config = ConfigDict(from_attributes=True)

    rank: int
    image: int
    key: str
    score: float
    stage: str
    percent: int | None
    chance: float
    says: str
    pid: int | None
    camid: int | None
    taken: float | None
    dataset: str | None
    modality: str
    width: int
    height: int


class AnswerBody(BaseModel):
    """A page of a ranked list and how it was obtained."""

    hits: list[HitBody]
    total: int
    first: int
    task: str
    view: str
    instruction: str
    route: RouteBody | None
    warning: str | None
    legend: str  # what the figures of the hits mean
    space: str
    engine: str
    seconds: float
    load_seconds: float
    embed_seconds: float


class ExplanationBody(BaseModel):
    """Attention maps (0 to 1, rows from the top), gate values, and the attention given to each word."""

    query: list[list[float]] | None
    hit: list[list[float]]
    gates: list[float]
    words: list[tuple[str, float]]
    task: str
    view: str
    score: float | None


class TaskBody(BaseModel):
    """One of the six tasks, with the instructions that its images can be given."""

    name: str
    title: str
    query: str
    instruction: str
    canonical: str | None
    bank: list[str]


class ViewBody(BaseModel):
    """One embedding of each image: its instruction on the gallery side."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    title: str
    num_vectors: int
    complete: bool


class IndexBody(BaseModel):
    """What can be searched here, and how."""

    images: int
    people: int
    model: str
    engine: str
    created: float
    views: list[ViewBody]
    tasks: list[TaskBody]
    camids: dict[int, int]
    datasets: dict[str, int]
    modalities: dict[str, int]
    first: float | None
    last: float | None
    can_erase: bool
    limits: dict[str, int]


class HealthBody(BaseModel):
    """Whether the server is running or ready to answer."""

    status: str
    waiting: int = 0


def answer_body(answer: Answer, first: int) -> AnswerBody:
    """A page of hits, beginning after the first ``first``."""
    hits = [{**_fields(hit, HitBody), "says": hit.says()} for hit in answer.hits]
    return AnswerBody.model_validate(
        {**_fields(answer, AnswerBody), "hits": hits, "first": first, "legend": answer.legend()}
    )


def _fields(thing: object, body: type[BaseModel]) -> dict[str, Any]:
    """The fields of a dataclass that its body shows."""
    return {name: getattr(thing, name) for name in body.model_fields if hasattr(thing, name)}


def explanation_body(explanation: Explanation) -> ExplanationBody:
    """Maps as lists, to three decimals."""
    return ExplanationBody(
        query=None if explanation.query is None else explanation.query.round(3).tolist(),
        hit=explanation.hit.round(3).tolist(),
        gates=[float(gate) for gate in explanation.gates],
        words=[(word, float(weight)) for word, weight in explanation.words],
        task=explanation.task,
        view=explanation.view,
        score=explanation.score if math.isfinite(explanation.score) else None,
    )


def index_body(
    info: Info, facets: Facets, asking: InstructionSettings, settings: ServerSettings
) -> IndexBody:
    """What the page needs to draw itself; neither folders nor file names. A task says what its run says."""
    limits = settings.limits
    return IndexBody(
        images=info.images,
        people=info.people,
        model=info.model,
        engine=info.engine,
        created=info.created,
        views=[ViewBody.model_validate(view) for view in info.views],
        tasks=[
            TaskBody(
                name=task.name,
                title=task.title,
                query=task.query,
                instruction=task.instruction,
                canonical=sentence_of(task.name, asking),
                bank=list(BANKS[task.bank]) if task.bank else [],
            )
            for task in TASKS.values()
            if task.name in info.tasks
        ],
        camids=facets.camids,
        datasets=facets.datasets,
        modalities=facets.modalities,
        first=facets.first,
        last=facets.last,
        can_erase=settings.token is not None,
        limits={
            "image_bytes": limits.image_bytes,
            "pictures": limits.pictures,
            "text": limits.text,
            "page": limits.page,
        },
    )
