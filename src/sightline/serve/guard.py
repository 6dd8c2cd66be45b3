"""Checks of every request: host, origin, token, size and time of the body; and headers of every response.

A server on loopback can be reached by any page in a browser on the same machine. Such a page is kept out in two ways:
the Host header must name the server as it was started (DNS rebinding), and a request with an Origin must come from the
server's own page, in JSON, which a form cannot send (cross-site request forgery).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, final
from urllib.parse import urlsplit

from sightline.core.errors import InputError
from sightline.serve.limits import ServerLimits
from sightline.serve.refusal import Refusal

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = frozenset({"/", "/docs", "/openapi.json", "/health", "/favicon.ico"})  # have no answers of a model
OPEN_BELOW = "/maps/"  # pages with a secret in their name
LEAST_TOKEN = 16  # characters
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name other than localhost counts as reachable."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_token(token: str | None, host: str) -> None:
    """Refuse to listen beyond loopback without a token, and a token that can be guessed.

    Raises:
        InputError: "--host: others reach 0.0.0.0: set SIGHTLINE_TOKEN, or --token, to 16 characters or
            more"; "--token: has 4 characters, at least 16 are needed".
    """
    if token is None:
        if not is_loopback(host):
            raise InputError(
                f"others reach {host}: set SIGHTLINE_TOKEN, or --token, to {LEAST_TOKEN} characters or more",
                where="--host",
            )
        return
    if len(token) < LEAST_TOKEN:
        raise InputError(f"has {len(token)} characters, at least {LEAST_TOKEN} are needed", where="--token")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise InputError("must be printable ASCII without spaces: it travels in a header", where="--token")


@final
class Guard:
    """ASGI middleware that refuses what it must, and hands on requests whose body has arrived.

    hosts: names that a Host header may have; None = any, for a server that asks for a token
    measure: called with the route, the status and the seconds of each request
    """

    def __init__(
        self,
        app: Application,
        limits: ServerLimits,
        *,
        token: str | None,
        hosts: Sequence[str] | None,
        measure: Callable[[str, int, float], None],
    ) -> None:
        self.app, self._limits, self._measure = app, limits, measure
        self._token = None if token is None else token.encode()
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._held_bytes = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket
            await send({"type": "websocket.close", "code": 1008})
            return
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name.lower() for name, _ in message.get("headers", ())}
                extra = [(key.encode(), value.encode()) for key, value in HEADERS.items() if key.encode() not in own]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        try:
            try:
                self._check(scope)
                with self._room() as take:
                    body = b"" if scope["method"] in ("GET", "HEAD") else await self._body(scope, receive, take)
                    await self.app(scope, _replayed(body, receive), sending)
            except Refusal as refusal:
                if not status:
                    await _send_json(sending, refusal)
        except _ClientGone:
            status = 499  # nobody is there to be answered
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._measure(route, status, time.perf_counter() - began)

    def _check(self, scope: Message) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            raise Refusal(400, "a request needs one Host header")
        host = headers[b"host"]
        if self._hosts is not None and _name_of(host) not in self._hosts:
            raise Refusal(421, f"this server is not {host[:200]!r}: see --allowed-host")
        changing = scope["method"] not in ("GET", "HEAD")
        if changing:
            origin = headers.get(b"origin")
            if origin is not None and _host_of(origin) != host.lower():
                raise Refusal(403, f"requests from {origin[:200]!r} are refused: only the server's own page may ask")
            if headers.get(b"sec-fetch-site", "none") not in ("same-origin", "none"):
                raise Refusal(403, "requests from other sites are refused")
        self._check_token(scope["path"], headers.get(b"authorization", ""))
        if changing:
            kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Refusal(415, f"expected Content-Type: application/json, found {kind[:80]!r}")
            if headers.get(b"content-encoding", "identity").lower() != "identity":
                raise Refusal(415, "a compressed body is not read: send it as it is")

    def _check_token(self, path: str, authorization: str) -> None:
        if self._token is None or path in OPEN or path.startswith(OPEN_BELOW):
            return
        scheme, _, secret = authorization.partition(" ")
        equal = secrets.compare_digest(secret.strip().encode("latin-1"), self._token)
        if scheme.lower() != "bearer" or not equal:
            raise Refusal(
                401, "expected the header Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"}
            )

    @contextmanager
    def _room(self) -> Iterator[Callable[[int], None]]:
        """Room for the bytes of one request, from their arrival to its answer: call the value for more of it."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            self._check_room(size)
            taken += size
            self._held_bytes += size

        try:
            yield take
        finally:
            self._held_bytes -= taken

    def _check_room(self, size: int) -> None:
        if self._held_bytes + size > self._limits.bodies_bytes:
            raise Refusal(503, "too many large requests at once: try again", headers={"Retry-After": "1"})

    async def _body(self, scope: Message, receive: Receive, take: Callable[[int], None]) -> bytes:
        """The body of a request, once it has arrived; `take` is called with the size of each part of it."""
        most = self._limits.body_bytes
        too_large = Refusal(413, f"the request has more than {most} bytes", headers={"Connection": "close"})
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or len(length) > 18 or int(length) > most:
            raise too_large
        self._check_room(int(length))
        try:
            async with asyncio.timeout(self._limits.body_s):
                chunks, size = [], 0
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _ClientGone
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > most:
                        raise too_large
                    take(len(chunk))
                    chunks.append(chunk)
                    if not message.get("more_body"):
                        return b"".join(chunks)
        except TimeoutError:
            raise Refusal(
                408, f"the request did not arrive within {self._limits.body_s:g} s", headers={"Connection": "close"}
            ) from None


@final
class _ClientGone(Exception):
    """The client has left before its request was complete."""


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body once, then what the connection says."""
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _send_json(send: Send, refusal: Refusal) -> None:
    content = json.dumps(refusal.body, ensure_ascii=True).encode()
    headers = {"content-type": "application/json", "content-length": str(len(content)), **refusal.headers}
    pairs = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})


def _host_of(origin: str) -> str | None:
    """The name and port in an Origin header, as a Host header has them; None where it has none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
