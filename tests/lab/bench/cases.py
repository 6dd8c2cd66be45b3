"""Cases of the tests' own: right, wrong, dying, hungry, without a peer."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import torch

from sightline.lab.bench.peers import load
from sightline.lab.bench.scenario import Aim, Case, Scenario

MEBIBYTE = 2**20


def doubled(size, device):
    x = torch.randn(size, device=device)
    return Case(lambda: [2 * x], lambda: [x + x], None, size, 8 * size)


def wrong_gradient(size, device):
    x = torch.randn(size, requires_grad=True)

    def ours():
        return [(x * x).detach(), x.detach()]

    def other():
        y = x * x
        return [y.detach(), *torch.autograd.grad(y.sum(), x)]

    return Case(ours, other)


def not_a_number(size, device):
    return Case(lambda: [torch.full((size,), torch.nan)], lambda: [torch.full((size,), torch.nan)])


def other_shape(size, device):
    return Case(lambda: [torch.zeros(size)], lambda: [torch.zeros(size, 1)])


def without_peer(size, device):
    load("a-package-that-nobody-has", "whatever")


def dying(size, device):
    os.kill(os.getpid(), signal.SIGKILL)


def raising(size, device):
    raise RuntimeError("no such kernel")


def hungry(size, device):
    """Ours takes `size` MiB, the other twice that; before, three times as much is held and given back."""
    torch.ones(3 * size * MEBIBYTE // 4).sum()

    def fill(times):
        return [torch.ones(times * size * MEBIBYTE // 4)[:1].clone()]

    return Case(lambda: fill(1), lambda: fill(2))


RIGHT = Scenario("right", "tests", "ratio", "x + x", "itself", (8, 16), doubled, 4, aims={8: Aim(0.0), 16: Aim(1e9)})
WRONG = replace(RIGHT, name="wrong", build=wrong_gradient)
