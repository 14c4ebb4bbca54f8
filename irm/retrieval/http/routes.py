"""The addresses of the API: search, explain, images, erase, index, health."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Form, Path, Request, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from instructions.errors import BrokenError, HeldError, InputError
from irm.retrieval.catalog import Catalog
from irm.retrieval.http.forms import EraseForm, ExplainForm, SearchForm
from irm.retrieval.http.metrics import KIND
from irm.retrieval.http.problems import RETRY, ErrorAnswer, Problem
from irm.retrieval.http.responses import (
    AnswerBody,
    ExplanationBody,
    HealthBody,
    IndexBody,
    answer_body,
    explanation_body,
    index_body,
)
from irm.retrieval.http.service import Service

REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (401, 403, 404, 408, 413, 415, 421, 422, 500, 503)
}
FORM = Form(media_type="multipart/form-data")
FORMS: dict[str, type[BaseModel]] = {
    "/v1/search": SearchForm,
    "/v1/explain": ExplainForm,
    "/v1/erase": EraseForm,
}
KINDS_OF_FORM = ("multipart/form-data", "application/x-www-form-urlencoded")
NO_ROOM = (
    "the disk is full or not writable for the server, and each search is first written to the audit trail"
)
BEARER = HTTPBearer(auto_error=False, description="The server's token.")  # says so; the guard checks it
ImageId = Annotated[int, Path(ge=0, lt=2**63)]
Known = TypeVar("Known")

health = APIRouter(tags=["health"])
HIDDEN = frozenset({"path", "clothes"})  # of what is held: where files lie on the server


async def takes_forms(request: Request) -> None:
    """Refuse what would be read as an empty form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind and kind not in KINDS_OF_FORM:
        raise Problem(
            415,
            f"send the request as a form, not as JSON: {KINDS_OF_FORM[0]}, or {KINDS_OF_FORM[1]} if it "
            "contains no image",
        )


api = APIRouter(prefix="/v1", tags=["search"], responses=REFUSED, dependencies=[Depends(takes_forms)])


measures = APIRouter(tags=["health"], responses={status: REFUSED[status] for status in (401, 500, 503)})


def service_of(request: Request) -> Service:
    """What the application was made around."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def client_of(request: Request) -> str:
    """Who asks, as the audit trail names it."""
    return f"http {request.client.host if request.client else 'unknown'}"


@health.head("/healthz", include_in_schema=False)
@health.get("/healthz")
async def alive() -> HealthBody:
    """The process is running."""
    return HealthBody(status="alive")


@health.head("/readyz", include_in_schema=False)
@health.get("/readyz", responses={503: {"model": ErrorAnswer}})
async def ready(request: Request) -> HealthBody:
    """The store can be read and written, the model is loaded, and there is room in the queue."""
    service = service_of(request)
    if service.is_closing:
        raise Problem(503, "the server is shutting down", {"Retry-After": "5"})
    if service.searches.waiting >= service.settings.limits.queue:
        raise Problem(503, "the queue of searches waiting for the model is full", {"Retry-After": "2"})
    if not await run_in_threadpool(_can_read, service.gallery.catalog):
        raise Problem(503, "the gallery's store cannot be read", {"Retry-After": str(RETRY)})
    if not await run_in_threadpool(service.gallery.catalog.trail.has_room):
        raise Problem(503, NO_ROOM, {"Retry-After": str(RETRY)})
    return HealthBody(status="ready", waiting=service.searches.waiting)


@measures.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}},
)
async def metrics(request: Request) -> Response:
    """Number of requests answered, by status, their duration, and the number of searches waiting."""
    return Response(service_of(request).metrics.text(), media_type=KIND)


@api.get("/index")
async def index(request: Request) -> IndexBody:
    """What can be searched here, and how."""
    service = service_of(request)
    info = await run_in_threadpool(service.gallery.info)
    facets = await run_in_threadpool(service.gallery.facets)
    return index_body(info, facets, service.gallery.model.asking, service.settings)


@api.post("/search")
async def search(request: Request, form: Annotated[SearchForm, FORM]) -> AnswerBody:
    """Search by images, text, a clothes image, gallery images, or a combination of them."""
    service = service_of(request)
    question = await form.question(service.decode)
    return answer_body(await service.search(question, who=client_of(request)), question.first)


@api.post("/explain")
async def explain(request: Request, form: Annotated[ExplainForm, FORM]) -> ExplanationBody:
    """What the model attended to in a query and in one of its hits."""
    service = service_of(request)
    question = await form.question(service.decode)
    return explanation_body(await service.explain(question, form.image))


@api.get(
    "/images/{image}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}, "description": "A JPEG."}},
)
async def thumbnail(request: Request, image: ImageId) -> Response:
    """The stored thumbnail of an image."""
    content = await _known(service_of(request).gallery.picture, image)
    return Response(content, media_type="image/jpeg")


@api.get("/images/{image}")
async def held(request: Request, image: ImageId) -> dict[str, Any]:
    """All data stored about an image, except where its files are."""
    found = await _known(service_of(request).gallery.held, image)
    return {name: value for name, value in found.items() if name not in HIDDEN}


@api.post("/erase")
async def erase(request: Request, form: Annotated[EraseForm, Form()]) -> dict[str, Any]:
    """Erase people or images from every view, thumbnail and log; only if the server has a token."""
    service = service_of(request)
    if service.settings.token is None:
        raise Problem(
            403,
            "erasing over HTTP requires a server started with --token; or use python -m tools.index erase",
        )
    if not form.pids and not form.images:
        raise Problem(422, "specify what to erase: pids or images")
    receipt = await run_in_threadpool(
        service.gallery.erase, pids=tuple(form.pids), images=tuple(form.images), who=client_of(request)
    )
    return receipt.as_dict()


def _can_read(catalog: Catalog) -> bool:
    """Whether a line of the store comes back; one that is gone is not made anew by asking."""
    try:
        return catalog.file.is_file() and catalog.revision() >= 0
    except (InputError, sqlite3.Error, OSError):
        return False


async def _known(what: Callable[[int], Known], image: int) -> Known:
    """What the gallery says of an image; an unknown one is a 404."""
    try:
        return await run_in_threadpool(what, image)
    except (HeldError, BrokenError):
        raise
    except InputError:
        raise Problem(404, f"there is no image {image} in this gallery") from None
