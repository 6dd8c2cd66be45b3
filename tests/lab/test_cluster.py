"""A comparison on a cluster, without one: addresses, nodes, answers, and the division of their cores."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sightline
from sightline.core.config import encode
from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.json_text import to_json
from sightline.lab import cluster_node
from sightline.lab.cluster import ClusterJob, ClusterNode, connected, nodes_of
from sightline.lab.jobs import Failure, Job, JobResult, Timed
from sightline.lab.plan import CompareConfig, crew
from sightline.lab.steps import slowest_node
from sightline.training.plan import Speed

CONFIG = CompareConfig(archs=("gru", "lstm"), seeds=3)
JOB = Job("run", CONFIG, Path("run"), Path("prepared"), "gru", 0, "1steps")


def listed(host: str, number: int, **resources: float) -> dict[str, Any]:
    return {"NodeID": f"{number:056x}"[::-1], "NodeManagerHostname": host, "Resources": resources}


def test_nodes_are_named_by_their_hosts_and_told_apart_where_these_are_the_same() -> None:
    nodes = nodes_of([listed("b", 1, CPU=4.0, GPU=2.0), listed("a", 2, CPU=1.0), listed("a", 3, CPU=1.0)])
    assert [(node.name, node.cores, node.gpus) for node in nodes] == [
        ("a/200000", 1, 0),
        ("a/300000", 1, 0),
        ("b", 4, 2),
    ]
    assert nodes_of([listed("head", 4, memory=1.0)]) == []
    assert nodes_of([listed("c", 5, CPU=2.0)]) == [ClusterNode("5" + "0" * 55, "c", 2, 0)]


@pytest.mark.parametrize(
    ("cores", "workers", "expected"),
    [([2], None, (2, 1)), ([8], 3, (3, 2)), ([1, 1], None, (2, 1)), ([4, 2], 2, (2, 2)), ([4, 4], 2, (2, 4)),
     ([8, 1], 2, (2, 4)), ([1], 4, (4, 1)), ([16, 16], None, (9, 3))],
    ids=str,
)  # fmt: skip
def test_no_run_has_threads_on_two_machines(cores: list[int], workers: int | None, expected: tuple[int, int]) -> None:
    """Runs at once and their threads; [4, 2] for two runs: 2 and 2, since three threads fit only on the first."""
    config = replace(CONFIG, archs=("gru", "lstm", "rnn"), workers=workers)
    assert crew(config, cores=cores) == expected


def timed(**step_s: float) -> Timed:
    return Timed({arch: Speed(seconds) for arch, seconds in step_s.items()}, dict.fromkeys(step_s, "batch_size 64"))


def test_the_slowest_node_has_the_longest_steps_over_all_architectures() -> None:
    measured = [timed(gru=0.010, lstm=0.02), timed(gru=0.012, lstm=0.05), timed(gru=0.011, lstm=0.02)]
    assert slowest_node(measured, ["a", "b", "a"]) == "b"
    assert slowest_node(measured, ["", "", ""]) == ""
    partly = [timed(gru=0.02), timed(gru=0.01, lstm=9.0)]  # what only one could measure says nothing
    assert slowest_node(partly, ["a", "b"]) == "a"


def test_ray_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EnvironmentFault, match=r"^--cluster needs Ray: pip install 'sightline\[ray\]'$"):
        connected("auto")


@contextmanager
def silent_port() -> Iterator[int]:
    """A port on which nobody listens, nor can meanwhile."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        yield silent.getsockname()[1]


class Ray:
    """A stand-in for Ray, whose `auto` is the cluster at `latest`, and whose connection fails after all attempts."""

    class exceptions:
        RayError = OSError

    def __init__(self, latest: str | None) -> None:
        self.latest, self.attempts = latest, list[str]()

    def canonicalize_bootstrap_address(self, address: str) -> str:
        if self.latest is None:
            raise ConnectionError("Could not find any running Ray instance. Please specify the one to connect to.")
        return self.latest

    def init(self, address: str, **options: Any) -> None:
        self.attempts.append(os.environ["RAY_NUM_REDIS_GET_RETRIES"])
        if self.latest is None:
            self.canonicalize_bootstrap_address(address)
        raise RuntimeError("Failed to connect to GCS. Last connection error: Traceback …")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], Ray]:
    """Installs such a Ray."""

    def install(latest: str | None) -> Ray:
        ray = Ray(latest)
        monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "ray._private.services", ray)  # type: ignore[arg-type]
        return ray

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_NUM_REDIS_GET_RETRIES", "1")  # so that it is restored
    monkeypatch.delenv("RAY_NUM_REDIS_GET_RETRIES")
    return install


