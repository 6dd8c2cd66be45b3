"""A server on a port: clients that leave, its end under load, and OpenAI's own client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sightline.cli.app import main
from sightline.core.errors import InputError
from tests.serve.models import Gated, numbers
from tests.tasks.subjects import SUBJECTS
from tests.waiting import PATIENCE_S, wait_until

httpx: Any = pytest.importorskip("httpx", reason="pip install httpx")
serving: Any = pytest.importorskip("tests.serve.serving", reason="pip install 'sightline[serve]'")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return SUBJECTS["language"](tmp_path_factory.mktemp("data")).built()


def post(address: str, path: str, body: Any, token: str = "") -> socket.socket:
    """A connection on which a request was sent."""
    place = urlsplit(address)
    content = json.dumps(body).encode()
    head = [f"POST {path} HTTP/1.1", f"Host: {place.netloc}", "Content-Type: application/json"]
    head += [f"Content-Length: {len(content)}", "Connection: close", f"Authorization: Bearer {token}"]
    connection = socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S)
    connection.sendall("\r\n".join([*head, "", ""]).encode() + content)
    return connection


def answer_of(connection: socket.socket) -> tuple[int, Any]:
    content = b""
    with connection:
        while chunk := connection.recv(1 << 16):
            content += chunk
        reason = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not content and reason:  # the server closed the connection before the request reached it
        raise OSError(reason, os.strerror(reason))
    head, _, body = content.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def received_until(mark: bytes, connection: socket.socket) -> bytes:
    """What came up to a mark, or to the end of the connection."""
    content = b""
    while mark not in content and (chunk := connection.recv(1 << 16)):
        content += chunk
    return content


def waiting(address: str) -> float:
    """The inputs in the queue."""
    return serving.waiting_inputs(httpx.get(f"{address}/metrics", timeout=PATIENCE_S).text)


def test_as_many_connections_as_the_limit_are_answered_and_no_more() -> None:
    with serving.running({"it": numbers()}, serving.patient(connections=1)) as address:
        assert httpx.get(f"{address}/health", timeout=PATIENCE_S).status_code == 200
        place = urlsplit(address)
        with socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S):
            assert httpx.get(f"{address}/health", timeout=PATIENCE_S).status_code == 503
        wait_until(lambda: httpx.get(f"{address}/health", timeout=PATIENCE_S).status_code == 200)


def test_a_client_that_leaves_frees_its_place_at_once() -> None:
    gated = Gated()
    with serving.running({"it": gated}, serving.patient(queue=1, inputs=1, wait_ms=0.0)) as address:
        first = post(address, "/v1/predict", {"inputs": ["first"]})
        wait_until(lambda: gated.batches)
        leaves = post(address, "/v1/predict", {"inputs": ["leaves"]})
        wait_until(lambda: waiting(address) == 1)
        assert answer_of(post(address, "/v1/predict", {"inputs": ["x"]}))[0] == 429
        leaves.close()
        wait_until(lambda: waiting(address) == 0)
        assert gated.batches == [["first"]]  # which is still computed
        stays = post(address, "/v1/predict", {"inputs": ["stays"]})
        wait_until(lambda: waiting(address) == 1)
        gated.gate.set()
        assert answer_of(first)[1]["predictions"][0]["output"] == "tsrif"
        assert answer_of(stays)[0] == 200
    assert gated.batches == [["first"], ["stays"]]


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/generate", {}), ("/v1/completions", {"model": "stories", "stream": True})]
)
def test_a_client_of_a_stream_that_has_not_begun_frees_its_place_at_once(
    path: str, body: dict[str, Any], stories: Any
) -> None:
    gated = Gated(stories)
    with serving.running({"stories": gated}, serving.patient(queue=1, inputs=1, wait_ms=0.0)) as address:
        first = post(address, path, {**body, "prompt": "1"})
        wait_until(lambda: gated.batches)
        leaves = post(address, path, {**body, "prompt": "2"})
        wait_until(lambda: waiting(address) == 1)
        leaves.close()
        wait_until(lambda: waiting(address) == 0)
        assert gated.batches == [["1"]]  # which is still computed
        stays = post(address, path, {**body, "prompt": "3"})
        wait_until(lambda: waiting(address) == 1)
        gated.gate.set()
        for connection in (first, stays):
            with connection:
                assert b"data: " in received_until(b"data: ", connection)
    assert gated.batches == [["1"], ["3"]]


def test_a_generation_whose_client_leaves_ends(stories: Any) -> None:
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.language.generation import GenerationConfig

    (long,) = stories.generate(["1"], GenerationConfig(DecodingConfig(max_length=500)))
    assert long.ended == "limit"  # it would go on
    steps: list[int] = []
    hook = stories.model.embedding.register_forward_hook(lambda *_: steps.append(1))
    with serving.running({"stories": stories}, serving.patient(new_tokens=1_000_000, timeout_s=600.0)) as address:
        with post(address, "/v1/generate", {"prompt": "1", "max_new_tokens": 1_000_000, "greedy": True}) as connection:
            assert b"data: " in received_until(b"data: ", connection)  # head and body may come apart
        wait_until(lambda: _still(steps))
        body = {"prompt": "1", "max_new_tokens": 1, "greedy": True, "stream": False}
        assert answer_of(post(address, "/v1/generate", body))[0] == 200
    hook.remove()
    assert len(steps) < 1_000_000


def test_a_stream_that_takes_too_long_ends_with_an_error(stories: Any) -> None:
    with serving.running({"stories": stories}, serving.patient(new_tokens=1_000_000)) as address:
        for timeout_s in (1, 10, 100):  # a busy machine may not begin to answer within a second
            body = {"prompt": "1", "max_new_tokens": 1_000_000, "greedy": True, "timeout_s": timeout_s}
            response = httpx.post(f"{address}/v1/generate", json=body, timeout=PATIENCE_S)
            if response.status_code == 200:
                break
            assert response.status_code == 504
    *pieces, last = serving.events(response.text)
    assert all(set(piece) == {"text"} for piece in pieces)
    assert last["error"]["code"] == 504
    assert last["error"]["message"] == f"no answer within {timeout_s} s"


def _still(steps: list[int]) -> bool:
    before = len(steps)
    time.sleep(0.3)
    return len(steps) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_that_was_accepted_is_answered_after_a_signal(number: int, tmp_path: Path) -> None:
    numbers().save(tmp_path / "numbers")
    expected = {str(n): numbers().predict(str(n)) for n in range(10)}
    command = [sys.executable, "-m", "sightline", "serve", str(tmp_path / "numbers"), "--port", "0"]
    command += ["--timeout", str(PATIENCE_S)]
    environment = {**os.environ, "SIGHTLINE_TOKEN": serving.TOKEN}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        address = process.stdout.readline().split()[2]
        answers: list[Any] = []
        unanswered: list[str] = []
        stopped = threading.Event()

        def client(text: str) -> None:
            while not stopped.is_set():
                try:
                    connection = post(address, "/v1/predict", {"inputs": [text]}, serving.TOKEN)
                except OSError:
                    return  # not accepted
                try:
                    answers.append((text, *answer_of(connection)))
                except (OSError, IndexError) as error:
                    unanswered.append(repr(error))
                    return

        threads = [threading.Thread(target=client, args=(text,)) for text in expected]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) > 30)
        process.send_signal(number)
        _, log = process.communicate(timeout=PATIENCE_S)
        stopped.set()
        for thread in threads:
            thread.join()
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert "all that was accepted is answered" in log
    assert "Traceback" not in log
    assert {status for _, status, _ in answers} == {200}
    assert all(body["predictions"][0]["output"] == expected[text] for text, _, body in answers)
    assert len(unanswered) <= len(threads)  # connections that the system took and the server never saw
    assert not [
        one for one in unanswered if "IndexError" in one
    ]  # a closed connection without a reset: was it accepted?


def test_clients_that_read_no_more_do_not_keep_the_server_from_its_end() -> None:
    command = [sys.executable, "-m", "tests.serve.loud_server"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        address = process.stdout.readline().strip()
        whole = post(address, "/v1/predict", {"inputs": ["a"]})
        stream = post(address, "/v1/generate", {"prompt": "a"})
        with whole, stream:
            for connection in (whole, stream):
                assert b"200" in connection.recv(12)  # its answer has begun, and nobody reads more of it
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped; 2 connections were cut off: their clients had not read all of an answer within 6 s" in log
    assert "all that was accepted is answered" not in log
    assert "a request failed" not in log
    assert "Traceback" not in log


def test_beyond_loopback_a_token_is_needed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    numbers().save(tmp_path / "numbers")
    assert main(["serve", str(tmp_path / "numbers"), "--host", "0.0.0.0"]) == 2
    assert "--host: others reach 0.0.0.0: set SIGHTLINE_TOKEN, or --token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give the directory of a run to serve"),
        (["nothing"], "nothing: no such directory"),
        (["numbers", "--port", "PORT"], "is in use: choose another"),
        (["numbers", "--host", "no.such.host.invalid", "--token", "0123456789abcdef"], "no address of this machine"),
        (["nothing", "--port", "70000"], "--port: must be between 0 and 65535, found 70000"),
        (["nothing", "--port", "-1"], "--port: must be between 0 and 65535, found -1"),
        (["numbers", "--host", "a..b", "--token", "0123456789abcdef"], "--host: no address of this machine: a..b"),
        (["nothing", "--host", "0.0.0.0"], "--host: others reach 0.0.0.0"),
        (["nothing", "--queue", "0"], "--queue: must be at least 1"),
        (["nothing", "--timeout", "0"], "--timeout: must be above 0 and at most 3600, found 0.0"),
        (["nothing", "--max-characters", "0"], "--max-characters: must be at least 1"),
        (["nothing", "--body-mb", "0"], "--body-mb: must be at least 0.001"),
        (["numbers", "--precision", "int4"], "--precision"),
        (["lines", "--precision", "bf16"], "--precision: lines is a classification model and does not decode"),
        (["lines", "--compiled"], "--compiled: lines is a classification model and does not decode"),
        (["numbers", "--compiled-beam", "99"], "--compiled-beam: must be between 2 and 16, found 99"),
    ],
)
def test_a_wrong_command_is_an_error_in_one_line(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    numbers().save(tmp_path / "numbers")
    SUBJECTS["classification of series"](tmp_path).built().save(tmp_path / "lines")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", *(port if one == "PORT" else one for one in arguments)]) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert len(error.splitlines()) == 1


def test_the_room_for_all_bodies_is_that_for_one_at_least(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Else a request that `--body-mb` allows would be told for ever to try again."""
    limits: list[Any] = []

    def refused(runs: Any, tasks: Any, own: Any, **options: Any) -> Any:
        limits.append(own)
        raise InputError("enough")

    monkeypatch.setattr("sightline.serve.server.application", refused)
    numbers().save(tmp_path / "numbers")
    for megabytes in ("8", "500"):
        assert main(["serve", str(tmp_path / "numbers"), "--body-mb", megabytes]) == 2
    assert [(own.body_bytes >> 20, own.bodies_bytes >> 20) for own in limits] == [(8, 128), (500, 500)]


def test_the_client_of_openai(stories: Any) -> None:
    openai = pytest.importorskip("openai", reason="pip install openai")
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.language.generation import GenerationConfig

    with serving.running({"stories": stories}, token=serving.TOKEN) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key=serving.TOKEN, max_retries=0, timeout=PATIENCE_S)
        assert [model.id for model in client.models.list()] == ["stories"]
        asked = {"model": "stories", "prompt": "1 times", "max_tokens": 8, "seed": 3, "temperature": 0.7}
        whole = client.completions.create(**asked)
        config = GenerationConfig(DecodingConfig(sample=True, temperature=0.7, seed=3, max_length=8))
        assert whole.choices[0].text == stories.generate(["1 times"], config)[0].text
        assert whole.usage.completion_tokens == 8 or whole.choices[0].finish_reason == "stop"
        stream = client.completions.create(**asked, stream=True)
        assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text
        with pytest.raises(openai.NotFoundError, match="unknown model 'storys', did you mean 'stories'"):
            client.completions.create(**{**asked, "model": "storys"})
        with pytest.raises(openai.UnprocessableEntityError, match="logprobs: is not built"):
            client.completions.create(**asked, logprobs=2)
        stranger = openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
