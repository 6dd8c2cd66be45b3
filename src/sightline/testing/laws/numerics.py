"""Numbers: the independent reference, derivatives, low precision, long sequences and large values."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError
from torch.func import functional_call

from sightline.core.mixer import Memory
from sightline.core.state import detach, nbytes
from sightline.testing.findings import Finding, close, finite, relative_rms, true
from sightline.testing.rounding import as_bfloat16
from sightline.testing.subject import (
    ArrayMemory,
    NotApplicable,
    Reference,
    Subject,
    floats,
    map_floats,
    normal,
    packed,
    ragged,
    rows,
    steps,
)

LONG = 65536
SECONDS = 1.5  # of processor time that an encoder, or a mechanism whose state grows, may spend on the way to LONG
GRADCHECK_ALL = 400  # numbers up to which every partial derivative is checked, and not only a random projection


def equals_reference(subject: Subject) -> Iterator[Finding]:
    """Outputs equal the independent slow float64 loops, and so do initial parameters that the paper fixes."""
    reference = subject.reference
    if reference is None:
        raise NotApplicable(
            "no reference given; those of sightline's mechanisms are in tests/reference of a source checkout"
        )
    for dtype in subject.dtypes:
        module, x = subject.module(dtype), subject.x(dtype=dtype)
        for mask, starts in ((None, None), (ragged(), None), (ragged(), packed())):
            memory = subject.memory(dtype=dtype, masked=mask is not None)
            y, _ = subject.whole(module, x, memory, mask, starts)
            expected = run_reference(reference, subject.config, module, x, memory, mask, starts)
            flags = "".join(f" with {n}" for n, f in (("mask", mask), ("starts", starts)) if f is not None)
            yield close(y, torch.from_numpy(expected).to(y.dtype), f"outputs{flags}")
    if subject.initial is not None:
        parameters = _arrays(subject.fresh())
        for name, expected in subject.initial(subject.config, parameters).items():
            yield close(torch.from_numpy(parameters[name]), torch.from_numpy(expected), f"initial {name}")


def run_reference(
    reference: Reference,
    config: Any,
    module: torch.nn.Module,
    x: Tensor,
    memory: Memory | None = None,
    mask: Tensor | None = None,
    starts: Tensor | None = None,
) -> np.ndarray:
    """The reference's outputs (B, T, d_out) in float64, for the module's own parameters."""
    flags = [None if flag is None else flag.numpy() for flag in (mask, starts)]
    return reference(config, _arrays(module), x.detach().double().numpy(), *flags, _memory_arrays(memory))


def _arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def _memory_arrays(
    memory: Memory | None, convert: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> ArrayMemory | None:
    if memory is None:
        return None
    mask = None if memory.mask is None else memory.mask.numpy()
    summary = None if memory.summary is None else convert(memory.summary.detach().double().numpy())
    return ArrayMemory(convert(memory.values.detach().double().numpy()), mask, summary)


def derivatives(subject: Subject) -> Iterator[Finding]:
    """gradcheck in float64 for inputs, memory, state and parameters, with padding and a document's start."""
    d_model = subject.small_width()
    module = subject.scattered(d_model=d_model)
    x = subject.x(2, 3, d_model=d_model)
    mask = torch.tensor([[True, True, True], [True, False, True]])
    starts = torch.tensor([[False, False, False], [False, False, True]])
    names = [name for name, _ in module.named_parameters()]
    memory = _narrow_memory(subject, module)
    parts = [x, *floats(memory), *module.parameters()]
    inputs = [part.detach().clone().requires_grad_() for part in parts]

    def call(*values: Tensor) -> tuple[Tensor, ...]:
        values_left = iter(values)
        x = next(values_left)
        of_memory = map_floats(lambda _: next(values_left), memory)
        parameters = dict(zip(names, values_left, strict=True))
        if not subject.is_mixer:
            return (functional_call(module, parameters, (x, mask, starts)),)
        fed = {f"mixer.{name}": parameter for name, parameter in parameters.items()}
        y, state = functional_call(_Fed(module), fed, (x, of_memory, mask, starts))
        return (y, *(leaf for leaf in floats(state) if leaf.requires_grad))

    fast = sum(value.numel() for value in inputs) > GRADCHECK_ALL
    kind = "a random projection of the" if fast else "every"
    total = sum(value.numel() for value in inputs)
    yield _gradcheck(call, inputs, fast, f"{kind} derivative of {total} numbers")
    if subject.is_mixer:
        yield from _state_derivatives(module, x, memory)


@final
class _Fed(torch.nn.Module):
    """A mixer with its initial state inside the call, so that its parameters are replaced there too."""

    def __init__(self, mixer: torch.nn.Module) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x: Tensor, memory: Memory | None, mask: Tensor, starts: Tensor) -> tuple[Tensor, Any]:
        state = self.mixer.initial_state(len(x), memory)  # type: ignore[operator]
        y, state = self.mixer(x[:, :1], state, mask[:, :1], starts[:, :1])
        rest, state = self.mixer(x[:, 1:], state, mask[:, 1:], starts[:, 1:])
        return torch.cat([y, rest], 1), state


def _narrow_memory(subject: Subject, module: Any) -> Memory | None:
    """A memory of the width that this module, of another d_model, reads."""
    if not subject.reads_memory:
        return None
    values = normal((2, 3, module.d_memory or 1), "small memory")
    summary = None if module.d_summary is None else normal((2, module.d_summary), "small summary")
    return Memory(values, torch.tensor([[True, True, True], [True, True, False]]), summary)


