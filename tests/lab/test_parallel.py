from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.lab.parallel import NETWORKS, VALUE_BYTES, gpu_work, sent_bytes, step_cost
from tests.training.torchrun import finished, started


def test_one_process_sends_nothing_and_many_send_all_weights_twice() -> None:
    assert sent_bytes(1000, 1, "ddp") == sent_bytes(1000, 1, "fsdp") == 0
    assert sent_bytes(1000, 2, "ddp") == VALUE_BYTES * 1000
    assert sent_bytes(1000, 10**6, "fsdp") == pytest.approx(2 * VALUE_BYTES * 1000, rel=1e-5)


def test_a_ring_takes_as_long_as_its_messages_one_after_another() -> None:
    """2(N - 1) rounds of an all-reduce, a message of S/N bytes in each."""
    network, work = NETWORKS["gpus"], gpu_work(10**9)
    rounds, message = 2 * 63, VALUE_BYTES * 10**9 / 64
    expected = rounds * (network.between_s + message / network.between_bytes_s)
    assert step_cost(work, 64, "fsdp", network).network_s == pytest.approx(expected)


def test_ddp_waits_only_for_what_the_backward_pass_does_not_hide() -> None:
    work, network = gpu_work(350_000_000), NETWORKS["gpus"]
    hidden = step_cost(work, 8, "ddp", network)
    assert hidden.exposed_s == 0
    slow = replace(network, inside_bytes_s=network.inside_bytes_s / 100)
    cost = step_cost(work, 8, "ddp", slow)
    assert cost.exposed_s == pytest.approx(cost.network_s - 2 / 3 * work.step_s)


def test_fsdp_keeps_a_share_of_weights_and_averages() -> None:
    work, network = gpu_work(8_000_000), NETWORKS["gpus"]
    assert step_cost(work, 8, "fsdp", network).kept_bytes == step_cost(work, 8, "ddp", network).kept_bytes / 8


@pytest.mark.slow
def test_two_processes_over_gloo_send_the_bytes_of_the_model(tmp_path: Path) -> None:
    """As the kernel counts them, on all connections of a process: tensors are all but one percent."""
    process = started("tests.training.counted", str(tmp_path / "counted"), "8")
    errors = finished(process)
    assert process.returncode == 0, errors[-3000:]
    for rank in (0, 1):
        counted = json.loads((tmp_path / f"counted.{rank}").read_text())
        for kind, numbers in counted.items():
            expected = sent_bytes(numbers["parameters"], 2, kind, reduces_whole=True)
            assert expected < numbers["bytes"] < 1.01 * expected, kind
