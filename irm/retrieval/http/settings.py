"""What a server of searches allows: sizes, numbers, seconds, and who may ask."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from instructions.errors import InputError

MIB = 1024 * 1024
MIN_TOKEN = 16  # characters


@dataclass(frozen=True)
class Limits:
    """Bounds that keep one client from taking the machine away from the others."""

    body_bytes: int = 24 * MIB  # of a whole request
    image_bytes: int = 12 * MIB  # of one image; a telephone's photograph has 3 to 8
    max_pixels: int = 25_000_000  # of one image, refused before it is decoded; a telephone's has 12 million
    min_side: int = 8  # pixels; nobody can be seen in less
    pictures: int = 8  # of the wanted person, and as many of others
    text: int = 600  # characters; a model reads 70 tokens of them
    page: int = 100  # hits of one answer
    depth: int = 10_000  # the deepest hit that can be paged to
    requests: int = 320  # under way at once, bodies of which are being read or answered
    queue: int = 256  # searches that wait for the model
    batch: int = 16  # searches that are embedded together
    explanations: int = 16  # that wait for the model
    decoders: int = 2  # images decoded at once
    body_seconds: float = 30.0  # for a body to arrive
    answer_seconds: float = 60.0  # for an answer to be there


@dataclass(frozen=True)
class ServerSettings:
    """How one server is set up; ``token`` None lets everybody on this machine ask, and nobody erase."""

    token: str | None = None
    hosts: tuple[str, ...] | None = None  # names the server answers to; None: any
    limits: Limits = field(default_factory=Limits)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def settings_for(host: str, token: str | None, limits: Limits | None = None) -> ServerSettings:
    """What listening on an address asks for.

    Without a token only this machine's own names are answered to, so that no web page elsewhere can reach
    the server by having a name of its own point here.

    Raises:
        InputError: others could reach the server without a token, or the token could be guessed.
    """
    if token is not None and (len(token) < MIN_TOKEN or not (token.isascii() and token.isprintable())):
        raise InputError(
            f"the token has {len(token)} characters; give at least {MIN_TOKEN} plain ones, "
            'e.g. from python -c "import secrets; print(secrets.token_urlsafe(24))"'
        )
    if token is None and not is_loopback(host):
        raise InputError(
            f"--host {host} can be reached from other machines, so the server requires a token: pass "
            "--token, set INSTRUCT_REID_TOKEN, or listen on 127.0.0.1"
        )
    hosts = tuple(dict.fromkeys(("localhost", "127.0.0.1", "[::1]", host))) if token is None else None
    return ServerSettings(token, hosts, limits or Limits())
