"""Decoding with a cache: the growing cache, which is a value, against a buffer written in place."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.lab.bench.scenario import Aim, Case, Scenario
from sightline.mixers.softmax import SoftmaxAttention
from sightline.testing.subject import steps

WIDTH, HEADS, STEPS = 512, 8, 256


def cache_decoding(size: int, device: torch.device) -> Case:
    """256 single steps of softmax attention up to `size` positions.

    Ours starts from a state that was already continued, so that each call copies the cache once to a buffer of twice
    the size; the buffers of the peer have their final length from the start.
    """
    mixer = SoftmaxAttention(WIDTH, HEADS).to(device)
    heads = mixer.heads
    start = size - STEPS
    prompt, new = torch.randn(2, 1, size, WIDTH, device=device)
    keys, values = torch.zeros(2, 1, HEADS, size, WIDTH // HEADS, device=device)
    with torch.no_grad():
        _, state = mixer(prompt[:, :start], None)
        keys[:, :, :start], values[:, :, :start] = heads.keys_values(prompt[:, :start])

    def ours() -> list[Tensor]:
        with torch.no_grad():
            return [steps(mixer, new[:, :STEPS], state)[0]]

    def other() -> list[Tensor]:
        outputs = []
        with torch.no_grad():
            for t in range(STEPS):
                x, at = new[:, t : t + 1], start + t
                keys[:, :, at : at + 1], values[:, :, at : at + 1] = heads.keys_values(x)
                y = F.scaled_dot_product_attention(heads.queries(x), keys[:, :, : at + 1], values[:, :, : at + 1])
                outputs.append(heads.join(y, None).squeeze(1))
        return [torch.stack(outputs, 1)]

    seen = sum(range(start + 1, size + 1))
    weights = sum(p.nbytes for p in mixer.parameters())
    flops = 4.0 * WIDTH * seen + STEPS * 8.0 * WIDTH**2
    return Case(ours, other, None, flops, 4.0 * 2 * WIDTH * seen + STEPS * weights)


SCENARIOS = (
    Scenario(
        "cache_decoding", "decoding", "ratio", "256 steps of softmax attention up to the given length, width 512",
        "a preallocated buffer, written in place", (4096,), cache_decoding, 300, checked="the peer, outputs",
        aims={4096: Aim(1 / 1.3)},
    ),
)  # fmt: skip
