"""The costs of several processes in a training: bytes that each sends in a step, and seconds, from named numbers.

A simulation, not a measurement: rings of processes, as gloo and NCCL build them, whose slowest link counts. Over a ring
of N processes an all-reduce of S bytes takes 2(N - 1) messages of S/N bytes from each process, an all-gather or a
reduce-scatter N - 1 of them (Thakur, Rabenseifner & Gropp 2005, "Optimization of collective communication operations in
MPICH", § 4.1 and § 4.5). Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Parallel = Literal["ddp", "fsdp"]

VALUE_BYTES = 4  # weights, gradients and Adam's two averages are float32, also where products are bfloat16
CONTROLS = 2  # all-reduces of a few numbers in a step: the loss and counts; the time and a signal
OVERLAP_SHARE = 2 / 3  # of a step is its backward pass, in which DDP already sends the gradients of later layers


@final
@dataclass(frozen=True)
class Network:
    """Links between processes.

    per_node: processes on a node
    inside_bytes_s, between_bytes_s: bandwidth of one process within a node, and between nodes
    inside_s, between_s: latency of a message; control_s: of one of control, over TCP
    reduces_whole: whether a reduce-scatter is done as an all-reduce, as in gloo (measured: torch 2.13)
    """

    name: str
    per_node: int
    inside_bytes_s: float
    between_bytes_s: float
    inside_s: float
    between_s: float
    control_s: float
    reduces_whole: bool = False


@final
@dataclass(frozen=True)
class ParallelWork:
    """A training: its parameters, and the seconds of a step of one process on its share of the batch."""

    name: str
    parameters: int
    step_s: float


@final
@dataclass(frozen=True)
class StepCost:
    """The cost of a step for each process.

    sent_bytes: tensors that it sends; network_s: the seconds of that; exposed_s: those in which it does not compute
    control_s: of the agreement on what comes next
    most_bytes, kept_bytes: of weights, gradients and the optimizer's averages, during a step and between steps
    """

    sent_bytes: float
    network_s: float
    exposed_s: float
    control_s: float
    most_bytes: float
    kept_bytes: float

    def efficiency(self, work: ParallelWork) -> float:
        """The share of a step in which a process computes."""
        return work.step_s / (work.step_s + self.exposed_s + self.control_s)


def sent_bytes(parameters: int, processes: int, parallel: Parallel, *, reduces_whole: bool = False) -> float:
    """Bytes that each process sends in a step.

    DDP all-reduces gradients: 2(N - 1)/N · S. FSDP gathers weights and reduces and scatters gradients, (N - 1)/N · S
    each, which is the same; where a reduce-scatter is done as an all-reduce, half as much again.
    """
    share = (processes - 1) / processes * VALUE_BYTES * parameters
    return share * (3 if parallel == "fsdp" and reduces_whole else 2)


def step_cost(work: ParallelWork, processes: int, parallel: Parallel, network: Network) -> StepCost:
    """The expected cost of a step on this network."""
    sent = sent_bytes(work.parameters, processes, parallel, reduces_whole=network.reduces_whole)
    one_node = processes <= network.per_node
    bandwidth = network.inside_bytes_s if one_node else network.between_bytes_s
    latency = network.inside_s if one_node else network.between_s
    network_s = sent / bandwidth + 2 * (processes - 1) * latency
    hidden = OVERLAP_SHARE * work.step_s if parallel == "ddp" else 0.0
    whole = float(VALUE_BYTES * work.parameters)
    share = whole / processes if parallel == "fsdp" else whole
    kept = 3 * share  # weights and two averages
    return StepCost(
        sent_bytes=sent,
        network_s=network_s,
        exposed_s=max(network_s - hidden, 0.0),
        control_s=CONTROLS * 2 * (processes - 1) * network.control_s,
        most_bytes=kept + (2 * whole if parallel == "fsdp" else whole),  # FSDP: whole weights and whole gradients too
        kept_bytes=kept,
    )


NETWORKS = {
    "gpus": Network(
        "8 GPUs a node",
        per_node=8,
        inside_bytes_s=300e9,
        between_bytes_s=40e9,
        inside_s=5e-6,
        between_s=15e-6,
        control_s=30e-6,
    ),
    "processors": Network(
        "processors, Ethernet of 10 Gbit/s",
        per_node=1,
        inside_bytes_s=5e9,
        between_bytes_s=1.1e9,
        inside_s=10e-6,
        between_s=50e-6,
        control_s=50e-6,
        reduces_whole=True,
    ),
}

GPU_FLOPS = 989e12  # bfloat16 products of an H100 in a second (its data sheet, without sparsity)
USED = 0.4  # of them, in training
TOKENS = 16_384  # of a process in a step


def gpu_work(parameters: int, tokens: int = TOKENS) -> ParallelWork:
    """A Transformer on a GPU: 6 operations for each parameter and token (Kaplan et al. 2020, § 2.1)."""
    return ParallelWork(f"{parameters:,} parameters", parameters, 6 * parameters * tokens / (GPU_FLOPS * USED))
