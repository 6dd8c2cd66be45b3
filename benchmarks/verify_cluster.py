"""A comparison on a Ray cluster of two nodes has the results of one on this machine, also where a node is killed.

    make cluster        # in an environment of its own, .venv-cluster

The nodes are real Ray processes on this machine, with one core each. A comparison runs without a cluster; on the two
nodes; and again, with one node killed by SIGKILL in the middle, so that the other one does its work too. The three
`results.json` must be equal, times and memory aside. Exit status 5 if they are not, or if no job was lost.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from record import write
from sightline.lab.results import Results
from sightline.lab.timeless import timeless
from sightline.training.environment import installed_version
from verify_kills import COMPARED, MOST_DIFFERENCES, Comparison, children, differences

OUT = Path(__file__).parent / "results" / "cluster.json"
STORE_BYTES = 80 * 2**20  # of each node, close to the least that Ray takes


@contextmanager
def two_nodes() -> Iterator[tuple[str, Any]]:
    """The address of a cluster, and the node beside its head."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        yield cluster.address, cluster.add_node(**node)
    finally:
        cluster.shutdown()


def kill(node: Any) -> None:
    """SIGKILL to a node's processes, and to those that they started."""
    for processes in node.all_processes.values():
        for started in processes:
            pid = started.process.pid
            for victim in [pid, *children(pid)]:
                os.kill(victim, signal.SIGKILL)


def on_cluster(folder: Path, address: str, node: Any = None, moment: int = 0) -> Results:
    """The comparison on a cluster, of which `node` is killed when `moment` jobs and steps are done."""
    comparison = Comparison(COMPARED[0], folder, ("--cluster", address))
    if node is not None:
        while comparison.progress() < moment and not comparison.ended():
            time.sleep(0.1)
        kill(node)
    return comparison.finish()


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = Comparison(COMPARED[0], folder / "alone")
        expected = alone.finish()
        total = alone.progress()
        with two_nodes() as (address, node):
            whole = on_cluster(folder / "whole", address)
            killed = on_cluster(folder / "killed", address, node, total // 2)
    same = {name: differing(expected, results) for name, results in (("two nodes", whole), ("one killed", killed))}
    lost = [warning for warning in killed.warnings if "died" in warning]
    nodes = whole.environment["cluster"]
    outcome = {"differences": same, "warnings": lost, "nodes": nodes, "ray": installed_version("ray")}
    write(OUT, {"results": [outcome]})
    print(json.dumps(outcome, indent=1))
    return 5 if any(same.values()) or not lost else 0


def differing(expected: Results, results: Results) -> list[str]:
    """Where the results differ, the command aside, which names the cluster."""
    plain, other = ({**timeless(one), "command": ""} for one in (expected, results))
    return differences(plain, other)[:MOST_DIFFERENCES]


if __name__ == "__main__":
    sys.exit(main())
