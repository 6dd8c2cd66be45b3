"""Frames made fewer by convolutions, so that attention and recurrences have less to read."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.mixer import keep

STRIDES = (1, 2, 4, 8)


@final
class ConvolutionalSubsampling(nn.Module):
    """Convolutions over 3 frames: one that keeps their number, then one for each factor of two that halves it.

    Each is followed by GELU, as in Radford et al. 2022 (Whisper, arXiv:2212.04356, § 2.2, there with one halving); a
    layer norm at the end gives every architecture inputs of one size. Output i covers the frames from i · stride on.
    """

    def __init__(self, d_in: int, d_model: int, stride: int = 4) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise ValueError(f"stride must be one of {', '.join(map(str, STRIDES))}, got {stride}")
        self.stride = stride
        widths = [d_in] + [d_model] * stride.bit_length()
        self.layers = nn.ModuleList(
            nn.Conv1d(width, d_model, 3, stride=2 if layer else 1, padding=1) for layer, width in enumerate(widths[:-1])
        )
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, ⌈M / stride⌉, d_model) of x (B, M, d_in), and the mask; real frames of a row come first."""
        if not x.shape[1]:
            return x.new_zeros(x.shape[0], 0, self.norm.normalized_shape[0]), mask
        for number, layer in enumerate(self.layers):
            # Zeros are what the convolution itself has beyond the last frame: padding says no more than that.
            x = F.gelu(layer(keep(x, mask).transpose(1, 2))).transpose(1, 2)
            if mask is not None and number:
                mask = mask[:, ::2]
        return keep(self.norm(x), mask), mask
