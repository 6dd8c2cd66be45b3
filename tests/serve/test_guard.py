"""What stands before every request: hosts, origins, tokens, sizes and times."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sightline.core.errors import InputError
from sightline.serve.guard import Guard, check_token, is_loopback
from sightline.serve.limits import ServerLimits

TOKEN = "0123456789abcdef"
HOSTS = ("localhost", "127.0.0.1", "::1")
JSON = {"content-type": "application/json"}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % len(body)})


def ask(
    method: str = "POST",
    path: str = "/v1/predict",
    headers: Any = None,
    *,
    chunks: Any = (b"{}",),
    limits: ServerLimits | None = None,
    token: str | None = None,
    hosts: Any = HOSTS,
) -> tuple[int, dict[str, str], bytes]:
    """The status, headers and body of the response to one request."""
    measured: list[int] = []
    given = {"host": "127.0.0.1:8000", **JSON, **(headers or {})}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in given.items() if value is not None]
    messages = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    guard = Guard(
        echo, limits or ServerLimits(), token=token, hosts=hosts, measure=lambda _, status, s: measured.append(status)
    )
    scope = {"type": "http", "method": method, "path": path, "headers": pairs}
    asyncio.run(guard(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert measured == [sent[0]["status"]]
    assert found["x-content-type-options"] == "nosniff"
    return sent[0]["status"], found, sent[1]["body"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:8000", 421),
        ("localhost@evil.example", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_the_host_must_be_this_server(host: str, status: int) -> None:
    """DNS rebinding: a page of evil.example, whose name now means 127.0.0.1, sends its own name."""
    assert ask(headers={"host": host})[0] == status
    assert ask("GET", headers={"host": host})[0] == status


def test_any_host_is_right_where_a_token_is_asked_for() -> None:
    headers = {"host": "models.example", "authorization": f"Bearer {TOKEN}"}
    assert ask(headers=headers, token=TOKEN, hosts=None)[0] == 200


def test_a_request_without_a_host_is_refused() -> None:
    assert ask(headers={"host": None})[0] == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "http://127.0.0.1:8001"}, 403),  # another program's page on this machine
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "http://[1]"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),  # what a form of another site can send
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": None}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-encoding": "gzip"}, 415),
        ({"content-encoding": "identity"}, 200),
    ],
)
def test_requests_of_other_sites_are_refused(headers: dict[str, Any], status: int) -> None:
    assert ask(headers=headers)[0] == status


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer", 401),
        ("Bearer ÿ", 401),
        (None, 401),
    ],
)
def test_a_token_is_asked_for(authorization: str | None, status: int) -> None:
    answered, headers, body = ask(headers={"authorization": authorization}, token=TOKEN)
    assert answered == status
    if status == 401:
        assert headers["www-authenticate"] == "Bearer"
        assert TOKEN not in body.decode()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/docs", 200), ("/health", 200), ("/maps/abc", 200), ("/metrics", 401), ("/v1/models", 401),
     ("//", 401), ("/docs/", 401), ("/v1/predict", 401)],
)  # fmt: skip
def test_only_pages_without_answers_are_open(path: str, status: int) -> None:
    assert ask("GET", path, token=TOKEN)[0] == status


def test_a_body_that_is_too_large_is_refused_by_its_length_or_its_bytes() -> None:
    limits = ServerLimits(body_bytes=1024)
    assert ask(chunks=[b"x" * 1024], limits=limits)[2] == b"1024"
    assert ask(headers={"content-length": "1025"}, limits=limits)[0] == 413
    assert ask(headers={"content-length": "9" * 30}, limits=limits)[0] == 413
    assert ask(headers={"content-length": "-1"}, limits=limits)[0] == 413
    assert ask(chunks=[b"x" * 1000] * 2, limits=limits)[0] == 413


def test_all_bodies_together_are_bounded() -> None:
    limits = ServerLimits(body_bytes=4096, bodies_bytes=1024)
    status, headers, _ = ask(chunks=[b"x" * 2000], limits=limits)
    assert (status, headers["retry-after"]) == (503, "1")
    assert ask(headers={"content-length": "2000"}, limits=limits)[0] == 503


def test_bodies_that_arrive_at_once_share_one_bound() -> None:
    """Slow clients, each with less than a request may have, cannot fill the memory together."""

    async def run() -> list[int]:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        def slow() -> Any:
            messages = [{"type": "http.request", "body": b"x" * 300, "more_body": True} for _ in range(2)]

            async def receive() -> Any:
                await asyncio.sleep(0)
                return messages.pop() if messages else await asyncio.sleep(60)

            return receive

        limits = ServerLimits(body_bytes=1024, bodies_bytes=1024, body_s=0.2)
        guard = Guard(echo, limits, token=None, hosts=None, measure=lambda *_: None)
        scope = {"type": "http", "method": "POST", "path": "/"}
        headers = [(b"host", b"x"), (b"content-type", b"application/json")]
        await asyncio.gather(*(guard({**scope, "headers": headers}, slow(), send) for _ in range(3)))
        await guard({**scope, "headers": headers}, slow(), send)  # there is room again
        return statuses

    first, second, *later = asyncio.run(run())
    assert (first, second) == (503, 503)  # 3 x 600 bytes
    assert later == [408, 408]


def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    messages = [{"type": "http.request", "body": b"{", "more_body": True}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    guard = Guard(echo, ServerLimits(body_s=0.05), token=None, hosts=None, measure=lambda *_: None)
    headers = [(b"host", b"x"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(guard(scope, receive, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["error"]["code"] == 408


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.0.7", False), ("models.example", False), ("", False)],
)  # fmt: skip
def test_beyond_loopback_a_token_is_needed(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    check_token(TOKEN, host)
    if loopback:
        check_token(None, host)
    else:
        with pytest.raises(InputError, match=r"--host: others reach .*: set SIGHTLINE_TOKEN, or --token"):
            check_token(None, host)


@pytest.mark.parametrize("token", ["short", "", "x" * 15, "0123456789 abcdef", "0123456789abcdeé"])
def test_a_token_that_can_be_guessed_or_sent_by_no_client_is_refused(token: str) -> None:
    with pytest.raises(InputError, match="--token: "):
        check_token(token, "127.0.0.1")
