"""`check_front_end` on front ends that are not ours: a right one, a wrong one, and ones without inputs."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, sample_lengths
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
    leaky: bool = False

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


def test_configs_without_inputs_and_unknown_laws_are_refused():
    with pytest.raises(InputError, match=r"has no sample\(rows, generator\): the laws need inputs"):
        check_front_end(3)
    with pytest.raises(InputError, match="unknown law 'paddin'; known: shapes and lengths, content under the mask"):
        check_front_end(ScalarsConfig(), laws=["paddin"])