def test_the_latest_cluster_of_this_machine_may_have_crashed(installed: Callable[[str | None], Ray]) -> None:
    """Ray would try its address for a quarter of an hour."""
    with silent_port() as port:
        ray = installed(f"127.0.0.1:{port}")
        refused = (
            rf"^--cluster=auto: no Ray cluster answers at 127\.0\.0\.1:{port} \(Connection refused\): start one with"
        )
        with pytest.raises(EnvironmentFault, match=refused):
            connected("auto")
    assert ray.attempts == []


def test_what_listens_and_is_no_cluster_is_tried_once(installed: Callable[[str | None], Ray]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ray = installed(address)
        for named in ("auto", address):
            with pytest.raises(
                EnvironmentFault, match=rf"^--cluster={named}: no Ray cluster answers \(Failed to connect"
            ):
                connected(named)
    assert ray.attempts == ["1", "1"]


def test_where_no_cluster_was_ever_started_ray_says_so(installed: Callable[[str | None], Ray]) -> None:
    installed(None)
    with pytest.raises(
        EnvironmentFault, match=r"^--cluster=auto: no Ray cluster answers \(Could not find any running Ray"
    ):
        connected("auto")


def test_an_address_where_nothing_listens_is_one_line() -> None:
    with silent_port() as port:
        with pytest.raises(
            EnvironmentFault, match=rf"^--cluster=127\.0\.0\.1:{port}: no Ray cluster answers \(Connection"
        ):
            connected(f"127.0.0.1:{port}")
    for address in ("local", "host:", ":6379", "host:port"):
        with pytest.raises(InputError, match="expected auto or HOST:PORT"):
            connected(address)
    with pytest.raises(InputError, match="client is not supported"):
        connected("ray://host:10001")


def test_a_node_that_is_not_like_this_machine_is_unfit(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch()
    needed = cluster_node.needed(token)
    assert cluster_node.unfit(*needed) is None
    own, torch = needed[2:]
    assert cluster_node.unfit(*needed[:2], "9.9", torch) == f"has sightline {sightline.__version__}, this machine 9.9"
    assert "this machine 1.0" in str(cluster_node.unfit(*needed[:3], "1.0"))
    token.unlink()
    assert str(cluster_node.unfit(*needed)).startswith(f"does not see {tmp_path}: all nodes must share it")
    assert str(cluster_node.unfit(str(token), "/nowhere", own, torch)).startswith("does not see /nowhere")


def answered(answer: dict[str, Any]) -> ClusterJob:
    running = ClusterJob(JOB, None)
    running.take(answer, "node-b")
    return running


def test_the_answer_of_a_node_is_a_result_a_failure_or_a_death() -> None:
    result = JobResult(0.25, 1e-3, 1.5, [{"event": "valid", "loss": 0.25}], {"accuracy": None})
    done = answered({"result": to_json(encode(result)), "failure": None})
    assert (done.died, done.failure(), done.result(JobResult), done.node) == (False, None, result, "node-b")
    failure = Failure("diverged", "step 3: the loss is nan", 4)
    failed = answered({"result": None, "failure": encode(failure)})
    assert (failed.died, failed.failure()) == (False, failure)
    lost = answered({"died": "its node was lost"})
    assert (lost.died, lost.failure()) == (True, Failure("failed", "its node was lost"))


def test_the_progress_of_a_job_is_in_the_shared_directory(tmp_path: Path) -> None:
    running = ClusterJob(replace(JOB, directory=tmp_path), None)
    assert running.progress == {"stage": "waiting for a node"}
    cluster_node._tell(tmp_path / cluster_node.PROGRESS, {"stage": "training", "fraction": 0.5})
    assert running.progress == {"stage": "training", "fraction": 0.5}
