"""`check_mixer` on mixers that are not ours: a right one, wrong ones, and what it says about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sightline.core.errors import CheckFailed, InputError
from sightline.core.mixer import Memory, SequenceMixer, check_inputs, keep
from sightline.mixers.gated_linear import GatedLinearConfig
from sightline.testing import LAWS, Subject, check_mixer, describe, run_law
from sightline.testing.check import poisoned_memory
from sightline.testing.findings import MAX_FLOAT64, RMS_FLOAT32, close, finite, same, worst
from sightline.testing.rounding import as_bfloat16

FAST = [law for law in LAWS if law not in ("long and large", "compiled = eager")]


class MeanState(NamedTuple):
    total: Tensor  # (B, D)
    count: Tensor  # (B, 1)


class RunningMean(SequenceMixer[MeanState]):
    """The mean of all inputs so far, and of what the memory's summary gives as a first one."""

    def __init__(self, d_model: int, d_summary: int | None, leaky: bool, block: int | None) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.d_summary, self.leaky, self.block = d_summary, leaky, block
        self.scale = nn.Parameter(torch.ones(d_model))
        if d_summary is not None:
            self.first = nn.Linear(d_summary, d_model)

    def initial_state(self, batch: int, memory: Memory | None = None) -> MeanState:
        zeros = self.scale.new_zeros(batch, self.d_model)
        if self.d_summary is None:
            return MeanState(zeros, zeros[:, :1])
        if memory is None:
            raise ValueError("RunningMean reads a summary")
        return MeanState(self.first(memory.summary), zeros[:, :1] + 1)

    def forward(self, x, state=None, mask=None, starts=None):
        check_inputs(x, self.d_model, mask, starts)
        first = self.initial_state(len(x)) if state is None or self.d_summary is None else state
        state = first if state is None else state
        x, outputs = (x if self.leaky else keep(x, mask)), []
        total, count = state
        for t in range(x.shape[1]):
            if t and self.block and t % self.block == 0:  # the bug: a block of the call begins with what its first had
                total, count = first
            if starts is not None:
                begins = starts[:, t, None]
                total, count = torch.where(begins, first.total, total), torch.where(begins, first.count, count)
            real = torch.ones_like(count) if mask is None or self.leaky else mask[:, t, None].to(count.dtype)
            total, count = total + x[:, t], count + real
            outputs.append(total / count.clamp(min=1) * self.scale)
        y = torch.stack(outputs, 1) if outputs else x
        return keep(y, mask), MeanState(total, count)


@dataclass(frozen=True)
class MeanConfig:
    d_summary: int | None = None
    leaky: bool = False
    block: int | None = None

    def build(self, d_model: int) -> RunningMean:
        return RunningMean(d_model, self.d_summary, self.leaky, self.block)


def reference(config, parameters, x, mask, starts, memory):
    out = np.zeros(x.shape)
    for row in range(x.shape[0]):
        seen = []
        for t in range(x.shape[1]):
            if starts is not None and starts[row, t]:
                seen = []
            if mask is None or mask[row, t]:
                seen.append(x[row, t])
                out[row, t] = sum(seen[1:], seen[0]) / len(seen) * parameters["scale"]
    return out


def test_a_right_mixer_passes_and_the_rest_is_named():
    report = check_mixer(MeanConfig(), d_model=5, laws=FAST, reference=reference)
    assert report.passed, str(report)
    report.raise_for_failures()
    assert {result.law for result in report.results if result.passed is None} == {"probe on = off"}
    without = check_mixer(MeanConfig(), laws=["equals the reference", "low precision"])
    assert without.results[0].passed is None
    assert "no reference given" in without.results[0].detail
    assert without.results[1].passed


@pytest.mark.slow
def test_a_wrong_mixer_fails_by_name():
    report = check_mixer(MeanConfig(leaky=True), laws=FAST, reference=reference)
    failed = {result.law for result in report.failures}
    assert {"padding", "content under the mask", "equals the reference"} <= failed
    assert {"step = parallel", "causality", "select commutes"}.isdisjoint(failed)
    with pytest.raises(CheckFailed, match=r"leaky=True.*padding: FAILS"):
        report.raise_for_failures()


