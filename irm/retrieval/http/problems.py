"""Errors as JSON: one sentence for people, one word for programs, never a trace, never what was sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from instructions.errors import BrokenError, FullError, HeldError, InputError, near_miss
from irm.retrieval.http.batching import BusyError

log = logging.getLogger("irm.retrieval.http")

RETRY = 5  # seconds after which to ask again for what another process holds
CODES = {  # what a program reads; the sentence is for people and may change
    400: "bad_request",
    401: "token_missing",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "kind_not_taken",
    421: "wrong_host",
    422: "bad_input",
    500: "internal",
    503: "busy",
}


class Problem(HTTPException):
    """A request is refused with a status and a sentence.

    An ``HTTPException``, because FastAPI lets only those through while it reads a form.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, headers)


class ErrorBody(BaseModel):
    """Why a request was refused."""

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """Every answer that is not a success."""

    error: ErrorBody


def problem_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The JSON of an error."""
    error = {"code": CODES.get(status, "error"), "message": " ".join(message.split())}
    return JSONResponse({"error": error}, status, dict(headers) if headers else None)


def add_handlers(app: FastAPI, private: str, forms: Mapping[str, type[BaseModel]]) -> None:
    """Have an application answer every exception in JSON.

    Args:
        app: the application.
        private: a path that nobody is told.
        forms: by their addresses, whose fields are named where an unknown one was sent.
    """

    @app.exception_handler(InputError)
    async def on_input(_: Request, error: InputError) -> JSONResponse:
        if isinstance(error, BrokenError):
            log.error("%s", error)
        told = str(error).replace(private, "this gallery")
        if isinstance(error, (HeldError, FullError)):
            return problem_response(503, told, {"Retry-After": str(RETRY)})
        return problem_response(500 if isinstance(error, BrokenError) else 422, told)

    @app.exception_handler(BusyError)
    async def on_busy(_: Request, error: BusyError) -> JSONResponse:
        return problem_response(503, str(error), {"Retry-After": str(error.seconds)})

    @app.exception_handler(RequestValidationError)
    async def on_validation(request: Request, error: RequestValidationError) -> JSONResponse:
        form = forms.get(request.url.path)
        known = () if form is None else tuple(form.model_fields)
        return problem_response(422, "; ".join(_sentence(dict(entry), known) for entry in error.errors()[:3]))

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> JSONResponse:
        return problem_response(error.status_code, _reason(error), error.headers)

    @app.exception_handler(Exception)
    async def on_bug(_: Request, __: Exception) -> JSONResponse:  # the server that runs us logs the trace
        return problem_response(500, "internal error; see the server's log for details")


def _reason(error: HTTPException) -> str:
    """Our own sentence, or one in place of the framework's two words."""
    if isinstance(error, Problem) or error.status_code not in (404, 405):
        return str(error.detail)
    if error.status_code == 404:
        return "there is nothing at this address; /openapi.json describes the API"
    return f"this address accepts {', '.join(sorted((error.headers or {}).get('Allow', '').split(', ')))}"


def _sentence(entry: dict[str, object], known: Sequence[str]) -> str:
    """Pydantic's complaint about one field, without the value that was sent."""
    place = entry.get("loc")
    names = (
        [str(name) for name in place if name not in ("body", "query", "path")]
        if isinstance(place, tuple)
        else []
    )
    where = ".".join(names) or "the request"
    said = str(entry.get("msg", "not understood")).removeprefix("Value error, ")
    if entry.get("type") == "extra_forbidden":
        return f"there is no field {where!r}{near_miss(where, known)}; known: {', '.join(known)}"
    if said.startswith("Expected UploadFile"):
        return f"{names[0]}: send the content of a file, not text (with curl: -F {names[0]}=@FILE)"
    return f"{where}: {said}"
