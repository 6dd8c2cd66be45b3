"""A server under load: every answer right, none lost, memory flat, and what batching gains beside one by one.

    make verify-serve
    make verify-serve ARGS="--seconds 10 --requests 200"

A small encoder-decoder is trained on built-in dates and served in a process of its own. A hundred clients ask it at
once, for a minute; then a server that computes one input at a time is asked in the same way, and a single client asks
the first one. They are asked in turns, several times, as other work of the machine would blur one measurement. Then
wrong requests are sent, those that schemathesis makes of the server's own OpenAPI document, and SIGTERM ends the
server while it is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

CLIENTS = 100
TURNS = 3
LEAST_GAIN = 3.0
MOST_GROWTH_BYTES = 40 << 20
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"


class Load(NamedTuple):
    """What clients met: seconds of each answer, answers that were wrong, and requests without one."""

    latencies_s: list[float]
    wrong: int
    lost: int
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.latencies_s) / self.seconds

    def line(self) -> str:
        ordered = sorted(self.latencies_s)
        p50, p99 = (1000 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
        return (
            f"{len(ordered):,} answers in {self.seconds:.0f} s, {self.rate:.0f} a second, p50 {p50:.0f} ms, "
            f"p99 {p99:.0f} ms; {self.wrong} wrong, {self.lost} lost"
        )


class Server:
    """`sightline serve` in a process of its own."""

    def __init__(self, *arguments: Any) -> None:
        command = [sys.executable, "-m", "sightline", "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[2]
        self.host, _, self.port = self.address.removeprefix("http://").rpartition(":")

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


async def client(
    server: Server, texts: list[str], expected: dict[str, str], until: float, first: int, load: Any
) -> None:
    """One client on one connection, which asks until the time is over."""
    reader, writer = await asyncio.open_connection(server.host, int(server.port))
    number = first
    while time.perf_counter() < until:
        text = texts[number % len(texts)]
        number += 1
        began = time.perf_counter()
        try:
            status, body, last = await ask(reader, writer, server.address, text)
        except ConnectionRefusedError:
            load["lost"] += not load.get("ending")
            return
        except (OSError, asyncio.IncompleteReadError):
            load["lost"] += 1
            return
        load["latencies"].append(time.perf_counter() - began)
        if status != 200 or body["predictions"][0]["output"] != expected[text]:
            load["wrong"] += 1
        if last:  # the server says that it takes nothing more on this connection
            break
    writer.close()


async def ask(reader: Any, writer: Any, address: str, text: str) -> tuple[int, Any, bool]:
    """The status and the body of an answer, and whether it is the last one of the connection."""
    content = json.dumps({"inputs": [text]}).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: {address[7:]}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    await writer.drain()
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError) as error:
        if getattr(error, "partial", b""):
            raise
        # A server that ends closes idle connections: a request that meets this was not accepted.
        raise ConnectionRefusedError from None
    size = int(re.search(rb"content-length: (\d+)", answer.lower())[1])
    last = b"connection: close" in answer.lower()
    return int(answer.split()[1]), json.loads(await reader.readexactly(size)), last


def loaded(server: Server, texts: list[str], expected: dict[str, str], seconds: float, clients: int) -> Load:
    """What so many clients meet in so many seconds."""

    async def run() -> Load:
        load: dict[str, Any] = {"latencies": [], "wrong": 0, "lost": 0}
        began = time.perf_counter()
        asking = (client(server, texts, expected, began + seconds, 7 * number, load) for number in range(clients))
        await asyncio.gather(*asking)
        return Load(load["latencies"], load["wrong"], load["lost"], time.perf_counter() - began)

    return asyncio.run(run())


def trained(folder: Path, task: str, data: str, arch: str, budget: str) -> Path:
    """A run of a small model."""
    run = folder / task
    command = [sys.executable, "-m", "sightline", "train", "--task", task, "--data", data, "--arch", arch,
               "--budget", budget, "--out-dir", str(run), "--quiet"]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return run


def malformed(server: Server, requests: int) -> list[str]:
    """The problems that schemathesis finds; the number of its requests is in the server's own counters."""
    before = counted(server)
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder, "openapi.json")
        document.write_text(json.dumps(with_names(got(server, "/openapi.json"), models_of(server))))
        # Five endpoints that take a body share the requests, right and wrong ones of each, and have fixed ones too.
        arguments = ["run", str(document), "--url", server.address, "--checks", CHECKS, "--mode", "all",
                     "--max-examples", str(requests // 7), "--phases", "examples,coverage,fuzzing", "--seed", "1",
                     "--request-timeout", "60", "--exclude-path", "/metrics", "--no-color"]  # fmt: skip
        done = subprocess.run(
            [str(Path(sys.executable).with_name("schemathesis")), *arguments],
            check=False,
            cwd=folder,  # where it leaves its cache
            capture_output=True,
            text=True,
        )
    statuses = {status: count - before.get(status, 0) for status, count in counted(server).items()}
    print(f"wrong requests: {sum(statuses.values()):,} by schemathesis, statuses {dict(sorted(statuses.items()))}")
    problems = [] if done.returncode == 0 else [f"schemathesis: {done.stdout[-3000:]}"]
    if sum(statuses.values()) < requests:
        problems.append(f"only {sum(statuses.values())} wrong requests were sent")
    if any(status >= 500 and status != 504 for status in statuses):
        problems.append(f"errors of the server: {statuses}")
    return problems


def with_names(document: Any, names: list[str]) -> Any:
    """An OpenAPI document in which a model is one of these, so that requests reach the models."""
    if isinstance(document, list):
        return [with_names(one, names) for one in document]
    if not isinstance(document, dict):
        return document
    changed = {key: with_names(value, names) for key, value in document.items()}
    for key, value in changed.items():
        if key == "model":
            changed[key] = {"enum": names} if isinstance(value, dict) else names[0]
        elif key == "models":
            changed[key] = {**value, "items": {"enum": names}} if isinstance(value, dict) else names[:1]
    return changed


def got(server: Server, path: str) -> Any:
    with urlopen(f"{server.address}{path}") as answer:
        return json.load(answer)


def models_of(server: Server) -> list[str]:
    return [model["id"] for model in got(server, "/v1/models")["data"]]


def counted(server: Server) -> dict[int, int]:
    """The number of requests by status."""
    found: dict[int, int] = {}
    with urlopen(f"{server.address}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if match := re.fullmatch(r'sightline_requests_total\{.*status="(\d+)"\} ([\d.]+)', line):
                found[int(match[1])] = found.get(int(match[1]), 0) + int(float(match[2]))
    return found


def stopped_under_load(server: Server, texts: list[str], expected: dict[str, str]) -> list[str]:
    """SIGTERM while a hundred clients ask: each request that the server took is answered, and rightly."""

    async def run() -> Load:
        load: dict[str, Any] = {"latencies": [], "wrong": 0, "lost": 0}
        began = time.perf_counter()
        asking = [client(server, texts, expected, began + 60, 7 * number, load) for number in range(CLIENTS)]
        gathered = asyncio.gather(*asking)
        await asyncio.sleep(2)
        load["ending"] = True
        server.process.send_signal(signal.SIGTERM)
        await gathered
        return Load(load["latencies"], load["wrong"], load["lost"], time.perf_counter() - began)

    load = asyncio.run(run())
    status = server.process.wait(60)
    print(f"SIGTERM under load: {load.line()}; exit status {status}")
    problems = [f"wrong or lost: {load.line()}"] if load.wrong or load.lost else []
    return problems + ([] if status == 128 + signal.SIGTERM else [f"exit status {status}"])


def under_load(run: Path, texts: list[str], expected: dict[str, str], seconds: float) -> list[str]:
    """The problems of a hundred clients at once, beside one input at a time and a single client."""
    server, single = Server(run), Server(run, "--batch-size", "1", "--wait-ms", "0")
    loaded(server, texts, expected, 3, CLIENTS)  # everything is allocated once
    before = server.resident_bytes()
    whole = loaded(server, texts, expected, seconds, CLIENTS)
    growth = server.resident_bytes() - before
    print(f"{CLIENTS} clients: {whole.line()}; memory {growth / (1 << 20):+.1f} MiB from {before / (1 << 20):.0f} MiB")
    turn, gains, loads = max(2.0, seconds / 10), [], [whole]
    for _ in range(TURNS):
        batched = loaded(server, texts, expected, turn, CLIENTS)
        one = loaded(single, texts, expected, turn, CLIENTS)
        alone = loaded(server, texts, expected, turn, 1)
        gains.append(batched.rate / one.rate)
        loads += [batched, one, alone]
    print(f"{CLIENTS} clients, one input at a time: {loads[-2].line()}")
    print(f"1 client: {loads[-1].line()}")
    gain = statistics.median(gains)
    print(f"batching: {gain:.1f} times the throughput (turns: {', '.join(f'{one:.1f}' for one in gains)})")
    server.stop()
    single.stop()
    problems = [f"wrong or lost: {load.line()}" for load in loads if load.wrong or load.lost]
    problems += [f"memory grew by {growth} bytes"] if growth > MOST_GROWTH_BYTES else []
    return problems + ([f"batching gains {gain:.1f}, expected {LEAST_GAIN:g}"] if gain < LEAST_GAIN else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of the load of a hundred clients")
    parser.add_argument("--requests", type=int, default=2000, help="wrong requests, at least")
    parser.add_argument("--train", type=float, default=30.0, help="seconds of training")
    parser.add_argument("--run", type=Path, help="a trained run for dates, in place of a training")
    parser.add_argument("--only", choices=("load", "wrong", "stop"), help="one of the three parts")
    flags = parser.parse_args()
    from sightline.tasks.load import load as load_task

    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        run = flags.run or trained(Path(folder), "translation", "builtin:dates", "transformer", f"{flags.train:g}s")
        task, months = load_task(run), ("March", "July", "Dec")
        texts = [f"{day} {month} {year}" for day in (1, 9, 21) for month in months for year in (1999, 2025)]
        expected = dict(zip(texts, task.predict(texts), strict=True))
        if flags.only in (None, "load"):
            problems += under_load(run, texts, expected, flags.seconds)
        if flags.only in (None, "wrong"):
            text = trained(Path(folder), "language", "builtin:stdlib", "gru", "5s")
            server = Server(run, text, "--max-new-tokens", "32", "--timeout", "10")
            problems += malformed(server, flags.requests)
            server.stop()
        if flags.only in (None, "stop"):
            problems += stopped_under_load(Server(run), texts, expected)
    for problem in problems:
        print(f"does not hold: {problem}")
    return 5 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
