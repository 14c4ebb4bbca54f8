"""The application: API, guard, static page; nothing in it reads a path that came with a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources

from fastapi import FastAPI, Response, Security

from irm.retrieval import Gallery
from irm.retrieval.http.guard import Guard
from irm.retrieval.http.problems import add_handlers
from irm.retrieval.http.routes import BEARER, FORMS, api, health, measures
from irm.retrieval.http.service import Service
from irm.retrieval.http.settings import ServerSettings

SCRIPTS = ("main.js", "api.js", "dom.js", "look.js", "query.js", "results.js", "session.js")
# Addresses of the page and what is behind each; there are no others.
PAGES: dict[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    **{f"/{name}": (name, "text/javascript; charset=utf-8") for name in SCRIPTS},
}
OPEN = frozenset({*PAGES, "/healthz", "/readyz", "/openapi.json"})  # say nothing of anybody: no token
DESCRIPTION = """Search a gallery of people by images, sentences and clothes images (instruct-ReID).

Errors are JSON: `{"error": {"code", "message"}}`. A server with a token requires the header
`Authorization: Bearer TOKEN`. A 503 carries `Retry-After`. Similarity is not identification."""


def build_app(gallery: Gallery, settings: ServerSettings | None = None) -> FastAPI:
    """The application around an open gallery, which stays the caller's to close.

    Args:
        gallery: what is searched.
        settings: limits, token and host names; by default open to whoever reaches it, for tests and for
            embedding in another application. ``settings_for`` refuses the unsafe ones.
    """
    settings = settings or ServerSettings()
    service = Service(gallery, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="instruct-reid",
        description=DESCRIPTION,
        version="1",
        docs_url=None,  # the pages that FastAPI serves there load their scripts from the internet
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.service = service
    add_handlers(app, private=str(gallery.catalog.folder), forms=FORMS)
    app.include_router(health)
    for router in (api, measures):
        app.include_router(router, dependencies=[] if settings.token is None else [Security(BEARER)])
    for address, (name, kind) in PAGES.items():
        _serve_page(app, address, name, kind)
    app.add_middleware(Guard, settings=settings, open_paths=OPEN, metrics=service.metrics)
    return app


def _serve_page(app: FastAPI, address: str, name: str, kind: str) -> None:
    """Serve one file of the package, read once."""
    content = resources.files("irm.retrieval.http").joinpath("static", name).read_bytes()

    @app.api_route(address, methods=["GET", "HEAD"], include_in_schema=False)
    async def page() -> Response:
        return Response(content, media_type=kind)