@pytest.mark.slow
def test_a_state_that_forgets_what_a_document_begins_with_is_seen():
    """RunningMean begins a new document from the state it was given instead of from the summary."""
    report = check_mixer(MeanConfig(d_summary=7), laws=["packed = alone", "padding", "any chunks = whole"])
    assert [result.law for result in report.failures] == ["packed = alone", "any chunks = whole"]


@pytest.mark.slow
@pytest.mark.parametrize("block", [16, 32, 64, 128])
def test_what_is_lost_between_blocks_of_a_call_is_seen(block):
    report = check_mixer(MeanConfig(block=block), laws=FAST)
    assert [result.law for result in report.failures] == ["across blocks"]


def test_a_limit_on_positions_may_be_refused():
    class Short(MeanConfig):
        def build(self, d_model):
            module = super().build(d_model)
            module.register_forward_pre_hook(refuse)
            return module

    def refuse(_, inputs):
        if inputs[0].shape[1] > 100:
            raise ValueError("more than 100 positions")

    (result,) = check_mixer(Short(), laws=["across blocks"]).results
    assert result.passed is None
    assert result.detail == "refuses 151 positions: more than 100 positions"


def test_an_exception_is_a_failure_that_shows_it():
    class Broken(MeanConfig):
        def build(self, d_model):
            module = super().build(d_model)
            module.step = None
            return module

    (result,) = check_mixer(Broken(), laws=["step = parallel"]).results
    assert result.passed is False
    assert result.detail == "expected a result, got TypeError: 'NoneType' object is not callable"


def test_unknown_laws_and_things_that_are_no_configs_are_refused():
    with pytest.raises(InputError, match="unknown law 'purity', did you mean 'purity of states'"):
        check_mixer(MeanConfig(), laws=["purity"])
    with pytest.raises(InputError, match=r"with build\(d_model\), got 3"):
        check_mixer(3)


def test_a_config_is_checked_at_a_width_that_it_accepts():
    report = check_mixer(GatedLinearConfig(), laws=["shape and dtype"])
    assert report.passed
    assert report.d_model == 16  # keys of half the width over 4 heads: 12 gives no whole number
    assert check_mixer(MeanConfig(), laws=["shape and dtype"]).d_model == 12
    with pytest.raises(InputError, match=r"accepts no d_model of 12, .*: pass a d_model that it accepts"):
        check_mixer(GatedLinearConfig(heads=67))


def test_laws_leave_random_streams_and_settings_as_they_were():
    before = torch.get_rng_state()
    run_law("padding", Subject(MeanConfig()))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_uninitialised_memory_is_nan_while_laws_run():
    with poisoned_memory():
        assert torch.empty(7).isnan().all()
        assert torch.ones(2).new_empty(3, 3).isnan().all()


def test_descriptions_name_what_differs():
    assert describe(MeanConfig()) == "default"
    assert describe(MeanConfig(leaky=True)) == "leaky=True"


def test_comparisons():
    one = torch.ones(4, dtype=torch.float64)
    assert close(one, one + 1e-12, "x").holds
    assert not close(one, one + 1e-9, "x").holds
    assert close(one.float(), one.float() + 5e-7, "x").holds
    assert not close(one.float(), one.float() + 5e-6, "x").holds
    assert close(one.bfloat16(), one.bfloat16() * 1.0078125, "x").holds
    assert not close(one.bfloat16(), one.bfloat16() * 1.03125, "x").holds
    for wrong in (one[:3], one * float("nan"), one * float("inf")):
        assert close(wrong, one, "x").error == float("inf")
        assert same(wrong, one, "x").error == float("inf")
    assert same(one, one + MAX_FLOAT64, "x").error > 0
    assert same(one * float("nan"), one * float("nan"), "x").holds
    assert same(one, one.float(), "x").error == float("inf")
    assert finite(torch.tensor([1.0, float("nan"), float("inf")]), "x").error == 2
    assert worst([close(one, one, "a"), same(one, one * 2, "b"), close(one, one + 1, "c")]).what == "b"
    assert worst([]) is None


