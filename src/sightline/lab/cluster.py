"""The jobs of a comparison on the nodes of a Ray cluster: the comparing process's side. Imports no torch.

Each job is a task of Ray's, which places it where as many cores as it has threads are free; there a worker process does
it, the same that would do it here (`lab.cluster_node`). A job whose node is lost has died, like one whose process is
killed. All nodes must share the directory of the comparison and its data, under the same paths.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, final

from sightline.core.config import decode, encode
from sightline.core.errors import EnvironmentFault, InputError, one_line
from sightline.core.files import parse_json_object
from sightline.lab import cluster_node
from sightline.lab.executor import Executor, Meanwhile, Running
from sightline.lab.jobs import Failure, Job
from sightline.lab.processes import GRACE_S

T = TypeVar("T")
POLL_S = 0.5
PATIENCE_S = 10.0  # for an answer from the address
FLAG = "--cluster"


@final
@dataclass(frozen=True)
class ClusterNode:
    """A node of the cluster: Ray's identifier, a name that no other one has, and its cores and GPUs."""

    id: str
    name: str
    cores: int
    gpus: int


@final
class ClusterJob(Running):
    """A job that was given to the cluster; `reference` is Ray's, of what `cluster_node.do` returns."""

    def __init__(self, job: Job, reference: Any) -> None:
        self._job, self.reference = job, reference
        self._answer: dict[str, Any] = {}
        self._node = ""

    @property
    def progress(self) -> dict[str, Any]:
        """The latest message, by way of the shared directory."""
        try:
            return json.loads((self.job.directory / cluster_node.PROGRESS).read_bytes())
        except (OSError, ValueError):
            return {"stage": "waiting for a node"}

    @property
    def job(self) -> Job:
        return self._job

    @property
    def node(self) -> str:
        """The name of the node that did it."""
        return self._node

    def take(self, answer: dict[str, Any], node: str) -> None:
        """Record what the node answered, or that it was lost: `{"died": "…"}`."""
        self._answer, self._node = answer, node

    @property
    def died(self) -> bool:
        """Whether its process, or its node, ended without a result."""
        return "died" in self._answer

    def failure(self) -> Failure | None:
        if self.died:
            return Failure("failed", self._answer["died"])
        failure = self._answer["failure"]
        return None if failure is None else decode(Failure, failure, where="the answer of a node")

    def result(self, kind: type[T]) -> T:
        place = self.job.directory
        return decode(kind, parse_json_object(self._answer["result"].encode(), where=place), where=str(place))


