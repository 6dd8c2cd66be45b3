"""Speed of a training step after many steps, with subnormal numbers flushed to zero and kept.

AdamW's averages of an embedding row shrink by 0.9 and 0.98 in each step without its token. In a text whose tokens
follow Zipf's law, rows of rare tokens were last used hundreds or thousands of steps ago: their averages are then below
1.2e-38. Here they are set to what they are after that many steps, instead of training so long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sightline.core.subnormals import flush_subnormals
from sightline.lab.bench.timing import call_seconds, spread
from sightline.models.recurrent_language_model import RecurrentLanguageModelConfig
from sightline.parts.token_embedding import Tokens
from sightline.training.loss import Loss, cross_entropy
from sightline.training.optim import OptimConfig
from sightline.training.step import Stepper

VOCABULARY, WIDTH, ROWS, LENGTH = 8192, 256, 4, 64
AFTER = (10, 1000, 4000)  # steps
CPU = torch.device("cpu")


class Batch(tuple):
    """Tokens and labels (B, T)."""

    def to(self, device: torch.device) -> Batch:
        return self


def loss(model: Any, batch: Any) -> Loss:
    return cross_entropy(model(batch[0], None)[0], batch[1])


def late_rows(pairs: int) -> list[dict[str, Any]]:
    """Milliseconds of a step of an LSTM language model after 10, 1,000 and 4,000 steps, both ways in turns."""
    rows = []
    for after in AFTER:
        steps = {}
        for flush in (False, True):
            flush_subnormals(flush)
            steps[flush] = _late_step(after)
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(pairs):
            for flush, (step, _share) in steps.items():
                flush_subnormals(flush)
                times[flush].append(1e3 * call_seconds(step, CPU))
        kept, flushed = (spread(times[flush]) for flush in (False, True))
        rows.append({"after": after, "kept_ms": kept["median"], "flushed_ms": flushed["median"], "kept": kept,
                     "flushed": flushed, "subnormal": steps[False][1]})  # fmt: skip
    return rows


def _late_step(after: int) -> tuple[Any, float]:
    """A step with the averages of `after` steps, and the share of the embeddings' first averages that is subnormal."""
    torch.manual_seed(0)
    model = RecurrentLanguageModelConfig(d_model=WIDTH, layers=1, dropout=0.0).build(Tokens(VOCABULARY))
    frequency = 1.0 / torch.arange(1, VOCABULARY + 1)
    tokens = torch.multinomial(frequency, ROWS * (LENGTH + 1), replacement=True).reshape(ROWS, LENGTH + 1)
    batch = Batch((tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()))
    stepper = Stepper(model, loss, OptimConfig(), CPU, "float32")
    stepper.gradients(batch)
    stepper.update(1e-4)
    used = 1 - (1 - frequency / frequency.sum()).pow(ROWS * LENGTH)  # the chance of each token in a step
    ages = torch.log(torch.rand(VOCABULARY)).div(torch.log1p(-used)).clamp(0, after).unsqueeze(1)
    state = stepper.optimizer.state[model.embedding.table.weight]
    size = state["exp_avg"].abs().max() * torch.randn(VOCABULARY, WIDTH)
    state["exp_avg"].copy_(size * 0.9 ** ages.double())
    state["exp_avg_sq"].copy_(size.double() ** 2 * 0.98 ** ages.double())
    averages: Tensor = state["exp_avg"].abs()
    subnormal = float(((averages > 0) & (averages < torch.finfo(torch.float32).tiny)).double().mean())

    def step() -> None:
        before = [state[name].clone() for name in ("exp_avg", "exp_avg_sq")]
        stepper.gradients(batch)
        stepper.update(1e-4)
        for name, value in zip(("exp_avg", "exp_avg_sq"), before, strict=True):
            state[name].copy_(value)  # so that every step is the one after `after` steps

    return step, float(f"{subnormal:.3g}")
