"""A mechanism under the transforms of `torch.func`, under forward-mode differentiation, and with nothing in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacrev, jvp, vmap

from sightline.core.errors import InputError
from sightline.core.mixer import Memory
from sightline.core.state import map_state
from sightline.testing.findings import Finding, close, true
from sightline.testing.subject import BATCH, Subject, floats, normal, rows

LENGTH = 4
OUTPUTS = 3  # numbers of an output whose gradients are compared one by one


def transforms(subject: Subject) -> Iterator[Finding]:
    """`jvp`, `jacrev`, `vmap`, per-sample gradients and forward-mode derivatives agree with gradients row by row.

    `vmap` over rows with different masks may be refused by an `InputError`.
    """
    for flags in ((None, None), small_flags()):
        case = TransformCase.of(subject, *flags)
        suffix = "" if flags[0] is None else " with mask and starts"
        yield from _forward_mode(case, suffix)
        yield from _jacobian(case, suffix)
        try:
            yield from _per_sample(case, suffix)
        except InputError as refusal:
            yield true(bool(suffix), f"vmap over equal rows works, got InputError: {refusal}")


def empty_keeps_graph(subject: Subject) -> Iterator[Finding]:
    """A backward works without positions; without rows, or real positions, it gives every weight the gradient 0.

    One of several processes that train together may have no row, and the others wait for its gradients.
    """
    module = subject.module()
    names, parameters = zip(*module.named_parameters(), strict=True) if list(module.parameters()) else ((), ())
    whole, _ = subject.whole(module, subject.x(2, 3).requires_grad_(), subject.memory(2))
    trained = [one is not None for one in _gradients(whole, parameters)]
    for batch, steps, masked in ((2, 0, False), (0, 3, False), (0, 3, True), (2, 3, True)):
        x, memory = subject.x(2, 3)[:batch, :steps].requires_grad_(), rows(subject.memory(2), slice(0, batch))
        nothing = torch.zeros(batch, steps, dtype=torch.bool) if masked else None
        y, _ = subject.whole(module, x, memory, nothing, nothing)
        where = f"B = {batch}, T = {steps}" + (", all masked" if batch and masked else "")
        yield true(y.requires_grad, f"outputs with a graph at {where}")
        if not y.requires_grad or not steps:
            continue
        for name, gradient, needed in zip(names, _gradients(y, parameters), trained, strict=True):
            zero = gradient is not None and not bool(gradient.any())
            yield true(zero or not needed, f"the gradient 0 for {name} at {where}")


def _gradients(y: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
    return torch.autograd.grad(y.sum(), parameters, allow_unused=True) if parameters else ()


def small_flags() -> tuple[Tensor, Tensor]:
    """A mask with padding left, inside and right, and document starts, both (B, T) of few positions."""
    mask = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    mask[0, :2], mask[1, 1], mask[2, -1] = False, False, False
    starts = torch.zeros_like(mask)
    starts[0, 3], starts[1, 1] = True, True
    return mask, starts


@final
class Chunked(nn.Module):
    """A mechanism fed in two chunks, its initial state inside the call; all float results."""

    def __init__(self, subject: Subject, module: nn.Module) -> None:
        super().__init__()
        self.module, self.is_mixer = module, subject.is_mixer

    def forward(self, x: Tensor, memory: Memory | None, mask: Tensor | None, starts: Tensor | None) -> list[Tensor]:
        module: Any = self.module
        if not self.is_mixer:
            return [module(x, mask, starts)]
        state, outputs = module.initial_state(x.shape[0], memory), []
        for part in (slice(0, 1), slice(1, None)):
            y, state = module(x[:, part], state, *rows((mask, starts), (slice(None), part)))
            outputs.append(y)
        return [torch.cat(outputs, 1), *floats(state)]


class TransformCase(NamedTuple):
    """A mechanism as a function of its parameters and inputs, and its plain gradients."""

    call: Callable[..., list[Tensor]]  # (parameters, x, memory, mask, starts)
    parameters: dict[str, Tensor]
    x: Tensor  # (B, T, D)
    memory: Memory | None
    flags: tuple[Tensor | None, Tensor | None]
    scores: list[Tensor]  # a weight for each number of the results

    @classmethod
    def of(cls, subject: Subject, mask: Tensor | None, starts: Tensor | None) -> TransformCase:
        chunked = Chunked(subject, subject.module())
        x, memory = subject.x(BATCH, LENGTH), subject.memory()

        def call(parameters: dict[str, Tensor], *inputs: Any) -> list[Tensor]:
            return functional_call(chunked, parameters, inputs)

        parameters: dict[str, Tensor] = dict(chunked.named_parameters())
        with torch.no_grad():
            results = call(parameters, x, memory, mask, starts)
        scores = [normal(part.shape, f"weights of result {i}") for i, part in enumerate(results)]
        return cls(call, parameters, x, memory, (mask, starts), scores)

    def score(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """One number that depends on all results."""
        results = self.call(parameters, x, self.memory, *self.flags)
        return sum(((part * score).sum() for part, score in zip(results, self.scores, strict=True)), x.new_zeros(()))


def _forward_mode(case: TransformCase, suffix: str) -> Iterator[Finding]:
    """A derivative along a direction is the gradient's product with it."""
    x = case.x.clone().requires_grad_()
    gradients = torch.autograd.grad(
        case.score(case.parameters, x), [x, *case.parameters.values()], materialize_grads=True
    )
    to_x = normal(x.shape, "direction of x")
    to = {name: normal(one.shape, f"direction of {name}") for name, one in case.parameters.items()}
    expected = sum((one * along).sum() for one, along in zip(gradients, [to_x, *to.values()], strict=True))
    expected = torch.as_tensor(expected)
    along = jvp(case.score, (case.parameters, case.x), (to, to_x))[1]
    yield close(along, expected, f"jvp{suffix}")
    with forward_ad.dual_level():
        duals = {name: forward_ad.make_dual(one, to[name]) for name, one in case.parameters.items()}
        result = forward_ad.unpack_dual(case.score(duals, forward_ad.make_dual(case.x, to_x)))
    tangent = torch.zeros_like(expected) if result.tangent is None else result.tangent
    yield close(tangent, expected, f"forward-mode derivative with weights that are trained{suffix}")


