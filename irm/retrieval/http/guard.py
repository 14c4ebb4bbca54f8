"""What stands before every request: size, pace, host and token are checked, and one line is logged."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from irm.retrieval.http.metrics import Metrics
from irm.retrieval.http.problems import Problem, problem_response
from irm.retrieval.http.settings import ServerSettings

log = logging.getLogger("irm.retrieval.http")

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # images of people stay in no cache
}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(
        self, app: ASGIApp, settings: ServerSettings, open_paths: frozenset[str], metrics: Metrics
    ) -> None:
        """Guard an application; ``open_paths`` need no token, ``metrics`` count what was answered."""
        self.app = app
        self.settings = settings
        self.open_paths = open_paths
        self.metrics = metrics
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it before its body is read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        self._under_way += 1
        try:
            self._check(scope, Headers(scope=scope))
            await self.app(scope, self._paced(receive), answer)
        except Problem as problem:
            response = problem_response(problem.status_code, problem.detail, problem.headers)
            await response(scope, receive, answer)
        finally:
            self._under_way -= 1
            # The path names an image at most by its number; queries, forms and images are never logged.
            # Quoted, because a line break in it would begin a line that nobody logged.
            client = quote(scope["client"][0], safe=":") if scope.get("client") else "?"
            seconds = time.perf_counter() - begun
            self.metrics.saw(*_labels(scope), status, seconds)
            log.info("%s %s %s %d %.3f s", client, scope["method"], quote(scope["path"]), status, seconds)

    def _check(self, scope: Scope, headers: Headers) -> None:
        settings = self.settings
        if self._under_way > settings.limits.requests:
            raise Problem(503, "the server has as many requests as it can hold", {"Retry-After": "2"})
        if settings.hosts is not None and host_of(headers.get("host", "")) not in settings.hosts:
            raise Problem(421, f"this server only accepts requests for the host {', '.join(settings.hosts)}")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > settings.limits.body_bytes:
            raise Problem(413, f"the request is longer than {settings.limits.body_bytes} bytes")
        if settings.token is not None and scope["path"] not in self.open_paths:
            kind, _, token = headers.get("authorization", "").partition(" ")
            is_right = hmac.compare_digest(token.strip().encode(), settings.token.encode())
            if kind.lower() != "bearer" or not is_right:
                raise Problem(
                    401,
                    "this server requires its token: send Authorization: Bearer TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )

    def _paced(self, receive: Receive) -> Receive:
        """Reads of a body that together take no longer, and bring no more, than they may."""
        limits = self.settings.limits
        deadline = asyncio.get_running_loop().time() + limits.body_seconds
        is_reading, received = True, 0

        async def read() -> Message:
            nonlocal is_reading, received
            if not is_reading:
                return await receive()  # waits for the client to hang up
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise Problem(
                    408, f"the request was not received completely within {limits.body_seconds:g} s"
                ) from None
            received += len(message.get("body", b""))
            if received > limits.body_bytes:  # a body may come in pieces and not say how long it is
                raise Problem(413, f"the request is longer than {limits.body_bytes} bytes")
            is_reading = bool(message.get("more_body", False))
            return message

        return read


def _labels(scope: Scope) -> tuple[str, str]:
    """Method and pattern of a request's address; what matches none, or was refused before, is "other"."""
    route = getattr(scope.get("route"), "path", "other")
    return (scope["method"] if route != "other" else "other"), route


def host_of(header: str) -> str:
    """The name in a Host header, without its port.

    >>> host_of("localhost:8000"), host_of("[::1]:8000")
    ('localhost', '[::1]')
    """
    return header.rpartition("]")[0] + "]" if header.startswith("[") else header.partition(":")[0].lower()
