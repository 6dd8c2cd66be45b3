from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.mixers import MIXERS
from sightline.models import FORMS
from sightline.parts.front_ends import FRONT_ENDS
from sightline.testing import Subject
from sightline.training.optim import OptimConfig, build_optimizer, learning_rate, paper_lr


def rates(config: OptimConfig, total: int) -> list[float]:
    warm = (config.warmup_steps or 0) / total
    return [learning_rate(config, step, step / total, warm) for step in range(total)]


def test_inverse_sqrt_is_equation_3_of_the_transformer_paper() -> None:
    d_model, warmup = 512, 4000
    config = OptimConfig(lr=paper_lr(d_model, warmup), warmup_steps=warmup, schedule="inverse_sqrt")
    for t in (1, 2, 100, 3999, 4000, 4001, 10_000, 100_000):
        expected = d_model**-0.5 * min(t**-0.5, t * warmup**-1.5)
        assert learning_rate(config, t - 1, 0.5, 0.1) == pytest.approx(expected, rel=1e-12)


def test_cosine_warms_up_linearly_and_falls_by_half_a_cosine() -> None:
    config = OptimConfig(lr=2.0, warmup_steps=10, schedule="cosine", final_lr=0.1)
    result = rates(config, 110)
    assert result[:10] == pytest.approx([0.2 * t for t in range(1, 11)])
    for step in range(10, 110):
        progress = (step - 10) / 100
        assert result[step] == pytest.approx(0.2 + 1.8 * (1 + math.cos(math.pi * progress)) / 2)
    assert learning_rate(config, 110, 1.0, 10 / 110) == pytest.approx(0.2)


@pytest.mark.parametrize(("warmup", "steps"), [(0.1, 50), (0.25, 80), (0.0, 7)])
def test_a_share_of_the_steps_is_that_many_steps(warmup: float, steps: int) -> None:
    """The same run described by a share and by a number has the same rates."""
    by_share = OptimConfig(lr=0.3, warmup=warmup)
    by_number = OptimConfig(lr=0.3, warmup_steps=round(warmup * steps))
    for step in range(steps):
        given = step, step / steps, min(step / steps, warmup), float(steps)
        assert learning_rate(by_share, *given) == pytest.approx(learning_rate(by_number, *given))


def test_linear_and_constant() -> None:
    linear = rates(OptimConfig(lr=1.0, warmup_steps=0, schedule="linear"), 10)
    assert linear == pytest.approx([1 - step / 10 for step in range(10)])
    assert rates(OptimConfig(lr=1.0, warmup_steps=2, schedule="constant"), 5) == [0.5, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "inverse_sqrt", "constant"])
def test_rates_are_positive_until_the_end_even_without_warm_up(schedule: str) -> None:
    config = OptimConfig(lr=1e-3, warmup_steps=0, schedule=schedule)
    result = rates(config, 50)
    assert result[0] == pytest.approx(1e-3)
    assert all(0 < rate <= 1e-3 for rate in result)
    assert result == sorted(result, reverse=True)


def test_only_matrices_that_are_not_embeddings_decay() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(5, 4)
            self.inner = nn.Linear(4, 4)
            self.norm = nn.LayerNorm(4)
            self.out = nn.Linear(4, 5)
            self.out.weight = self.embedding.weight
            self.frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)

    model = Model()
    optimizer = build_optimizer(model, OptimConfig(weight_decay=0.3))
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    expected = {
        "embedding.weight": 0.0,
        "inner.weight": 0.3,
        "inner.bias": 0.0,
        "norm.weight": 0.0,
        "norm.bias": 0.0,
        "out.bias": 0.0,
    }
    assert {name: decays.get(id(p)) for name, p in model.named_parameters() if p.requires_grad} == expected
    assert id(model.frozen) not in decays


def decayed(model: nn.Module) -> list[str]:
    """The names of the parameters with weight decay."""
    groups = build_optimizer(model, OptimConfig(weight_decay=0.3)).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(decay) == len(list(model.parameters()))
    return [name for name, parameter in model.named_parameters() if decay[id(parameter)]]


def small(config: Any) -> Any:
    sizes = {"d_model": 8, "heads": 2, "d_feed_forward": 12, "layers": max(1, len(getattr(config, "mixers", ())))}
    learned = {"input_positions": "learned"}
    known = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in (sizes | learned).items() if name in known})


def modules(kind: str) -> Iterator[nn.Module]:
    """Every architecture of a form, every front end, or every mechanism."""
    if kind == "front ends":
        yield from (config.build(8) for front_end in FRONT_ENDS.values() for config in front_end.examples())
    elif kind == "mechanisms":
        yield from (Subject(config).fresh() for mixer in MIXERS.values() for config in mixer.examples())
    else:
        source = FRONT_ENDS["series_windows"].examples()[-1] if kind == "forecaster" else 9
        yield from (small(config).build(source, 9) for config in FORMS[kind].values())


@pytest.mark.parametrize("kind", [*FORMS, "front ends", "mechanisms"])
def test_of_everything_that_is_built_in_only_matrices_decay(kind: str) -> None:
    """No learned positions, no embeddings of sources or tokens, and no bias, whatever its shape."""
    names = [decayed(module) for module in modules(kind)]
    assert any(names)
    assert not [name for of_one in names for name in of_one if not name.rpartition(".")[2].startswith("weight")]


def test_a_table_that_two_modules_share_does_not_decay() -> None:
    class Reads(nn.Module):
        undecayed = ("rows",)

        def __init__(self, rows: nn.Parameter) -> None:
            super().__init__()
            self.rows = rows

    rows = nn.Parameter(torch.zeros(3, 2))
    assert decayed(nn.Sequential(nn.ParameterList([rows]), Reads(rows), nn.Linear(2, 2))) == ["2.weight"]
    assert decayed(nn.Sequential(nn.EmbeddingBag(3, 2), nn.Bilinear(2, 2, 2))) == ["1.weight"]


def test_one_step_is_adamw_by_hand() -> None:
    model = nn.Linear(2, 1, bias=False).double()
    before = model.weight.detach().clone()
    config = OptimConfig(lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.2)
    optimizer = build_optimizer(model, config)
    gradient = torch.tensor([[0.5, -2.0]], dtype=torch.float64)
    model.weight.grad = gradient.clone()
    optimizer.step()
    m, v = 0.1 * gradient / (1 - 0.9), 0.01 * gradient**2 / (1 - 0.99)
    expected = before * (1 - 0.1 * 0.2) - 0.1 * m / (v.sqrt() + 1e-8)
    torch.testing.assert_close(model.weight.detach(), expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [("lr", 0.0), ("lr", math.inf), ("beta1", 1.0), ("beta2", -0.1), ("eps", 0.0), ("weight_decay", -1.0),
     ("warmup_steps", -1), ("warmup", 1.0), ("warmup", -0.1), ("final_lr", 2.0), ("clip_norm", 0.0), ("lr", math.nan)],
)  # fmt: skip
def test_refuses_values_out_of_range_by_name(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{field}: must be"):
        OptimConfig(**{field: value})
