from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sightline.data.batches import Batch, PairBatches
from sightline.models import ARCHITECTURES
from sightline.training.flops import FORMULAS, StepFlops, count_flops, shapes
from sightline.training.loop import train
from sightline.training.loss import Loss, cross_entropy
from tests.training import toy

B, T, D, H = 3, 5, 8, 6


def test_linear_layer_by_hand() -> None:
    layer = nn.Linear(D, H)
    x = torch.randn(B, T, D, requires_grad=True)
    assert count_flops(lambda: layer(x)) == 2 * B * T * D * H
    assert count_flops(lambda: layer(x).sum().backward()) == 3 * 2 * B * T * D * H


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
@pytest.mark.parametrize("directions", [1, 2])
def test_recurrent_layer_by_hand(kind: type[nn.Module], gates: int, directions: int) -> None:
    layer = kind(D, H, batch_first=True, bidirectional=directions == 2)
    x = torch.randn(B, T, D, requires_grad=True)
    forward = directions * 2 * B * T * gates * H * (D + H)
    assert count_flops(lambda: layer(x)) == forward
    # Backward has two products for each; the first state is not a parameter, and some kernels skip its gradient.
    both = count_flops(lambda: layer(x)[0].sum().backward())
    assert 3 * forward - directions * 2 * B * gates * H * H <= both <= 3 * forward


@pytest.mark.parametrize("heads_of_keys", [4, 2], ids=["equal-heads", "grouped-query"])
def test_fused_attention_by_hand(heads_of_keys: int) -> None:
    query = torch.randn(2, 4, 7, 8, requires_grad=True)
    key, value = (torch.randn(2, heads_of_keys, 9, 8, requires_grad=True) for _ in range(2))

    def attend() -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value, enable_gqa=heads_of_keys != 4)

    product = 2 * 2 * 4 * 7 * 9 * 8
    assert count_flops(attend) == 2 * product
    assert count_flops(lambda: attend().sum().backward()) == 7 * product  # 2 forward, 5 backward: scores again


def test_equals_torchs_counter_where_torch_has_formulas() -> None:
    model = nn.Sequential(nn.Conv1d(4, 6, 3), nn.GELU(), nn.Conv1d(6, 5, 2, stride=2), nn.Flatten(), nn.Linear(15, 3))
    x = torch.randn(2, 4, 9, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    assert count_flops(lambda: model(x).sum().backward()) == counter.get_total_flops() > 0


def gradients(arch: str, counted: bool, dtype: torch.dtype = torch.float32) -> tuple[list[torch.Tensor], int]:
    """The gradients of one step of a small model, with dropout where it has some."""
    torch.manual_seed(0)
    preset = ARCHITECTURES[arch]
    sizes = {"heads": 2, "layers": 2, "d_feed_forward": 32} if hasattr(preset, "heads") else {}
    model = replace(preset, d_model=16, **sizes).build(13, 13)
    model.train()
    source, target = torch.randint(4, 13, (3, 6)), torch.randint(4, 13, (3, 5))
    mask = torch.arange(6) < torch.tensor([[6], [4], [1]])
    flops = StepFlops()
    if not counted:
        flops.known["()"] = 0
    torch.manual_seed(1)
    with flops.counting(()), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        cross_entropy(model(source, mask, target[:, :-1]), target[:, 1:]).total.backward()
    return [p.grad for p in model.parameters() if p.grad is not None], flops.of(())


@pytest.mark.parametrize(
    "dtype",
    [pytest.param(torch.float32, id="float32"), pytest.param(torch.bfloat16, id="bfloat16", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_counting_changes_no_bit_and_finds_all_products(arch: str, dtype: torch.dtype) -> None:
    plain, _ = gradients(arch, counted=False, dtype=dtype)
    counted, total = gradients(arch, counted=True, dtype=dtype)
    assert len(plain) == len(counted) > 0
    assert all(torch.equal(a, b) for a, b in zip(plain, counted, strict=True))
    assert total > 0


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_no_product_of_any_architecture_is_without_formula(arch: str) -> None:
    """Every kernel that multiplies matrices must be counted: one without a formula has no FLOPs."""
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: set[object] = set()

    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.add(func._overloadpacket)
            return func(*args, **(kwargs or {}))

    with Names():
        gradients(arch, counted=False)
    products = ("mm", "mv", "matmul", "linear", "dot", "conv", "attention", "rnn", "lstm", "gru", "einsum", "addbmm")
    missing = {str(op) for op in seen if op not in FORMULAS and any(word in str(op) for word in products)}
    assert missing == set()


def test_counts_each_shape_once_and_remembers_it() -> None:
    layer, flops = nn.Linear(D, H), StepFlops()
    for rows in (2, 5, 2, 5):
        x = torch.randn(rows, D)
        with flops.counting(shapes((x,))):
            layer(x)
        assert flops.of(shapes((x,))) == 2 * rows * D * H
    with flops.counting(shapes((torch.randn(2, D),))):
        layer(torch.randn(7, D))  # not of that shape, and not counted: the shape is known
    assert flops.of(((2, D),)) == 2 * 2 * D * H


def test_a_resumed_training_counts_what_it_would_have_counted(tmp_path: Path) -> None:
    """One shape whose operations depend on its content, as recurrences on the CPU do: the first step's count stands."""
    sources = [[4 + i % 8, 5, 6] for i in range(24)]
    matrix = torch.ones(2, 2)

    def objective(model: nn.Module, batch: Batch) -> Loss:
        for _ in range(int(batch.source[0, 0])):
            matrix @ matrix
        return toy.objective(model, batch)

    def trained(run: Path, steps: int, **how: bool) -> list[float]:
        batches = PairBatches(sources, sources, max_tokens=8, seed=3)
        config = toy.config(f"{steps}steps", log_every=1, validate_every=4)
        history = train(toy.Toy(), objective, batches, config, run, validate=toy.validate, **how).history
        return [record["flops"] for record in history if record["event"] == "train"]

    whole = trained(tmp_path / "whole", 12)
    assert whole == [whole[0] * step for step in range(1, 13)]
    for steps in (1, 2, 3, 5):  # at least one of them is followed by other content than that of the first step
        trained(tmp_path / str(steps), steps)
        assert trained(tmp_path / str(steps), 12, resume=True) == whole
