"""Arrays that round like bfloat16, as a naive computation in that dtype does operation by operation."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch


@final
class RoundedArray(np.ndarray):
    """A float64 array whose arithmetic (ufuncs, `@`, sums) rounds each result to the nearest bfloat16."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [part.view(np.ndarray) if isinstance(part, RoundedArray) else part for part in inputs]
        out = kwargs.pop("out", None)
        result = getattr(ufunc, method)(*plain, **kwargs)
        if not isinstance(result, np.ndarray | np.floating) or result.dtype.kind != "f":
            return result
        result = as_bfloat16(np.asarray(result))
        if out is None:
            return result
        out[0][...] = result
        return out[0]


def as_bfloat16(values: np.ndarray) -> RoundedArray:
    """The nearest bfloat16 values, in an array whose arithmetic rounds too."""
    rounded = torch.from_numpy(np.array(values, dtype=np.float64)).to(torch.bfloat16).double().numpy()
    return rounded.view(RoundedArray)
