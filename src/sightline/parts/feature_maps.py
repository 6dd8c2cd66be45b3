"""Feature maps φ of linear attention: non-negative features whose product φ(q) · φ(k) replaces exp(q · k)."""

from __future__ import annotations

import math
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.modes import without_autocast

Features = Literal["elu", "relu", "performer"]
HEADROOM = 60.0  # the largest exponent of a feature: sums over 10^11 positions still fit float32


@final
class FeatureMap(nn.Module):
    """φ of queries and keys (B, H, T, K), with `size` non-negative features, in float32 or wider.

    - `elu`: elu(x) + 1 (Katharopoulos et al. 2020, eq. 7), as exp(min(x, 0)) + max(x, 0), exact for small values.
    - `relu`: max(x, 0) (Choromanski et al. 2021, § 4.4, eq. 5 with f = ReLU; their code adds a small constant).
    - `performer`: exp(w_i · x' - |x'|²/2) / √m with x' = x / K^¼, whose expected product is exp(q · k / √K), for m
      orthogonal random w_i ~ N(0, I) (FAVOR+, Choromanski et al. 2021, lemma 1 and § 2.4). They are drawn when the
      module is built, shared by all heads and saved with it as the buffer `random` (m, K); they are not redrawn in
      training. Constant factors of queries, one a position, and of keys, one in all, keep the exponentials in range
      and cancel in the normaliser.
    """

    def __init__(self, kind: Features, d_head: int, random_features: int | None = None) -> None:
        super().__init__()
        if kind not in ("elu", "relu", "performer"):
            raise ValueError(f"features must be elu, relu or performer, got {kind!r}")
        if random_features is not None and (kind != "performer" or random_features < 1):
            raise ValueError(f"random_features = {random_features} is for performer features, and at least 1")
        self.kind = kind
        self.size = d_head
        random = None
        if kind == "performer":
            self.size = random_features or max(d_head, int(d_head * math.log(d_head)))
            random = orthogonal_gaussians(self.size, d_head)
        self.register_buffer("random", random)

    def queries(self, x: Tensor) -> Tensor:
        """φ(q) (B, H, T, size), each position up to a factor that the normaliser takes out."""
        if self.random is None:
            return self._simple(x)
        exponents = _exponents(x, self.random)
        return (exponents - exponents.detach().amax(-1, keepdim=True)).exp()

    def keys(self, x: Tensor) -> Tensor:
        """φ(k) (B, H, T, size), all positions up to one factor that depends on no input."""
        if self.random is None:
            return self._simple(x)
        largest = 0.5 * self.random.to(_wide(x)).square().sum(1).amax()  # w · x' - |x'|²/2 <= |w|²/2
        return (_exponents(x, self.random) - (largest - HEADROOM).clamp(min=0.0)).exp()

    def _simple(self, x: Tensor) -> Tensor:
        x = x.to(_wide(x))
        return F.relu(x) if self.kind == "relu" else x.clamp(max=0.0).exp() + F.relu(x)


def orthogonal_gaussians(rows: int, width: int) -> Tensor:
    """Random (rows, width), each row N(0, I), the rows of every block of `width` orthogonal to each other.

    Directions from the QR decomposition of a Gaussian matrix, lengths from another (Choromanski et al. 2021, § 2.4).
    """
    blocks = []
    for _ in range(-(-rows // width)):
        directions, triangle = torch.linalg.qr(torch.randn(width, width))
        blocks.append(directions * triangle.diagonal().sign())  # the sign makes the rotation uniform
    return torch.cat(blocks)[:rows] * torch.randn(rows, width).norm(dim=1, keepdim=True)


def _exponents(x: Tensor, random: Tensor) -> Tensor:
    """w_i · x' - |x'|²/2 (B, H, T, m)."""
    x = x.to(_wide(x)) * x.shape[-1] ** -0.25
    with without_autocast(x.device):
        return x @ random.to(x.dtype).T - 0.5 * x.square().sum(-1, keepdim=True)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