def test_rounded_arrays_round_every_operation():
    a, b = as_bfloat16(np.array([1.0, 3.0])), as_bfloat16(np.array([0.0078125, 1e-3]))
    assert a.tolist() == [1.0, 3.0]
    for result, exact in (
        (a + b, np.array([1.0078125, 3.0])),
        (np.exp(a), None),
        (a @ b, None),
        (np.add.reduce(b), None),
    ):
        bits = torch.from_numpy(np.atleast_1d(np.asarray(result))).to(torch.bfloat16).double().numpy()
        assert np.array_equal(bits, np.atleast_1d(np.asarray(result)))
        assert exact is None or np.array_equal(result, exact)


class NoState(NamedTuple):
    rows: Tensor  # (B,)


class Difference(SequenceMixer[NoState]):
    """a x - b x, a single position as (a - b) x: two right forms, which float32 tells apart where a is near b.

    Single positions are off by `noise` besides, which float32 alone sees.
    """

    def __init__(self, d_model: int, a: float, noise: float) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.a, self.b, self.noise = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(a - 1)), noise

    def initial_state(self, batch: int, memory: Memory | None = None) -> NoState:
        return NoState(self.a.new_zeros(batch))

    def forward(self, x, state=None, mask=None, starts=None):
        check_inputs(x, self.d_model, mask, starts)
        kept = keep(x, mask)
        y = self.a * kept - self.b * kept
        if x.shape[1] == 1:
            y = (self.a - self.b) * kept * (1 + self.noise * (x.dtype == torch.float32))
        return y, self.initial_state(len(x)) if state is None else state


@dataclass(frozen=True)
class DifferenceConfig:
    a: float
    noise: float = 0.0

    def build(self, d_model: int) -> Difference:
        return Difference(d_model, self.a, self.noise)


@pytest.mark.slow
def test_float32_is_held_to_its_tolerance_or_to_what_one_rounding_of_the_inputs_does():
    def chunks(a: float, noise: float = 0.0):
        return check_mixer(DifferenceConfig(a, noise), laws=["any chunks = whole"]).results[0]

    well, ill = chunks(1.0), chunks(500.0)
    assert well.passed
    assert well.tolerance == RMS_FLOAT32
    assert ill.passed
    assert RMS_FLOAT32 < ill.error < ill.tolerance < 1e-3
    assert chunks(1.0, 2e-6).passed is False
    assert chunks(500.0, 2 * ill.tolerance).passed is False


class Apart(SequenceMixer[NoState]):
    """A layer of torch over all real positions (N, D)."""

    def __init__(self, d_model: int, layer: nn.Module) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.layer = layer

    def initial_state(self, batch: int, memory: Memory | None = None) -> NoState:
        return NoState(torch.zeros(batch))

    def forward(self, x, state=None, mask=None, starts=None):
        check_inputs(x, self.d_model, mask, starts)
        y = self.layer(keep(x, mask).flatten(0, 1)).view_as(x) if x.numel() else x
        return keep(y, mask), self.initial_state(len(x)) if state is None else state


class Noisy(nn.Module):
    """Noise in training, by a rate that no other code can know."""

    def forward(self, x):
        return x + torch.randn_like(x) if self.training else x


class FunctionalDropout(nn.Module):
    """Dropout by torch's function, at a rate that the module keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_dropout = 0.5

    def forward(self, x):
        return nn.functional.dropout(x, self.attention_dropout, self.training)


@dataclass(frozen=True)
class ApartConfig:
    layer: str

    def build(self, d_model: int) -> Apart:
        layers = {"batch norm": nn.BatchNorm1d(d_model), "dropout": nn.Dropout(0.5), "noise": Noisy()}
        return Apart(d_model, {**layers, "functional": FunctionalDropout()}[self.layer])


def test_what_leaks_in_training_alone_is_seen():
    laws = ["causality", "padding", "batch order and size", "training mode"]
    report = check_mixer(ApartConfig("batch norm"), laws=laws)
    assert [result.law for result in report.failures] == ["training mode"]
    assert report.failures[0].detail == "gradient to the future"


def test_dropout_is_switched_off_where_training_is_judged():
    for layer in ("dropout", "functional"):
        (result,) = check_mixer(ApartConfig(layer), laws=["training mode"]).results
        assert result.passed, str(result)
    (result,) = check_mixer(ApartConfig("noise"), laws=["training mode"]).results
    assert result.passed is None
    assert result.detail == "random in training mode, with every dropout's rate at 0"
