"""The tables of docs/distributed.md: what several processes are expected to cost, by `sightline.lab.parallel`."""

from __future__ import annotations

import json
from pathlib import Path

from sightline.lab.parallel import GPU_FLOPS, NETWORKS, TOKENS, USED, Network, ParallelWork, gpu_work, step_cost

BEGIN, END = "<!-- expected costs: written by docs/generate.py -->", "<!-- end -->"
PROCESSES = (8, 64, 512)
MEASURED_PARAMETERS = 5_241_000  # of the language model in benchmarks/training_models.py with 8,192 tokens
SIZES = (20_000_000, 350_000_000, 3_000_000_000)


def distributed_page(page: str, training: dict) -> str:
    """The page with its tables written again."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(training)}\n\n{END}{after}"


def tables(training: dict) -> str:
    """Expected costs on GPUs and on processors, with their assumptions."""
    measured = measured_work(training)
    gpus, processors = NETWORKS["gpus"], NETWORKS["processors"]
    return "\n".join(
        [
            f"Expected on GPUs: {assumptions(gpus)}.",
            f"A step of {TOKENS:,} tokens for each process takes 6 operations for each parameter and token,",
            f"at {USED:.0%} of {GPU_FLOPS / 1e12:,.0f} TFLOP/s.",
            "",
            *rows([gpu_work(size) for size in SIZES], gpus),
            "",
            f"Expected on processors: {assumptions(processors)}. The step is measured: {measured.name}",
            "([Performance](performance.md)).",
            "",
            *rows([measured], processors),
        ]
    )


def assumptions(network: Network) -> str:
    """The numbers of a network."""
    processes = "one process" if network.per_node == 1 else f"{network.per_node} processes"
    return (
        f"{processes} a node, {network.inside_bytes_s / 1e9:g} GB/s from each inside a node and "
        f"{network.between_bytes_s / 1e9:g} GB/s between nodes, a message takes {network.inside_s * 1e6:g} µs and "
        f"{network.between_s * 1e6:g} µs, one of control {network.control_s * 1e6:g} µs"
    )


def rows(works: list[ParallelWork], network: Network) -> list[str]:
    """The table of some trainings."""
    lines = [
        "| parameters | processes | | computing | sent by each | waits | control | share | memory in it | between |",
        "|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for work in works:
        for processes in PROCESSES:
            for parallel in ("ddp", "fsdp"):
                cost = step_cost(work, processes, parallel, network)
                cells = [
                    f"{work.parameters / 1e6:,.0f}M", str(processes), parallel, seconds(work.step_s),
                    size(cost.sent_bytes), seconds(cost.exposed_s), seconds(cost.control_s),
                    f"{cost.efficiency(work):.0%}", size(cost.most_bytes), size(cost.kept_bytes),
                ]  # fmt: skip
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def measured_work(training: dict) -> ParallelWork:
    """The step of ours, as `make bench-training` measured it, at the shortest length."""
    run = min(training["lengths"], key=lambda one: one["length"])
    row = next(row for row in run["rows"] if row["name"].startswith("sightline, "))
    precision = row["name"].partition(", ")[2]
    name = f"{run['batch']} rows of {run['length']} tokens in {precision} on one core of an {training['processor']}"
    return ParallelWork(name, MEASURED_PARAMETERS, row["seconds"]["median"])


def seconds(value: float) -> str:
    """Seconds in their unit."""
    return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def size(value: float) -> str:
    """Bytes in their unit."""
    return f"{value / 1e9:.3g} GB" if value >= 1e9 else f"{value / 1e6:.3g} MB"


def load_training(results: Path) -> dict:
    """The measured training steps that the page uses."""
    return json.loads((results / "training-amd-epyc-1.json").read_text())