def _jacobian(case: TransformCase, suffix: str) -> Iterator[Finding]:
    def last(x: Tensor) -> Tensor:
        return case.call(case.parameters, x, case.memory, *case.flags)[0][0, -1, :OUTPUTS]

    x = case.x.clone().requires_grad_()
    options: Any = {"retain_graph": True, "materialize_grads": True}
    expected = [torch.autograd.grad(number, x, **options)[0] for number in last(x)]
    yield close(jacrev(last)(case.x), torch.stack(expected), f"jacrev{suffix}")


def _per_sample(case: TransformCase, suffix: str) -> Iterator[Finding]:
    """One row at a time, with its own memory and flags, by `vmap` and by a loop."""

    def outputs(parameters: dict[str, Tensor], *row: Any) -> Tensor:
        return case.call(parameters, *map_state(lambda part: part.unsqueeze(0), row))[0].squeeze(0)

    def loss(parameters: dict[str, Tensor], score: Tensor, *row: Any) -> Tensor:
        return (outputs(parameters, *row) * score).sum()

    batch: Any = (case.x, case.memory, *case.flags)
    axes = map_state(_first_axis, batch)
    with torch.no_grad():
        whole = case.call(case.parameters, *batch)[0]
        yield close(vmap(outputs, (None, *axes))(case.parameters, *batch), whole, f"vmap over rows{suffix}")
    if not case.parameters:
        return  # such as added positions, which have nothing to differentiate
    own = vmap(grad(loss), (None, 0, *axes))(case.parameters, case.scores[0], *batch)
    for row in range(BATCH):
        alone = loss(case.parameters, case.scores[0][row], *rows(batch, row))
        expected = torch.autograd.grad(alone, list(case.parameters.values()), materialize_grads=True)
        yield close([one[row] for one in own.values()], expected, f"per-sample gradients{suffix}")


def _first_axis(_: Tensor) -> Any:
    """The axis that `vmap` runs over."""
    return 0
