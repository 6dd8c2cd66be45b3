"""The gated cell of Cho et al. 2014, for loops that need one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.core.shapes import Float, Hidden, ProjectedPosition
from sightline.ops.affine import narrowed

GateWeights = Float[Tensor, "H 2*H"]
CandidateWeights = Float[Tensor, "H H"]
ThreeWeights = Float[Tensor, "_ H"]


def gate_and_candidate(
    from_input: ProjectedPosition, hidden: Hidden, weight_gates: GateWeights, weight_candidate: CandidateWeights
) -> tuple[Hidden, Hidden]:
    """Update gate z and candidate n (B, H), the reset gate applied before the product (Cho et al. 2014).

    r, z = σ(a_{r,z} + h U_{r,z}) and n = tanh(a_n + (r ∘ h) U_n), where from_input (B, 3H) is a, in the order r, z, n.
    weight_gates (H, 2H) for r and z and weight_candidate (H, H) are transposed, so that a loop slices nothing.
    """
    width = hidden.shape[1]
    of_gates, of_candidate = from_input.split([2 * width, width], 1)
    r, z = torch.sigmoid(torch.addmm(of_gates, hidden, weight_gates)).chunk(2, 1)
    n = torch.tanh(torch.addmm(of_candidate, r * hidden, weight_candidate))
    return z.to(hidden.dtype), n.to(hidden.dtype)  # under autocast the products are narrower


def transposed_parts(weight_hidden: ThreeWeights) -> tuple[GateWeights, CandidateWeights]:
    """weight_hidden (3H, H) as `gate_and_candidate` takes it: (H, 2H) and (H, H), in the dtype of products."""
    width = weight_hidden.shape[1]
    gates, candidate = narrowed(weight_hidden).T.split([2 * width, width], 1)
    return gates, candidate
