"""The results of a swap: the content of `swap.json` and the input of its page. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, final

from sightline.core.metrics import Metric, find_metric
from sightline.core.stored import SavedResults
from sightline.lab.results import Estimate
from sightline.lab.swap.units import SwapUnit

RESULTS, PAGE = "swap.json", "swap.html"

SwapVerdict = Literal["kept", "lost", "not decided"]
LostFrom = Literal["original", "control"]


@final
@dataclass(frozen=True)
class SwapPlan:
    """How a swapped model is distilled, and what is measured.

    layer_steps, layer_lr: of the first stage, in which each new layer alone learns the output of the one it replaces
    tune_steps, tune_lr: of the second, in which the whole model learns the task's loss plus `kl` times the divergence
        from the original's outputs
    length: positions after which states are measured, and steps are timed
    """

    layer_steps: int = 200
    tune_steps: int = 200
    layer_lr: float = 3e-3
    tune_lr: float = 1e-3
    kl: float = 1.0
    length: int = 1024
    seed: int = 0


@final
@dataclass(frozen=True)
class LayerSwap:
    """One layer, or heads of it, and what takes their place; numbers of layers and heads begin at 1.

    heads: those that are replaced; none: all
    copied: the projections that the new layer begins with; fresh: parameters that begin as the mechanism draws them
    error_start, error_matched: |y' - y|² / |y|² of the new layer's output y' on inputs of the original on validation
        data, before and after the first stage
    state_before, state_after: bytes of the whole layer's state for one row after `SwapPlan.length` positions, measured;
        None in an encoder, which carries none
    step_before_us, step_after_us: CPU microseconds of one step of the layer there
    """

    layer: int
    mechanism: str
    copied: list[str]
    fresh: list[str]
    error_start: float
    error_matched: float
    state_before: int | None = None
    state_after: int | None = None
    step_before_us: float | None = None
    step_after_us: float | None = None
    heads: list[int] = field(default_factory=list)

    @property
    def unit(self) -> SwapUnit:
        """The layer or heads that are replaced."""
        return SwapUnit(self.layer, tuple(self.heads))

    @property
    def saved_bytes(self) -> int | None:
        """Bytes of state that the swap saves; negative where the new state is larger."""
        if self.state_before is None or self.state_after is None:
            return None
        return self.state_before - self.state_after


@final
@dataclass(frozen=True)
class SwapRow:
    """One model: these layers replaced, or heads of them, all others as they were.

    heads: of each of `layers` those that are replaced, none for all of them; empty: all of every layer
    replaced, matched, tuned: the metric without distillation, after the first stage, and after the second
    lost_replaced, lost_matched: worse than the original by so much; lost: than the reference, see `SwapResults`
    saved_bytes: of state, of all these layers together
    """

    layers: list[int]
    replaced: Estimate
    matched: Estimate
    tuned: Estimate
    lost_replaced: Estimate
    lost_matched: Estimate
    lost: Estimate
    saved_bytes: int | None
    verdict: SwapVerdict
    heads: list[list[int]] = field(default_factory=list)

    @property
    def units(self) -> list[SwapUnit]:
        """The layers or heads that are replaced."""
        heads = self.heads or [[] for _ in self.layers]
        return [SwapUnit(layer, tuple(own)) for layer, own in zip(self.layers, heads, strict=True)]

    @property
    def lost_per_mb(self) -> float | None:
        """Quality lost for each million bytes of state saved; None where none is saved."""
        if self.saved_bytes is None or self.saved_bytes <= 0 or self.lost.mean is None:
            return None
        return 1e6 * self.lost.mean / self.saved_bytes


@final
@dataclass(frozen=True)
class SwapResults(SavedResults):
    """All results of a swap.

    run, arch: the model that it began with; side: the half of it whose layers are replaced
    target, settings: the mechanism, and all of its settings
    tested: items of the test part, each a `unit`; resampled: items of the bootstrap, of running text stretches of it
    original: the metric of the model as it was; control: of the model after as many further steps of the second stage
        without a swap; reference: the better of the two, by which quality lost is counted
    rows: each layer, or each head, alone, then all of them together; the last one is the model that was written
    mechanisms: of every layer of that model
    margin: of practical equivalence, None where the metric is undefined
    """

    command: str
    environment: dict[str, Any]
    run: str
    task: str
    arch: str
    parameters: int
    data: str
    data_sha256: str | None
    tested: int
    resampled: int
    unit: str
    loss_unit: str
    side: str
    target: str
    settings: dict[str, Any]
    plan: SwapPlan
    primary_metric: str
    original: Estimate
    control: Estimate
    control_gain: Estimate
    reference: LostFrom
    layers: list[LayerSwap]
    rows: list[SwapRow]
    mechanisms: list[str]
    margin: float | None
    notes: list[str] = field(default_factory=list)
    seconds: float | None = None

    @property
    def metric(self) -> Metric:
        """The metric, with the digits that tell the models apart."""
        values = [self.original.mean, self.control.mean, *(row.tuned.mean for row in self.rows)]
        return find_metric(self.primary_metric).in_unit_of(self.loss_unit).apart(values)