def _state_derivatives(module: Any, x: Tensor, memory: Memory | None) -> Iterator[Finding]:
    _, state = module(x, module.initial_state(len(x), memory))
    inputs = [leaf.detach().clone().requires_grad_() for leaf in floats(state)]
    if not inputs:
        return

    def call(*values: Tensor) -> Tensor:
        handed = iter(values)
        return module(x, map_floats(lambda _: next(handed), detach(state)))[0]

    yield _gradcheck(call, inputs, True, "a random projection of the derivatives for the state")


def _gradcheck(call: Callable[..., Any], inputs: list[Tensor], fast: bool, what: str) -> Finding:
    try:
        return true(torch.autograd.gradcheck(call, inputs, fast_mode=fast), what)
    except GradcheckError as error:
        return true(False, f"{what}: {str(error).splitlines()[0]}")


def low_precision(subject: Subject) -> Iterator[Finding]:
    """In bfloat16 the error is at most twice that of a naive bfloat16 computation, plus 1e-5.

    The naive computation is the reference with every operation's result rounded to bfloat16; without a reference it is
    the mixer's own `step`.
    """
    wide = subject.module(torch.bfloat16)
    x, memory, mask = subject.x(dtype=torch.bfloat16), subject.memory(dtype=torch.bfloat16), ragged()
    y, _ = subject.whole(wide, x, memory, mask)
    if subject.reference is not None:
        exact = run_reference(subject.reference, subject.config, wide, x, memory, mask)
        rounded = {name: as_bfloat16(value) for name, value in _arrays(wide).items()}
        arrays = _memory_arrays(memory, as_bfloat16)
        inputs = as_bfloat16(x.double().numpy())
        naive = np.asarray(subject.reference(subject.config, rounded, inputs, mask.numpy(), None, arrays))
    elif subject.is_mixer:
        double, of_memory = copy.deepcopy(wide).double(), map_floats(Tensor.double, memory)
        y, _ = subject.whole(wide, x, memory)
        exact = subject.whole(double, x.double(), of_memory)[0].detach().numpy()
        naive = steps(wide, x, wide.initial_state(len(x), memory))[0].detach().double().numpy()
    else:
        raise NotApplicable("needs a reference to compare an encoder with")
    outputs, exact = y.detach().double(), torch.from_numpy(exact)
    error, allowed = (relative_rms(values - exact, exact) for values in (outputs, torch.from_numpy(np.asarray(naive))))
    yield Finding(error, 2 * allowed + 1e-5, "bfloat16 RMS, against twice a naive computation's")


def long_and_large(subject: Subject) -> Iterator[Finding]:
    """Outputs stay finite along 65,536 positions, and outputs and gradients at inputs and logits of ±1e4.

    Where the cost per position grows (an encoder, or a mixer whose state grows) the run ends when its time is up,
    unless the subject is tested in full, and the finding says how far it came. A declared limit on positions may be
    refused by `ValueError`.
    """
    for dtype in (torch.float32, torch.bfloat16):
        module, memory = subject.module(dtype), subject.memory(dtype=dtype)
        x = (1e4 * subject.x(dtype=dtype)).sign() * 1e4
        x = x.requires_grad_()
        y, _ = subject.whole(module, x, memory, ragged(), packed())
        gradients = torch.autograd.grad(y.float().sum(), [x, *module.parameters()], allow_unused=True)
        yield finite([y, *(g for g in gradients if g is not None)], f"outputs and gradients at ±1e4 in {dtype}")
    yield from _long(subject)


def _long(subject: Subject) -> Iterator[Finding]:
    d_model = subject.small_width()
    module = subject.scattered(torch.float32, d_model)
    memory = map_floats(Tensor.float, rows(_narrow_memory(subject, module), slice(0, 1)))
    spent: list[float] = []
    reached, grows = 0, not subject.is_mixer
    with torch.no_grad():
        state = module.initial_state(1, memory) if subject.is_mixer else None
        held = nbytes(state)
        for length in _lengths(subject.is_mixer):
            x = subject.x(1, length, torch.float32, "long", d_model)
            began = time.process_time()
            try:
                y, state = module(x, state) if subject.is_mixer else (module(x), None)
            except ValueError as error:
                yield true(reached > 0, f"finite to {reached:,} positions, then refused: {error}")
                return
            reached = reached + length if subject.is_mixer else length
            yield finite(y, f"outputs along {reached:,} positions")
            spent.append(time.process_time() - began)
            grows = grows or nbytes(state) > held
            if grows and not subject.full and _out_of_time(spent, subject.is_mixer):
                break
    enough = reached == LONG or (grows and not subject.full and reached >= 2048)
    yield true(enough, f"finite to {reached:,} positions")


def _out_of_time(spent: list[float], in_chunks: bool) -> bool:
    """Whether to stop here: chunks have cost what they may, or the next whole length is going to."""
    if in_chunks or len(spent) < 2:
        return sum(spent) > SECONDS
    return spent[-1] * max(1.0, spent[-1] / spent[-2]) > 2 * SECONDS


def _lengths(in_chunks: bool) -> Sequence[int]:
    """Chunk lengths that add up to LONG, or whole lengths that end with it."""
    return (512,) * (LONG // 512) if in_chunks else tuple(2**power for power in range(8, LONG.bit_length()))
