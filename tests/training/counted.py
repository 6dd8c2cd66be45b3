"""Bytes that each process of a training sends to the others in a step, counted by the kernel: `counted.py OUT STEPS`.

For DDP and FSDP, on one model. Each process leaves its numbers in OUT.RANK.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.data.batches import START
from sightline.training.distributed import Team, end_process, joined
from sightline.training.loss import cross_entropy
from sightline.training.shared_step import make_stepper
from sightline.training.shares import in_shares
from tests.training import toy

WIDTH = 300
BYTES_ACKED = 120  # its place in struct tcp_info (linux/tcp.h)


def sent_bytes() -> int:
    """The bytes of all TCP connections of this process that the other end has received."""
    total = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name))) as one:
                if one.type == socket.SOCK_STREAM and one.family in (socket.AF_INET, socket.AF_INET6):
                    information = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
                    total += struct.unpack_from("Q", information, BYTES_ACKED)[0]
        except OSError:  # closed meanwhile, or listening
            continue
    return total


class Wide(nn.Module):
    """A model whose tensors are of many more bytes than all else that a step sends."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(toy.VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, toy.VOCABULARY)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


def objective(model: nn.Module, batch: Any) -> Any:
    return cross_entropy(model(batch.target[:, :-1]), batch.target[:, 1:], batch.target_mask[:, 1:])


def bytes_of_a_step(team: Team, parallel: str, steps: int) -> dict[str, float]:
    config = toy.config(parallel=parallel)
    stepper = make_stepper(Wide(), objective, config, torch.device("cpu"), "float32", team)
    stream = in_shares(toy.batches() if team.reads else None, None, team).stream(START)
    counts = []
    for step in range(steps + 3):
        if step >= 2:  # the first steps exchange the order of the tensors, too
            team.most([0.0])
            counts.append(sent_bytes())
        batch, _ = next(stream)
        stepper.gradients(batch, step)
        stepper.update(1e-3)
    parameters = sum(parameter.numel() for parameter in Wide().parameters())
    return {"bytes": (counts[-1] - counts[0]) / (len(counts) - 1), "parameters": parameters}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with joined() as team:
        counted = {kind: bytes_of_a_step(team, kind, int(sys.argv[2])) for kind in ("ddp", "fsdp")}
        Path(f"{sys.argv[1]}.{team.rank}").write_text(json.dumps(counted))
    end_process(0)