@final
class ClusterExecutor(Executor[ClusterJob]):
    """Gives jobs to a running Ray cluster. `address` is "auto", for the one of this machine, or HOST:PORT.

    Raises:
        EnvironmentFault: "--cluster needs Ray: pip install 'sightline[ray]'"; no cluster answers at the address.
        InputError: an address of Ray's client, ray://…
    """

    def __init__(self, address: str) -> None:
        self.active: list[ClusterJob] = []
        self._ray = connected(address)
        self.nodes = nodes_of([node for node in self._ray.nodes() if node["Alive"]])
        if not self.nodes:
            raise EnvironmentFault(f"{FLAG}={address}: the cluster has no node with a core")
        self._names = {node.id: node.name for node in self.nodes}

    @property
    def cores(self) -> list[int]:
        """The cores of each node."""
        return [node.cores for node in self.nodes]

    @property
    def gpus(self) -> int:
        """The GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    def described(self) -> dict[str, Any]:
        """The nodes, for the results."""
        return {"cluster": [{"node": node.name, "cores": node.cores, "gpus": node.gpus} for node in self.nodes]}

    def open(self, workers: int, threads: int, directory: Path) -> None:
        """Check that every node has this version and shares the directory.

        Raises:
            EnvironmentFault: "--cluster: node b does not see OUT: …".
        """
        token = directory / f".{uuid.uuid4().hex}"
        token.write_text("of the comparing process", encoding="ascii")
        try:
            pinned_to = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
            looking: Any = self._ray.remote(num_cpus=0, max_retries=0)(cluster_node.unfit)
            pinned = [pinned_to(node.id, soft=False) for node in self.nodes]
            needed = cluster_node.needed(token.resolve())
            asked = [looking.options(scheduling_strategy=place).remote(*needed) for place in pinned]
            for node, reference in zip(self.nodes, asked, strict=True):
                if (reason := self._reason(reference)) is not None:
                    raise EnvironmentFault(f"{FLAG}: node {node.name} {reason}")
        finally:
            token.unlink(missing_ok=True)

    def _reason(self, reference: Any) -> str | None:
        """Why a node is unfit."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines()
            return f"cannot run sightline: {lines[-1] if lines else type(error).__name__}"

    def start(self, job: Job, threads: int) -> None:
        """Give a job to the cluster, which begins it when a node has the cores."""
        with_gpu = self.gpus > 0 and job.config.device != "cpu"
        task: Any = self._ray.remote(num_cpus=threads, num_gpus=int(with_gpu), max_retries=0)(cluster_node.do)
        (job.directory / cluster_node.PROGRESS).unlink(missing_ok=True)
        settled = {"directory": str(job.directory.absolute()), "prepared": str(job.prepared.absolute())}
        self.active.append(ClusterJob(job, task.remote({**encode(job), **settled}, threads, os.getcwd())))

    def wait_for_one(self, meanwhile: Meanwhile) -> list[ClusterJob]:
        """Wait until a job ends; return all that have."""
        ready: list[Any] = []
        while self.active and not ready:
            references = [running.reference for running in self.active]
            ready, _ = self._ray.wait(references, num_returns=len(references), timeout=POLL_S, fetch_local=False)
            meanwhile(self.active)
        ended = [running for running in self.active if running.reference in ready]
        self.active = [running for running in self.active if running not in ended]
        for running in ended:
            answer = self._answer(running.reference)
            node = answer.get("node", "")
            running.take(answer, self._names.get(node, node))
        return ended

    def _answer(self, reference: Any) -> dict[str, Any]:
        """The answer of the node; that it died, where the node or Ray's process on it did."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:  # raised by `do` itself
            return {"failure": encode(Failure("failed", one_line(error.cause or error))), "result": None}
        except errors.RayError as error:
            lines = str(error).strip().splitlines()
            return {"died": f"its node was lost ({type(error).__name__}: {lines[0][:200] if lines else ''})"}

    def end(self) -> None:
        """Stop all jobs, which save their state, and leave the cluster, which stays as it was."""
        for running in self.active:
            with suppress(self._ray.exceptions.RayError):
                self._ray.cancel(running.reference, force=False)
        with suppress(self._ray.exceptions.RayError):
            references = [running.reference for running in self.active]
            if references:
                self._ray.wait(references, num_returns=len(references), timeout=GRACE_S, fetch_local=False)
        self.active = []
        self._ray.shutdown()


def nodes_of(listed: Sequence[dict[str, Any]]) -> list[ClusterNode]:
    """The nodes with cores of what `ray.nodes()` lists, by name; nodes on one host are told apart by identifiers."""
    hosts = Counter(node["NodeManagerHostname"] for node in listed)
    nodes = []
    for node in listed:
        host, resources = node["NodeManagerHostname"], node["Resources"]
        name = host if hosts[host] == 1 else f"{host}/{node['NodeID'][:6]}"
        if cores := int(resources.get("CPU", 0)):
            nodes.append(ClusterNode(node["NodeID"], name, cores, int(resources.get("GPU", 0))))
    return sorted(nodes, key=lambda node: node.name)


def connected(address: str) -> Any:
    """The module `ray`, connected to the cluster at `address`; it prints nothing and sends nothing to its makers."""
    if address.startswith("ray://"):
        message = "Ray's client is not supported: run this on a node of the cluster, with --cluster=auto"
        raise InputError(message, where=f"{FLAG}={address}")
    if address != "auto":
        _check_answers(address, address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # of 40 s each, else 20 where what listens is not Ray
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of what it will do one day
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise EnvironmentFault(f"{FLAG} needs Ray: pip install 'sightline[ray]'") from None
    if address == "auto" and (latest := _latest()) is not None:
        _check_answers(address, latest)
    try:
        with _own_signals():
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        line = one_line(error).split(". ")[0]
        raise EnvironmentFault(f"{FLAG}={address}: no Ray cluster answers ({line}): {_ADVICE}") from None
    return ray


def _latest() -> str | None:
    """The HOST:PORT that Ray takes "auto" for: of RAY_ADDRESS, or of the cluster that was started last on this machine,
    though it may have crashed since. None where there was none, or where this version of Ray does not say.
    """
    with suppress(ImportError, AttributeError, TypeError, ConnectionError):
        return import_module("ray._private.services").canonicalize_bootstrap_address("auto")
    return None


def _check_answers(address: str, place: str) -> None:
    """Check that something listens at `place`, HOST:PORT, which `address` means: Ray would try again for minutes.

    Raises:
        InputError: "--cluster=x: expected auto or HOST:PORT".
        EnvironmentFault: "--cluster=auto: no Ray cluster answers at host:6379 (Connection refused): start one …".
    """
    host, colon, port = place.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise InputError("expected auto or HOST:PORT", where=f"{FLAG}={address}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        at = "" if place == address else f" at {place}"
        raise EnvironmentFault(f"{FLAG}={address}: no Ray cluster answers{at} ({reason}): {_ADVICE}") from None


_ADVICE = "start one with 'ray start --head', and more nodes with 'ray start --address HOST:PORT'"


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handler of SIGTERM, which `ray.init` replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
