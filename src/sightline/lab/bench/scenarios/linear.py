"""Linear attention in all its forms, 8 heads of 64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.lab.bench.equality import training
from sightline.lab.bench.peers import load
from sightline.lab.bench.scenario import Aim, Case, Computation, Scenario
from sightline.ops import LinearState, linear_attention

HEADS, WIDTH = 8, 64
CHECKED = 200  # positions; not a multiple of the chunk size
SEGMENT = 16384  # positions per call when a sequence is processed in segments
Named = dict[str, Any]  # tensors, by the name of the argument
FORMS = ("normalised", "constant", "position", "channel", "delta", "delta_position")


def arguments(form: str, size: int, device: torch.device) -> Named:
    """Arguments of `linear_attention` in one of its forms; tensors that models learn through record gradients."""
    q, k, v = torch.randn(3, 1, HEADS, size, WIDTH, device=device)
    named = {"q": q, "k": k, "v": v}
    if form == "normalised":
        named |= {"q": F.elu(q) + 1, "k": F.elu(k) + 1}
    if form.startswith("delta"):
        named |= {"k": F.normalize(k, dim=3), "beta": torch.rand(1, HEADS, size, device=device)}
    shape = {"position": (1, HEADS, size), "channel": (1, HEADS, size, WIDTH)}.get(form.rpartition("_")[2])
    if shape is not None:
        named["decay"] = -0.1 * torch.rand(shape, device=device)
    named = {name: x.requires_grad_() for name, x in named.items()}
    if form == "constant":
        named["decay"] = torch.log1p(-torch.exp2(-5.0 - torch.arange(HEADS, device=device)))
    return named


def trained(form: str, named: Named, **options: bool) -> Computation:
    """Forward and backward of `linear_attention`."""
    learnt = [x for x in named.values() if x.requires_grad]
    call = partial(linear_attention, **named, normaliser=form == "normalised", **options)
    return training(lambda: call()[0], learnt, torch.ones_like(named["v"]))


def against_steps(form: str, device: torch.device) -> tuple[Computation, Computation]:
    """Ours, and the stepwise form in float64, over a few positions."""
    narrow = arguments(form, CHECKED, device)
    wide = {name: x.detach().double().requires_grad_(x.requires_grad) for name, x in narrow.items()}
    return trained(form, narrow), trained(form, wide, stepwise=True)


def least_flops(form: str, size: int) -> float:
    """Operations of the recurrence: one update and one read of the state (delta rule: two reads), times 3 to train."""
    products = 3 if form.startswith("delta") else 2
    return 3.0 * products * 2 * HEADS * size * WIDTH**2


def least_bytes(named: Named) -> float:
    """Bytes of the inputs and the output in forward; in backward the same, plus their gradients."""
    inputs = sum(x.nbytes for x in named.values())
    return 3.0 * (inputs + named["v"].nbytes)


def linear_sdpa(form: str, size: int, device: torch.device) -> Case:
    """Compared with causal softmax attention over the same q, k, v, which computes another function."""
    named = arguments(form, size, device)
    q, k, v = learnt = [named[name] for name in ("q", "k", "v")]
    other = partial(F.scaled_dot_product_attention, q, k, v, is_causal=True)
    theirs = training(other, learnt, torch.ones_like(v))
    return Case(trained(form, named), theirs, against_steps(form, device), least_flops(form, size), least_bytes(named))


def versus(
    ours: Callable[[], Tensor], other: Callable[[], Tensor], form: str, inputs: list[Tensor], towards: Tensor
) -> Case:
    """Forward and backward of both, which compute the same function of `inputs`."""
    moved = 3.0 * sum(x.nbytes for x in (*inputs, towards))
    run, peer = (training(call, inputs, towards) for call in (ours, other))
    return Case(run, peer, None, least_flops(form, towards.shape[1]), moved)


def linear_mamba2(size: int, device: torch.device) -> Case:
    """Mamba-2's scan with B and C shared by all heads, as in its models: decay -dt, values dt · x, no skip."""
    module = load("transformers", "transformers.models.mamba2.modeling_mamba2")
    x, towards = torch.randn(2, 1, size, HEADS, WIDTH, device=device)
    b, c = torch.randn(2, 1, size, 1, WIDTH, device=device)
    dt = 0.1 * torch.rand(1, size, HEADS, device=device)
    x, dt, b, c = inputs = [t.clone().requires_grad_() for t in (x, dt, b, c)]
    rate = -torch.ones(HEADS, device=device)

    def ours() -> Tensor:
        values, step, keys, queries = (t.transpose(1, 2) for t in inputs)
        y, _ = linear_attention(queries, keys, values * step.unsqueeze(-1), decay=-step)
        return y.transpose(1, 2)

    other = partial(module.mamba2_chunk_scan, x, dt, rate, b, c, chunk_size=64)
    return versus(ours, other, "position", inputs, towards)


