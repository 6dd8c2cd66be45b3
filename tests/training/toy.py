"""A model so small that a step takes a millisecond, with dropout so that resuming must restore random streams too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from sightline.core.files import write_new
from sightline.data.batches import Batch, PairBatches
from sightline.training import Loss, OptimConfig, TrainConfig, cross_entropy
from sightline.training.measured import Measured

VOCABULARY = 12


class Toy(nn.Module):
    """Predicts each target token from the one before it and the mean of the source."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.norm = nn.LayerNorm(8)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(8, VOCABULARY)
        self.out.weight = self.embedding.weight  # tied

    def forward(self, source: Tensor, source_mask: Tensor, target: Tensor) -> Tensor:
        summary = (self.embedding(source) * source_mask.unsqueeze(-1)).mean(1, keepdim=True)
        return self.out(self.dropout(self.norm(self.embedding(target) + summary)))


def objective(model: nn.Module, batch: Batch) -> Loss:
    logits = model(batch.source, batch.source_mask, batch.target[:, :-1])
    return cross_entropy(logits, batch.target[:, 1:], batch.target_mask[:, 1:], epsilon=0.1)


def pairs(count: int = 60) -> tuple[list[list[int]], list[list[int]]]:
    generator = torch.Generator().manual_seed(5)
    lengths = torch.randint(1, 6, (count,), generator=generator).tolist()
    sources = [torch.randint(4, VOCABULARY, (n,), generator=generator).tolist() for n in lengths]
    return sources, [row[::-1] for row in sources]


def batches() -> PairBatches:
    return PairBatches(*pairs(), max_tokens=40, seed=3)


def validate(model: nn.Module) -> Measured:
    total, count, rows = 0.0, 0, []
    for batch in PairBatches(*pairs(20), max_tokens=64, seed=0, shuffle=False).epoch(0):
        loss = objective(model, batch)
        total, count = total + float(loss.nll), count + loss.count
        rows.append([float(loss.nll), loss.count])
    return Measured({"loss": total / count}, {"loss": np.array(rows)})


def save_to(model: nn.Module) -> Callable[[Path], None]:
    def save(directory: Path) -> None:
        tensors = {"weight": model.embedding.weight.detach().clone()}
        write_new(directory / "model.safetensors", safetensors.torch.save(tensors))

    return save


def config(budget: str = "60steps", **changes: object) -> TrainConfig:
    settings = {"validate_every": 10, "log_every": 7, "device": "cpu", "dtype": "float32", **changes}
    return TrainConfig(budget=budget, optim=OptimConfig(lr=1e-2, warmup_steps=5), **settings)
