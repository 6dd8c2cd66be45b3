"""A subject while it is judged: its module, drawn inputs, and what a call of the whole sequence gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from sightline.core.seeds import derive
from sightline.testing.foreign.adapter import Adapter, NotOffered

ROWS = 3
POSITIONS = 13  # in multiples of the subject's chunk


class Difference(NamedTuple):
    """How far outputs are from what was expected, relative to the largest |expected|; inf for NaN and other shapes.

    position: the first one beyond the tolerance, None if there is none or the shapes differ
    detail: what is infinite about it: NaN, or another shape; of the control, what differs
    """

    error: float
    position: int | None = None
    detail: str = ""


@final
class AdapterFault(Exception):
    """An adapter is wrong, whatever its module does: no law can be checked. It ends `check_foreign` in one line."""


@final
class ForeignSubject:
    """One module of an adapter with the weights of a seed, and inputs that follow from it."""

    def __init__(self, adapter: Adapter, seed: int) -> None:
        self.adapter, self.offers, self.seed = adapter, adapter.offers, seed
        self.model = adapter.build(seed)

    def inputs(self, name: str, rows: int = ROWS, positions: int = POSITIONS) -> Tensor:
        """Tokens (rows, positions) or vectors (rows, positions, size), the same for the same name."""
        generator = torch.Generator().manual_seed(derive(self.seed, "foreign", name))
        shape, offers = (rows, positions * self.offers.chunk), self.offers
        if offers.inputs == "tokens":
            return torch.randint(offers.first, offers.size, shape, generator=generator)
        return torch.randn(*shape, offers.size, generator=generator, dtype=torch.float64)

    def start(self, rows: int) -> Any:
        return self.adapter.initial_state(self.model, rows)

    def called(self, call: Callable[..., Any], x: Tensor, state: Any, **how: Tensor) -> tuple[Tensor, Any]:
        """The outputs and the state that `forward` or `step` of the adapter gives.

        Raises:
            AdapterFault: "expected (outputs, state) from forward, found Tensor".
        """
        result = call(self.model, x, state, **how)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Tensor)):
            what = f"expected (outputs, state) from {call.__name__}, found {type(result).__name__}"
            raise AdapterFault(what)
        return result

    def whole(self, x: Tensor, **how: Tensor) -> Tensor:
        """The outputs of one call."""
        return self.called(self.adapter.forward, x, self.start(len(x)), **how)[0]

    def after(self, x: Tensor, **how: Tensor) -> Any:
        """The state after one call.

        Raises:
            NotOffered: the subject has none.
        """
        if self.offers.state == "none":
            raise NotOffered("a state")
        return self.called(self.adapter.forward, x, self.start(len(x)), **how)[1]

    def fed(self, x: Tensor, sizes: Sequence[int], state: Any = None) -> Tensor:
        """The outputs of several calls, of so many positions each, one after the other.

        Raises:
            NotOffered: the subject has no state, or takes no calls of these sizes.
        """
        if self.offers.state == "none":
            raise NotOffered("a state")
        later = sizes if state is not None else sizes[1:]
        if not self.offers.several and any(size != 1 for size in later):
            raise NotOffered("calls of several positions with a state")
        state, outputs, at = self.start(len(x)) if state is None else state, [], 0
        for size in sizes:
            chunk = x[:, at : at + size]
            call = self.adapter.step if size == 1 else self.adapter.forward
            y, state = self.called(call, chunk, state)
            outputs.append(y)
            at += size
        return torch.cat(outputs, 1)

    def rest(self, x: Tensor, state: Any) -> Tensor:
        """The outputs of positions that follow a state: in one call, or step by step where it takes no other."""
        if self.offers.several:
            return self.called(self.adapter.forward, x, state)[0]
        return self.fed(x, [1] * x.shape[1], state)

    def sizes(self, *multiples: int) -> list[int]:
        """Sizes of calls, in multiples of the subject's chunk."""
        return [number * self.offers.chunk for number in multiples]

    def compared(self, actual: Tensor, expected: Tensor, difference: str = "") -> Difference:
        """How far outputs (B, T, …) are from the expected ones; `difference` says what it means that they are not."""
        if actual.shape != expected.shape:
            shapes = (tuple(tensor.shape) for tensor in (actual, expected))
            return Difference(float("inf"), detail="outputs of shape {} instead of {}".format(*shapes))
        actual, expected = actual.detach().double(), expected.detach().double()
        largest = expected.abs().amax() if expected.numel() else torch.tensor(1.0)
        error = (actual - expected).abs() / largest.clamp(min=torch.finfo(torch.float64).tiny)
        error = error.nan_to_num(nan=float("inf"))  # max(0, nan) is 0 in Python
        if not error.numel():
            return Difference(0.0)
        beyond = (error > self.offers.tolerance).movedim(1, 0).flatten(1).any(1) if error.dim() > 1 else None
        places = [] if beyond is None else beyond.nonzero().flatten().tolist()
        detail = "outputs are not finite" if not actual.isfinite().all() else difference
        return Difference(float(error.amax()), places[0] if places else None, detail)
