"""`check_front_end` on front ends that are not ours: a right one, a wrong one, and ones without inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, InputKind, sample_lengths
from sightline.core.mixer import keep
from sightline.testing import check_front_end


class Scalars(FrontEnd):
    """A number at a time, times a vector."""

    pointwise = True

    def __init__(self, d_model: int, leaky: bool) -> None:
        super().__init__()
        self.d_model, self.leaky = d_model, leaky
        self.scale = nn.Parameter(torch.ones(d_model))

    def forward(self, inputs, mask=None):
        x = inputs.unsqueeze(2)
        if self.leaky:
            x = x + x.sum(1, keepdim=True)
        return keep(x, mask) * self.scale, mask


@dataclass(frozen=True)
class ScalarsConfig:
    accepts: ClassVar[InputKind] = "audio"

    leaky: bool = False
    lost: int = 0

    def length_out(self, length: int) -> int:
        return max(0, length - self.lost)

    def build(self, d_model: int) -> Scalars:
        return Scalars(d_model, self.leaky)

    def sample(self, rows: int, generator: torch.Generator):
        return torch.randn(rows, 6, generator=generator), sample_lengths(rows, 6)


def test_a_right_front_end_passes():
    report = check_front_end(ScalarsConfig(), d_model=5)
    assert all(result.passed for result in report.results), str(report)


def test_a_sum_over_all_positions_is_seen():
    report = check_front_end(ScalarsConfig(leaky=True))
    assert {result.law for result in report.failures} == {"content under the mask", "padding", "any chunks = whole"}


def test_a_wrong_number_of_positions_is_seen():
    report = check_front_end(ScalarsConfig(lost=1))
    assert {result.law for result in report.failures} == {"length out"}
    assert "5 positions of an input [6] long, got 6" in report.failures[0].detail


@pytest.mark.parametrize(("lacking", "message"), [("accepts", "no attribute accepts: one of tokens, words, series"),
                                                  ("length_out", r"no length_out\(length\): tasks need")])  # fmt: skip
def test_configs_that_do_not_keep_the_contract_are_refused(lacking: str, message: str, monkeypatch):
    monkeypatch.delattr(ScalarsConfig, lacking)
    with pytest.raises(InputError, match=message):
        check_front_end(ScalarsConfig())


def test_configs_without_inputs_and_unknown_laws_are_refused():
    with pytest.raises(InputError, match=r"has no sample\(rows, generator\): the laws need inputs"):
        check_front_end(3)
    with pytest.raises(InputError, match="unknown law 'paddin'; known: shapes and lengths, length out, content"):
        check_front_end(ScalarsConfig(), laws=["paddin"])
