"""Linear layers with weights packed once for inference: in float32, bfloat16 or 8-bit integers.

A step of decoding multiplies few rows by many weights. The weights are stored in the order in which the kernel reads
them, which on an AMD processor doubles the rate in float32. A call of that kernel costs some 12 microseconds more than
one of `F.linear`, so that small weights stay as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, final, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.precision import Precision

PACKED_FOR = 4  # rows; weights packed for these are within a tenth of the best at 1 to 640 rows (AMD Zen 5)
PACKED_FROM = 1 << 18  # elements of a float32 weight, 1 MiB: smaller ones take longer packed (AMD Zen 5, 1 to 8 rows)


@final
class PackedLinear(nn.Module):
    """x Wᵀ + b for inference, with W in float32 as oneDNN reads it.

    Which kernel runs does not depend on a measurement: outputs are the same in every process, so that a comparison that
    was stopped continues as one that was not.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            return F.linear(x, self.weight, self.bias)
        if self._packed is None:
            self._packed = _pack(self.weight)
        return _multiply(x, self._packed, self.bias)

    def plain(self) -> nn.Linear:
        """The layer that was packed, with the same parameters."""
        linear = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        linear.weight, linear.bias = self.weight, self.bias
        return linear


@final
class BFloat16Linear(nn.Module):
    """x Wᵀ + b with x, W, b and the result rounded to bfloat16, sums in float32."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._weight: Tensor | None = None
        self._bias = None if linear.bias is None else linear.bias.detach().bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        if self._weight is None:
            narrow = self.weight.detach().bfloat16()
            self._weight = _pack(narrow) if packs(narrow) else narrow
        multiply = _multiply if packs(self.weight) else F.linear
        return multiply(x.bfloat16(), self._weight, self._bias).to(x.dtype)


@final
class Int8Linear(nn.Module):
    """x Wᵀ + b with 8-bit integers: a scale for each row of W and for each row of x, sums in 32 bits.

    The scale of a row of x is its largest magnitude, so that no row's result depends on others in the batch (the
    quantisation of Dettmers et al. 2022, arXiv:2208.07339, § 2, "vector-wise", without their outliers). torch's
    kernel is called with rows that are already divided by it.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        # Without VNNI pairs of products are added in 16 bits, for which 7 bits of x leave room.
        self._levels = 127 if torch.cpu._is_vnni_supported() else 63
        self._packed: Any = None

    def _pack(self) -> Any:
        weight = self.weight.detach().float()
        scales = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
        zeros = torch.zeros(len(scales), dtype=torch.long)
        with warnings.catch_warnings():  # torch will drop tensors of this kind; its other int8 kernels are slower
            warnings.simplefilter("ignore", UserWarning)
            integers = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
            return torch.ops.quantized.linear_prepack(integers, None)

    def forward(self, x: Tensor) -> Tensor:
        if self._packed is None:
            self._packed = self._pack()
        largest = x.abs().amax(-1, keepdim=True).clamp_min_(1e-30)
        multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        y = multiply(x / largest, 1.0 / self._levels, 128, self._packed)
        return y.mul_(largest) if self.bias is None else torch.addcmul(self.bias, y, largest, out=y)


KINDS: dict[Precision, Callable[[nn.Linear], nn.Module]] = {
    "float32": PackedLinear,
    "bf16": BFloat16Linear,
    "int8": Int8Linear,
}


def check_precision(precision: str, device: torch.device) -> None:
    """Raise `InputError` where products on this device cannot have this precision.

    Raises:
        InputError: "must be float32, bf16 or int8, found 'int4'"; "int8 needs a CPU, found cuda"; "int8 needs torch's
            kernels for x86 processors".
    """
    if precision not in get_args(Precision):
        raise InputError(f"must be float32, bf16 or int8, found {precision!r}", where="--precision")
    if precision != "int8":
        return
    if device.type != "cpu":
        raise InputError(f"int8 needs a CPU, found {device.type}", where="--precision")
    if not hasattr(torch, "quantize_per_channel") or not {"x86", "fbgemm"} & set(
        torch.backends.quantized.supported_engines
    ):
        raise InputError("int8 needs torch's kernels for x86 processors", where="--precision")


def pack_linears(module: nn.Module, precision: Precision) -> None:
    """Replace every `nn.Linear` below `module` by its packed form, in place, after joining products of one input.

    A part joins them where it has a method `join_products()`; its weights may not change afterwards. Weights are packed
    at their first use, so that those which a joint product replaces never are.
    """
    for part in module.modules():
        join: Any = getattr(part, "join_products", None)
        if join is not None:
            join()
    _replace(module, precision)


def _replace(module: nn.Module, precision: Precision) -> None:
    for name, part in list(module.named_children()):
        if type(part) is nn.Linear:
            if _gains(part.weight, precision):
                setattr(module, name, KINDS[precision](part))
        else:
            _replace(part, precision)


def _gains(weight: Tensor, precision: Precision) -> bool:
    if precision == "float32":
        return packs(weight) and weight.numel() >= PACKED_FROM
    return weight.numel() > 0  # layers whose heads are all removed have empty ones


def packs(weight: Tensor) -> bool:
    """Whether torch can store this weight in oneDNN's order."""
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return False
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _pack(weight: Tensor) -> Tensor:
    """W (N, K) in oneDNN's order."""
    with torch.no_grad():
        return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), PACKED_FOR)


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    bias = None if bias is None else bias.contiguous()  # whose strides oneDNN ignores
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
