"""The gated cell of Cho et al. 2014, which several mechanisms share."""

from __future__ import annotations

import torch
from torch import Tensor


def gate_and_candidate(
    from_input: Tensor, hidden: Tensor, weight_gates: Tensor, weight_candidate: Tensor
) -> tuple[Tensor, Tensor]:
    """Update gate z and candidate n (B, H), the reset gate applied before the product (Cho et al. 2014, eqs. 5-8).

    from_input (B, 3H) holds everything that needs no hidden state, in the order r, z, n; hidden (B, H);
    weight_gates (H, 2H) for r and z and weight_candidate (H, H) stand transposed, so that a loop slices nothing.
    """
    width = hidden.shape[1]
    of_gates, of_candidate = from_input.split([2 * width, width], 1)
    r, z = torch.sigmoid(torch.addmm(of_gates, hidden, weight_gates)).chunk(2, 1)
    n = torch.tanh(torch.addmm(of_candidate, r * hidden, weight_candidate))
    return z.to(hidden.dtype), n.to(hidden.dtype)  # under autocast the products are narrower


def transposed_parts(weight_hidden: Tensor) -> tuple[Tensor, Tensor]:
    """weight_hidden (3H, H) as `gate_and_candidate` wants it."""
    width = weight_hidden.shape[1]
    gates, candidate = weight_hidden.T.split([2 * width, width], 1)
    return gates, candidate
