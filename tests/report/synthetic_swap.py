"""A swap's results with every verdict, made up, with every foreign text passed through a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sightline.lab.results import Estimate
from sightline.lab.swap.results import LayerSwap, SwapPlan, SwapResults, SwapRow
from sightline.lab.swap.scores import verdict_of

LOST = {1: (0.004, 0.01), 2: (0.12, 0.02), 3: (0.02, 0.01)}
SAVED = 131_072


def around(mean: float, spread: float = 0.03) -> Estimate:
    return Estimate(mean, mean - spread, mean + spread)


def make_swap(foreign: Callable[[str], str] = lambda text: text, *, encoder: bool = False) -> SwapResults:
    """Three of four layers, of which one keeps the quality, one loses it, and one is not decided; then all three."""
    rows = [_row([layer], *lost, encoder=encoder) for layer, lost in LOST.items()]
    rows.append(_row([1, 2, 3], 0.151, 0.025, encoder=encoder))
    return SwapResults(
        command=foreign("sightline swap runs/lm --to linear"),
        environment={"cpu": foreign("a processor"), "cores": 2},
        run=foreign("runs/lm"),
        task="language",
        arch="transformer",
        parameters=200_000,
        data=foreign("text.txt"),
        data_sha256="0" * 64,
        tested=1,
        resampled=109,
        unit="documents",
        loss_unit="nats/token",
        side="encoder" if encoder else "decoder",
        target="linear",
        settings={"heads": 4, "d_head": None, "causal": True, "features": "elu"},
        plan=SwapPlan(),
        primary_metric="bits_per_byte",
        original=around(2.01),
        control=around(1.98),
        control_gain=around(0.03, 0.004),
        reference="control",
        layers=[_layer(number, encoder=encoder) for number in LOST],
        rows=rows,
        mechanisms=["linear", "linear", "linear", "softmax"],
        margin=0.0201,
        notes=[foreign("Each new layer begins with the trained query, key, value, out.")],
        seconds=80.0,
    )


def _row(layers: list[int], lost: float, spread: float, *, encoder: bool) -> SwapRow:
    after = around(lost, spread)
    return SwapRow(
        layers=layers,
        replaced=around(2.9 + lost),
        matched=around(2.2 + lost),
        tuned=around(1.98 + lost),
        lost_replaced=around(0.89 + lost, 0.05),
        lost_matched=around(0.19 + lost, 0.02),
        lost=after,
        saved_bytes=None if encoder else len(layers) * SAVED,
        verdict=verdict_of(after, 0.0201),
    )


def _layer(number: int, *, encoder: bool) -> LayerSwap:
    layer = LayerSwap(
        layer=number,
        mechanism="softmax",
        copied=["query", "key", "value", "out"],
        fresh=[],
        error_start=0.83,
        error_matched=0.0312 * number,
        state_before=SAVED + 1088,
        state_after=1088,
        step_before_us=181.2,
        step_after_us=90.3,
    )
    if not encoder:
        return layer
    return replace(layer, state_before=None, state_after=None, step_before_us=None, step_after_us=None)
