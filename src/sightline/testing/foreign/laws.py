"""Laws that somebody else's module can be asked to obey, each of which asks only for what it needs.

Every law is a function of a subject to differences; it raises `NotOffered` where the subject has no such thing. What
the subject raises itself is a refusal. The first law is a control: if a plain call twice does not give the same, the
adapter or the subject is random, and no other cell means anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from sightline.testing.foreign.adapter import NotOffered
from sightline.testing.foreign.subject import Difference, ForeignSubject

Check = Callable[[ForeignSubject], Iterator[Difference]]


class ForeignLaw(NamedTuple):
    """A law: what compares, and what it means for a subject that obeys it."""

    check: Check
    meaning: str


def _control(s: ForeignSubject) -> Iterator[Difference]:
    """A plain call twice."""
    x = s.inputs("x")
    yield s.compared(s.whole(x), s.whole(x), "two calls of one module differ")
    again = ForeignSubject(s.adapter, s.seed).whole(x)
    yield s.compared(again, s.whole(x), "two modules of one seed differ: their weights must follow from the seed")


def _causal(s: ForeignSubject) -> None:
    if not s.offers.causal:
        raise NotOffered("causality: every position sees all")


def _steps(s: ForeignSubject) -> Iterator[Difference]:
    """One position at a time."""
    _causal(s)
    if s.offers.chunk > 1:
        raise NotOffered(f"calls of one position: they come in multiples of {s.offers.chunk}")
    x = s.inputs("x")
    yield s.compared(s.fed(x, [1] * x.shape[1]), s.whole(x))


def _prompt(s: ForeignSubject) -> Iterator[Difference]:
    """A prompt in one call, then steps, as generation does."""
    _causal(s)
    if s.offers.chunk > 1:
        raise NotOffered(f"calls of one position: they come in multiples of {s.offers.chunk}")
    x = s.inputs("x")
    yield s.compared(s.fed(x, [5] + [1] * (x.shape[1] - 5)), s.whole(x))


def _chunks(*multiples: int) -> Check:
    def law(s: ForeignSubject) -> Iterator[Difference]:
        _causal(s)
        if 0 in multiples and not s.offers.empty:
            raise NotOffered("calls of no positions")
        x = s.inputs("x")
        yield s.compared(s.fed(x, s.sizes(*multiples)), s.whole(x))

    return law


def _causality(s: ForeignSubject) -> Iterator[Difference]:
    """The past under another future."""
    _causal(s)
    x, other = s.inputs("x"), s.inputs("other")
    past = 6 * s.offers.chunk
    other[:, :past] = x[:, :past]
    yield s.compared(s.whole(other)[:, :past], s.whole(x)[:, :past])


def _short(s: ForeignSubject) -> Iterator[Difference]:
    """A beginning alone, as short as it may be."""
    _causal(s)
    x, short = s.inputs("x"), s.offers.chunk
    yield s.compared(s.whole(x[:, :short]), s.whole(x)[:, :short])


def _rows(s: ForeignSubject) -> Iterator[Difference]:
    """Each row alone, and rows in another order."""
    x = s.inputs("x")
    y = s.whole(x)
    for row in range(len(x)):
        yield s.compared(s.whole(x[row : row + 1]), y[row : row + 1])
    order = torch.tensor([2, 0, 1])
    yield s.compared(s.whole(x[order]), y[order])


def _value(s: ForeignSubject) -> Iterator[Difference]:
    """The same state used twice."""
    _causal(s)
    if s.offers.state == "in place":
        raise NotOffered("states as values: the next call updates its cache in place")
    x = s.inputs("x")
    first, second = s.sizes(5, 9)
    state = s.after(x[:, :first])
    s.rest(x[:, first:second], state)
    again = s.rest(x[:, second:], state)
    yield s.compared(again, s.rest(x[:, second:], s.after(x[:, :first])))


def _fork(s: ForeignSubject) -> Iterator[Difference]:
    """A copy of a state, after the original went on."""
    _causal(s)
    x, other = s.inputs("x"), s.inputs("other")
    (first,) = s.sizes(5)
    state = s.after(x[:, :first])
    kept = s.adapter.clone(state)
    s.rest(other[:, first:], state)
    yield s.compared(s.rest(x[:, first:], kept), s.whole(x)[:, first:])


def _turns(s: ForeignSubject) -> Iterator[Difference]:
    """Two sequences in turn through one module, each with its state."""
    _causal(s)
    x = s.inputs("x", rows=2)
    one, other = x[:1], x[1:]
    (first,) = s.sizes(5)
    states = [s.after(one[:, :first]), s.after(other[:, :first])]
    for row, state in ((one, states[0]), (other, states[1])):
        yield s.compared(s.rest(row[:, first:], state), s.whole(row)[:, first:])


def _selected(s: ForeignSubject) -> Iterator[Difference]:
    """Rows of a state, in another order and one of them twice, as beam search takes them."""
    _causal(s)
    x, rows = s.inputs("x"), torch.tensor([2, 0, 0])
    (first,) = s.sizes(5)
    state = s.adapter.select(s.model, s.after(x[:, :first]), rows)
    sizes = s.sizes(*[1] * 8)
    yield s.compared(s.fed(x[rows][:, first:], sizes, state), s.whole(x[rows])[:, first:])


def _padding(side: Literal["left", "right"]) -> Check:
    def law(s: ForeignSubject) -> Iterator[Difference]:
        x, mask, real = _padded(s, side)
        yield s.compared(s.whole(x, mask=mask)[1:, real], s.whole(x[1:, real]))
        yield s.compared(s.whole(x, mask=mask)[:1], s.whole(x[:1]))

    return law


def _padded(s: ForeignSubject, side: Literal["left", "right"]) -> tuple[Tensor, Tensor, slice]:
    """Two rows, the mask of which hides a part of the second one, and where the second one is real."""
    if side not in s.offers.mask:
        raise NotOffered(f"a mask of padding on the {side}")
    x = s.inputs("x", rows=2)
    length, hidden = x.shape[1], 9 * s.offers.chunk
    real = slice(hidden, length) if side == "left" else slice(0, length - hidden)
    mask = torch.ones(2, length, dtype=torch.bool)
    mask[1] = False
    mask[1, real] = True
    return x, mask, real


def _hidden(s: ForeignSubject) -> Iterator[Difference]:
    """Other content under the mask."""
    for x, mask, real in _masked(s):
        other = torch.where(mask.view(*mask.shape, *[1] * (x.dim() - 2)), x, s.inputs("other", rows=2))
        yield s.compared(s.whole(other, mask=mask)[1:, real], s.whole(x, mask=mask)[1:, real])


def _hidden_nan(s: ForeignSubject) -> Iterator[Difference]:
    """NaN under the mask, as padding that was never written may have."""
    for x, mask, real in _masked(s):
        if not x.is_floating_point():
            raise NotOffered("vectors as inputs: tokens cannot be NaN")
        other = x.masked_fill(~mask.unsqueeze(2), float("nan"))
        yield s.compared(s.whole(other, mask=mask)[1:, real], s.whole(x, mask=mask)[1:, real])


def _masked(s: ForeignSubject) -> list[tuple[Tensor, Tensor, slice]]:
    """For each side on which padding may be, what `_padded` gives."""
    if not s.offers.mask:
        raise NotOffered("a mask")
    return [_padded(s, side) for side in s.offers.mask]


def _padded_then_steps(s: ForeignSubject) -> Iterator[Difference]:
    """A padded prompt, then two more positions, one at a time, as generation in a batch does."""
    _causal(s)
    if s.offers.chunk > 1:
        raise NotOffered("steps after a padded prompt")
    more = s.inputs("more", rows=2, positions=2)
    for x, mask, real in _masked(s):
        state = s.after(x, mask=mask)
        outputs = []
        for place in range(2):
            y, state = s.called(s.adapter.step, more[:, place : place + 1], state)
            outputs.append(y)
        alone = s.whole(torch.cat([x[1:, real], more[1:]], 1))[:, -2:]
        yield s.compared(torch.cat(outputs, 1)[1:], alone)


def _documents(s: ForeignSubject) -> Iterator[Difference]:
    """Two documents in a row, each as alone."""
    if not s.offers.documents:
        raise NotOffered("several documents in a row")
    x, starts, first = _packed(s)
    y = s.whole(x, starts=starts)
    yield s.compared(y[:, :first], s.whole(x[:, :first]))
    yield s.compared(y[:, first:], s.whole(x[:, first:]))
    if s.offers.causal and s.offers.state != "none" and s.offers.several:  # a later call begins with a document
        y, _ = s.called(s.adapter.forward, x[:, first:], s.after(x[:, :first]), starts=starts[:, first:])
        yield s.compared(y, s.whole(x[:, first:]))


def _packed(s: ForeignSubject) -> tuple[Tensor, Tensor, int]:
    x = s.inputs("x")
    first = 5 * s.offers.chunk
    starts = torch.zeros(x.shape[:2], dtype=torch.bool)
    starts[:, [0, first]] = True
    return x, starts, first


def _gradients(s: ForeignSubject) -> Iterator[Difference]:
    """Gradients of the weights by way of the state."""
    _causal(s)
    if not s.offers.gradients or not isinstance(s.model, nn.Module):
        raise NotOffered("gradients through its state")
    x = s.inputs("x")
    with torch.enable_grad():
        whole = _slopes(s.model, s.whole(x))
        chunked = _slopes(s.model, s.fed(x, s.sizes(5, 8)))
    yield s.compared(chunked.unsqueeze(0), whole.unsqueeze(0))._replace(position=None)


def _slopes(model: nn.Module, y: Tensor) -> Tensor:
    parameters = [p for p in model.parameters() if p.requires_grad]
    slopes = torch.autograd.grad(y.double().square().sum(), parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([slope.flatten().double() for slope in slopes])


def _recording(s: ForeignSubject) -> Iterator[Difference]:
    """With gradients recorded as without."""
    x = s.inputs("x")
    with torch.enable_grad():
        recorded = s.whole(x)
    yield s.compared(recorded, s.whole(x))


def _kept(s: ForeignSubject) -> Iterator[Difference]:
    """Weights and buffers after a call."""
    if not isinstance(s.model, nn.Module):
        raise NotOffered("weights and buffers")
    before = {name: tensor.clone() for name, tensor in s.model.state_dict().items()}
    s.whole(s.inputs("x"))
    after: dict[str, Any] = s.model.state_dict()
    same = before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    yield Difference(0.0 if same else float("inf"), detail="" if same else "weights or buffers changed")


def _strided(s: ForeignSubject) -> Iterator[Difference]:
    """Inputs that are a view with strides of its own."""
    x = s.inputs("x")
    yield s.compared(s.whole(x.transpose(0, 1).contiguous().transpose(0, 1)), s.whole(x))


FOREIGN_LAWS: dict[str, ForeignLaw] = {
    "control": ForeignLaw(_control, "a plain call twice, and of a second module of the same seed, gives the same"),
    "steps": ForeignLaw(_steps, "one position at a time gives what the whole sequence gives"),
    "prompt, then steps": ForeignLaw(_prompt, "a prompt in one call, then steps, give what the whole sequence gives"),
    "chunks 5 + 8": ForeignLaw(_chunks(5, 8), "two calls give what one gives"),
    "chunks 5 + 1 + 7": ForeignLaw(
        _chunks(5, 1, 7), "a call of several positions after a step gives what one call gives"
    ),
    "empty chunk": ForeignLaw(_chunks(5, 0, 8), "a call of no positions between two changes nothing"),
    "short call": ForeignLaw(_short, "a beginning alone, as short as it may be, gives what it gives in the whole"),
    "causality": ForeignLaw(_causality, "another future changes no past output"),
    "rows": ForeignLaw(_rows, "each row alone, and rows in another order, give what they give together"),
    "state is a value": ForeignLaw(_value, "a state that was used once can be used again"),
    "fork": ForeignLaw(_fork, "a copy of a state continues alone after the original went on"),
    "two in turn": ForeignLaw(_turns, "two sequences take turns through one module, each with its own state"),
    "selected rows": ForeignLaw(_selected, "rows of a state, reordered and repeated, continue as their sequences"),
    "left padding": ForeignLaw(_padding("left"), "padding before a sequence changes nothing"),
    "right padding": ForeignLaw(_padding("right"), "padding after a sequence changes nothing"),
    "content under the mask": ForeignLaw(_hidden, "the content under the mask changes nothing"),
    "NaN under the mask": ForeignLaw(_hidden_nan, "NaN in the vectors under the mask changes nothing"),
    "padded prompt, then steps": ForeignLaw(
        _padded_then_steps, "steps after a padded prompt give what they give without padding"
    ),
    "documents": ForeignLaw(
        _documents, "documents packed in a row, or begun by a later call, give what each gives alone"
    ),
    "gradients through the state": ForeignLaw(_gradients, "gradients of the weights over two calls are those over one"),
    "gradients recorded": ForeignLaw(_recording, "outputs are the same with and without recorded gradients"),
    "weights kept": ForeignLaw(_kept, "a call leaves weights and buffers as they were"),
    "strided inputs": ForeignLaw(_strided, "inputs with other strides give the same"),
}