def linear_qwen3_next(size: int, device: torch.device) -> Case:
    """The gated delta rule; both sides scale queries by 1/√K."""
    module = load("transformers", "transformers.models.qwen3_next.modeling_qwen3_next")
    q, k, v, towards = torch.randn(4, 1, size, HEADS, WIDTH, device=device)
    beta, g = torch.rand(2, 1, size, HEADS, device=device)
    inputs = [t.clone().requires_grad_() for t in (q, F.normalize(k, dim=3), v, -0.1 * g, beta)]

    def ours() -> Tensor:
        q, k, v, g, beta = (t.transpose(1, 2) for t in inputs)
        y, _ = linear_attention(q * WIDTH**-0.5, k, v, decay=g, beta=beta)
        return y.transpose(1, 2)

    other = partial(module.torch_chunk_gated_delta_rule, *inputs)
    return versus(ours, lambda: other()[0], "delta_position", inputs, towards)


def in_segments(named: Named, size: int) -> tuple[Tensor, LinearState]:
    """Forward over `size` positions, repeating the same segment; returns the last outputs and the state."""
    state, y = None, named["v"]
    with torch.no_grad():
        for _ in range(size // named["v"].shape[2]):
            y, state = linear_attention(**named, state=state)
    if state is None:
        raise ValueError(f"{size} positions are fewer than one segment of {named['v'].shape[2]}")
    return y, state


def linear_long(size: int, device: torch.device) -> Case:
    """Forward over `size` positions in segments; checked against 300 single steps in segments of 100."""
    named = {name: x.detach() for name, x in arguments("position", min(size, SEGMENT), device).items()}

    def run() -> list[Tensor]:
        y, state = in_segments(named, size)
        return [y, state.memory]

    few = {name: x[:, :, :100].contiguous() for name, x in named.items()}
    thrice: Named = {name: torch.cat([x] * 3, 2).double() for name, x in few.items()}

    def segmented() -> list[Tensor]:
        y, state = in_segments(few, 300)
        return [y, state.memory]

    def whole() -> list[Tensor]:
        y, state = linear_attention(**thrice, stepwise=True)
        return [y[:, :, 200:], state.memory]

    moved = size / named["v"].shape[2] * (sum(x.nbytes for x in named.values()) + named["v"].nbytes)
    return Case(run, None, (segmented, whole), least_flops("position", size) / 3, moved)


def linear_decoding(size: int, device: torch.device) -> Case:
    """64 single steps after `size` positions, and after 64 times as many."""
    named = {name: x.detach() for name, x in arguments("position", size, device).items()}
    after = [in_segments(named, times * size)[1] for times in (1, 64)]
    new = {name: x.detach() for name, x in arguments("position", 64, device).items()}
    one = [{name: x[:, :, t : t + 1].contiguous() for name, x in new.items()} for t in range(64)]

    def decoded(state: LinearState) -> list[Tensor]:
        outputs = []
        with torch.no_grad():
            for arguments_t in one:
                y, state = linear_attention(**arguments_t, state=state)
                outputs.append(y)
        return [torch.cat(outputs, 2), state.memory]

    def at_once() -> list[Tensor]:
        with torch.no_grad():
            y, state = linear_attention(**new, state=after[1])
        return [y, state.memory]

    return Case(
        lambda: decoded(after[0]), lambda: decoded(after[1]), (lambda: decoded(after[1]), at_once),
        64 * 4.0 * HEADS * WIDTH**2, 64 * 2.0 * after[0].memory.nbytes,
    )  # fmt: skip


LENGTHS = (128, 256, 512, 1024, 2048, 4096)
STEPS = f"our stepwise form in float64, outputs and gradients, at {CHECKED} positions"
WORDS = {
    "normalised": "with a normaliser",
    "constant": "with a constant decay for each head",
    "position": "with decay by position",
    "channel": "with decay by channel",
    "delta": "by the delta rule",
    "delta_position": "by the delta rule with decay by position",
}
SCENARIOS = (
    *(
        Scenario(
            f"linear_{form}", "linear", "ratio", f"linear attention {WORDS[form]}",
            "torch's scaled_dot_product_attention, is_causal", LENGTHS, partial(linear_sdpa, form), 130,
            checked=STEPS, aims={512: Aim(1.0), 4096: Aim(5.0)},
        )
        for form in FORMS
    ),
    Scenario(
        "linear_mamba2", "linear", "ratio", "decay by position, queries and keys shared by all heads",
        "Mamba-2's chunked scan in transformers, chunks of 64", (512, 4096), linear_mamba2, 130,
        package="transformers", aims={512: Aim(4.0), 4096: Aim(4.0)},
    ),
    Scenario(
        "linear_qwen3_next", "linear", "ratio", "the gated delta rule",
        "Qwen3-Next's chunked rule in transformers, chunks of 64", (512, 4096), linear_qwen3_next, 130,
        package="transformers", aims={512: Aim(4.0), 4096: Aim(4.0)},
    ),
    Scenario(
        "linear_long", "linear", "curve", "decay by position, forward alone, in segments of 16,384 positions",
        "nothing", (65536, 1048576), linear_long, 700,
        checked="our stepwise form in float64, outputs and state, at 300 positions in segments",
    ),
    Scenario(
        "linear_decoding", "linear", "growth", "64 steps after 1,024 positions; time after 64 times as many",
        "itself", (1024,), linear_decoding, 64, checked="the same positions in one call (outputs and state)",
        aims={1024: Aim(1.1, relation="at most")},
    ),
)  # fmt: skip
