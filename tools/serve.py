"""Serve a gallery: `python -m tools.serve --store DIR` starts a search page and an HTTP API."""

import argparse
import contextlib
import ipaddress
import logging
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tools._gallery import Bar
from tools._program import need_libraries, program_parser, run, waiting

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from irm.retrieval import Gallery
    from irm.retrieval.http.settings import ServerSettings

EXAMPLE = """examples:
  python -m tools.serve --store runs/demo/store
  python -m tools.serve --store runs/demo/store --host 0.0.0.0 --token "$(cat token)"   for other machines
  python -m tools.serve --store runs/demo/store --engine postgresql://localhost/people   another engine

The page is at /, the API description at /openapi.json. Put TLS in front before serving other machines.
The token may also be given in INSTRUCT_REID_TOKEN, where other users of this machine cannot read it."""
TOKEN = "INSTRUCT_REID_TOKEN"
LIBRARIES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = program_parser("serve", "Serve a gallery: a page to search with, and an HTTP API.", EXAMPLE)
    made.add_argument(
        "--store", type=Path, metavar="DIR", required=True, help="gallery written by tools.index"
    )
    made.add_argument("--run", type=Path, metavar="RUN", help="run of the model, if it was moved")
    made.add_argument(
        "--engine", default="local", metavar="ENGINE", help="search engine: local, or an address"
    )
    made.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)"
    )
    made.add_argument("--port", type=int, default=8000, metavar="N", help="0 takes any free port (8000)")
    made.add_argument("--token", metavar="TOKEN", help=f"token that clients must send (default: ${TOKEN})")
    made.add_argument(
        "--proxy",
        metavar="ADDRESS",
        help="trust X-Forwarded-For from this proxy (default: from none)",
    )
    made.add_argument(
        "--queue", type=int, default=256, metavar="N", help="maximum number of queued searches (256)"
    )
    made.add_argument("--quiet", action="store_true", help="do not log requests")
    return made


def main() -> None:
    """Parse, open, serve until interrupted."""
    args = parser().parse_args()
    # Heavy imports come after parsing, so that --help and mistyped options answer at once.
    from instructions.errors import InputError
    from irm.retrieval.http.settings import Limits, settings_for

    if not 0 <= args.port <= 65535:
        raise InputError(f"--port is {args.port}; it must be between 0 and 65535")
    if args.queue < 1:
        raise InputError(f"--queue is {args.queue}; it must be greater than zero")
    if args.proxy is not None:
        _check_proxy(args.proxy)
    token = args.token if args.token is not None else os.environ.get(TOKEN) or None
    limits = Limits(queue=args.queue, requests=args.queue + 64)
    settings = settings_for(args.host, token, limits)
    need_libraries("serving", LIBRARIES, extra="serve")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    with _listen(args.host, args.port) as listener:
        with waiting("loading the model"):
            from irm.retrieval import Gallery

            opened = Gallery.open(args.store, run=args.run, engine=args.engine)
        with opened as gallery:
            _serve(gallery, settings, listener, proxy=args.proxy, quiet=args.quiet)


def _check_proxy(address: str) -> None:
    """Refuse a trusted proxy that is not an address.

    Raises:
        InputError: it is neither an address nor a network.
    """
    from instructions.errors import InputError

    try:
        ipaddress.ip_network(address)
    except ValueError:
        raise InputError(
            f"--proxy is {address!r}; give the proxy's own address, e.g. 127.0.0.1, or its network"
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    """The socket to serve on, bound before the model is loaded, so that a taken port is known at once.

    Raises:
        InputError: the address is taken, or not this machine's.
    """
    from instructions.errors import InputError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=1024)
    except OSError as error:
        # Python's own sentence repeats the address; the number of a name that is not resolved is negative.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise InputError(
            f"cannot listen on {host}:{port} ({reason}); choose another --port or --host"
        ) from None


def _config(app: "FastAPI", settings: "ServerSettings", proxy: str | None) -> "uvicorn.Config":
    """The server's configuration; forwarded client addresses are believed only from the proxy."""
    import uvicorn

    return uvicorn.Config(
        app,
        access_log=False,  # ours names neither queries nor images
        log_config=None,
        server_header=False,
        proxy_headers=proxy is not None,  # otherwise any local client could claim any address
        forwarded_allow_ips=proxy,
        timeout_keep_alive=65,  # longer than clients keep idle connections, to close none under a request
        timeout_graceful_shutdown=int(settings.limits.answer_seconds),
        limit_concurrency=4 * settings.limits.requests,  # connections, idle ones included
    )


def _serve(
    gallery: "Gallery",
    settings: "ServerSettings",
    listener: socket.socket,
    *,
    proxy: str | None,
    quiet: bool,
) -> None:
    """Serve until SIGINT or SIGTERM; requests accepted by then are still answered."""
    import uvicorn

    from irm.retrieval.http.app import build_app

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("irm.retrieval.http").setLevel(logging.WARNING if quiet else logging.INFO)
    config = _config(build_app(gallery, settings), settings, proxy)
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    info = gallery.info()
    print(f"{info.images} images of {info.people} people, model {info.model}, searched by {info.engine}")
    who = "clients with the token" if settings.token else "this machine only"
    with Bar(Console(markup=False)) as show:
        gallery.warm(show)
    print(f"serving {who} at http://{name}:{port}/ (Ctrl-C ends)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # by then the server has answered what it had accepted
        uvicorn.Server(config).run(sockets=[listener])
    print("stopped")


if __name__ == "__main__":
    run(main)
