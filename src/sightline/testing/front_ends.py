"""The laws that every front end obeys, over any front end: from this package or your own (`check_front_end`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, final

import torch
from torch import Tensor

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.core.front_end import KINDS_IN_WORDS, FrontEnd
from sightline.core.seeds import derive
from sightline.core.state import map_state
from sightline.parts.front_ends import FRONT_ENDS, decode_front_end, encode_front_end
from sightline.parts.several import Masked
from sightline.testing.check import judge
from sightline.testing.findings import Finding, close, finite, same, true, zero
from sightline.testing.report import LawResult, Report
from sightline.testing.subject import NotApplicable, floats, map_floats, rows

ROWS = 5

FrontEndInputs: TypeAlias = tuple[Masked, ...]  # what one call reads: one input, or those of several front ends


@final
class FrontEndSubject:
    """`config.build(d_model)` in float64 and evaluation mode, and inputs that are the same every time.

    Raises:
        InputError: "… has no sample(rows, generator): the laws need inputs", and so for what else a config must have.
    """

    def __init__(self, config: Any, d_model: int = 12) -> None:
        if not callable(getattr(config, "sample", None)):
            raise InputError(f"{config} has no sample(rows, generator): the laws need inputs")
        if getattr(config, "accepts", None) not in KINDS_IN_WORDS:
            raise InputError(f"{config} has no attribute accepts: one of {', '.join(KINDS_IN_WORDS)}")
        if not callable(getattr(config, "length_out", None)):
            raise InputError(f"{config} has no length_out(length): tasks need the number of positions")
        self.config, self.d_model = config, d_model
        self.front_end = self.build(config)

    def build(self, config: Any) -> FrontEnd:
        """A front end with the same initial parameters every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(0, "initialisation"))
            return config.build(self.d_model).double().eval()

    def length_out(self, lengths: Iterable[int]) -> int:
        """The positions that the config expects of inputs of these lengths, one for each source."""
        lengths = list(lengths)
        return self.config.length_out(lengths if hasattr(self.front_end, "front_ends") else lengths[0])

    def sources(self) -> FrontEndInputs:
        """Inputs of `ROWS` rows, floats in float64, with their masks."""
        inputs, mask = self.config.sample(ROWS, torch.Generator().manual_seed(derive(0, "inputs")))
        return map_floats(Tensor.double, (Masked(inputs, mask),) if isinstance(inputs, Tensor) else inputs)


def shapes_and_lengths(subject: FrontEndSubject) -> Iterator[Finding]:
    """Vectors are (B, M, d_model) in the parameters' dtype and the mask is (B, M); inputs without a mask give none."""
    front_end, sources = subject.front_end, subject.sources()
    x, mask = _call(front_end, sources)
    yield true(front_end.d_model == subject.d_model, f"attribute d_model is {subject.d_model}")
    yield true(x.dim() == 3 and x.shape[::2] == (ROWS, subject.d_model), f"vectors (B, M, D), got {tuple(x.shape)}")
    yield true(x.dtype == torch.float64, f"vectors in float64, got {x.dtype}")
    yield true(mask is not None and mask.dtype == torch.bool, "a mask of bool")
    yield true(mask is not None and mask.shape == x.shape[:2], "a mask as long as the vectors")
    yield same(_call(front_end, sources)[0], x, "the same call twice")
    open_x, no_mask = _call(front_end, tuple(Masked(one.values) for one in sources))
    yield true(no_mask is None, "no mask for inputs without one")
    whole_x, whole = _call(
        front_end, tuple(Masked(one.values, map_state(torch.ones_like, one.mask)) for one in sources)
    )
    yield true(whole is not None and bool(whole.all()), "all positions real where all inputs are")
    yield close(whole_x, open_x, "vectors under a mask that hides nothing")


def length_follows(subject: FrontEndSubject) -> Iterator[Finding]:
    """`length_out` of an input's length is the number of its positions, of whole inputs and of rows that end early."""
    front_end, sources = subject.front_end, subject.sources()
    x, mask = _call(front_end, sources)
    expected = subject.length_out(one.values.shape[1] for one in sources)
    yield true(x.shape[1] == expected, f"{expected} positions of whole inputs, got {x.shape[1]}")
    if mask is not None and all(map(_by_length, sources)):
        for row, real in enumerate(mask.sum(1).tolist()):
            lengths = [0 if one.mask is None else int(one.mask[row].sum()) for one in sources]
            expected = subject.length_out(lengths)
            yield true(real == expected, f"{expected} positions of an input {lengths} long, got {real}")


def content_under_mask(subject: FrontEndSubject) -> Iterator[Finding]:
    """Content under the mask, NaN too, changes no bit of real vectors, of the mask or of a parameter's gradient."""
    front_end, results = subject.front_end, []
    for content in (0.0, float("nan"), float("inf"), 1e30):
        sources = _filled(front_end, subject.sources(), content)
        leaves = [leaf.requires_grad_() for leaf in floats(sources)]
        x, mask = _call(front_end, sources)
        real = x[mask]
        parameters = list(front_end.parameters())
        gradients = torch.autograd.grad((real * real.detach().cos()).sum(), [*leaves, *parameters], allow_unused=True)
        yield finite([real, *(g for g in gradients if g is not None)], f"vectors and gradients over {content}")
        hidden = [where for one, where in zip(sources, _hidden(front_end, sources)) if one.values.is_floating_point()]
        for where, gradient in zip(hidden, gradients, strict=False):
            if gradient is not None:
                yield zero(gradient[where.expand_as(gradient)], f"gradient to {content} under the mask")
        of_parameters = [torch.zeros(()) if g is None else g for g in gradients[len(leaves) :]]
        results.append([real.detach(), mask, *of_parameters])
    for other in results[1:]:
        yield same(other, results[0], "vectors, mask and gradients, whatever is under the mask")


def padding(subject: FrontEndSubject) -> Iterator[Finding]:
    """A row gives what it gives alone, cut to its length; more padding on the right adds no real position."""
    front_end, sources = subject.front_end, subject.sources()
    if not any(map(_by_length, sources)):
        raise NotApplicable("its masks are not of lengths")
    x, mask = _call(front_end, sources)
    for row in range(ROWS):
        alone, real = _call(front_end, tuple(_cut(one, row) for one in sources))
        alone = alone[0] if real is None else alone[0][real[0]]
        yield close(x[row][mask[row]], alone, "a row alone, cut to its length")
    y, wider = _call(front_end, tuple(map(_padded, sources)))
    yield close(y[wider], x[mask], "rows with more padding")
    yield same(wider.sum(1), mask.sum(1), "real positions of rows with more padding")


def batch_order_and_size(subject: FrontEndSubject) -> Iterator[Finding]:
    """A row gives the same in any order and in a batch of any size, the empty one included."""
    front_end, sources = subject.front_end, subject.sources()
    x, mask = _call(front_end, sources)
    for order in ([3, 0, 4, 2, 1], [2], []):
        index = torch.tensor(order, dtype=torch.long)
        y, real = _call(front_end, rows(sources, index))
        yield same(real, mask[index], f"the mask of rows {order}")
        yield close(y[real], x[index][mask[index]], f"rows {order}")


def round_trip(subject: FrontEndSubject) -> Iterator[Finding]:
    """A config survives JSON, and parameters loaded into a fresh front end give the same bits."""
    kind = type(subject.config)
    if kind in FRONT_ENDS.values():
        decoded: Any = decode_front_end(json.loads(json.dumps(encode_front_end(subject.config))), where="config")
    else:
        decoded = decode(kind, json.loads(json.dumps(encode(subject.config))))
    yield true(decoded == subject.config, f"the config after JSON, got {decoded}")
    other = decoded.build(subject.d_model).double().eval()
    loaded = other.load_state_dict(subject.front_end.state_dict(), strict=True)
    yield true(not loaded.missing_keys and not loaded.unexpected_keys, "the same keys in a fresh front end")
    x, mask = _call(subject.front_end, subject.sources())
    yield same(_call(other, subject.sources())[0][mask], x[mask], "vectors of a loaded front end")


def chunks_are_whole(subject: FrontEndSubject) -> Iterator[Finding]:
    """A pointwise front end gives in chunks what it gives on the whole."""
    front_end, sources = subject.front_end, subject.sources()
    if not front_end.pointwise:
        raise NotApplicable("mixes positions")
    x, mask = _call(front_end, sources)
    for size in (1, 3):
        chunks = [
            _call(front_end, rows(sources, (slice(None), slice(at, at + size)))) for at in range(0, x.shape[1], size)
        ]
        real = torch.cat([own for _, own in chunks], 1)
        yield same(real, mask, f"the mask in chunks of {size}")
        yield close(torch.cat([y for y, _ in chunks], 1)[real], x[mask], f"vectors in chunks of {size}")


FrontEndLaw = Callable[[FrontEndSubject], Iterator[Finding]]

FRONT_END_LAWS: dict[str, FrontEndLaw] = {
    "shapes and lengths": shapes_and_lengths,
    "length out": length_follows,
    "content under the mask": content_under_mask,
    "padding": padding,
    "batch order and size": batch_order_and_size,
    "config and weights round trip": round_trip,
    "any chunks = whole": chunks_are_whole,
}


def check_front_end(config: Any, *, d_model: int = 12, laws: Iterable[str] | None = None) -> Report:
    """The laws over `config.build(d_model)`, a `FrontEnd`; `laws` are names in `FRONT_END_LAWS`, None = all.

    `config.sample(rows, generator)` returns random inputs of that many rows and their mask.

    Raises:
        InputError: "unknown law 'paddin'; known: …"; a config without `sample`, `accepts` or `length_out`.
    """
    names = list(FRONT_END_LAWS if laws is None else laws)
    for name in names:
        if name not in FRONT_END_LAWS:
            raise InputError(f"unknown law {name!r}; known: {', '.join(FRONT_END_LAWS)}")
    subject = FrontEndSubject(config, d_model)
    return Report(config, d_model, tuple(run_front_end_law(name, subject) for name in names))


def run_front_end_law(name: str, subject: FrontEndSubject) -> LawResult:
    """One law; an exception in the front end is a failure, and its text the detail."""
    return judge(name, lambda: list(FRONT_END_LAWS[name](subject)))


def _call(front_end: FrontEnd, sources: FrontEndInputs) -> tuple[Tensor, Any]:
    return front_end(sources) if hasattr(front_end, "front_ends") else front_end(*sources[0])


def _hidden(front_end: Any, sources: FrontEndInputs) -> list[Tensor]:
    """The values of each source that the masks hide, by the front end of its own."""
    parts = getattr(front_end, "front_ends", [front_end])
    return [part.hidden(*one) for part, one in zip(parts, sources, strict=True)]


def _filled(front_end: FrontEnd, sources: FrontEndInputs, content: float) -> FrontEndInputs:
    """The sources with `content` under their masks, whole numbers with 1 instead of values that they cannot be."""
    filled = []
    for one, where in zip(sources, _hidden(front_end, sources), strict=True):
        fits = one.values.is_floating_point() or content == 0.0
        filled.append(one._replace(values=one.values.masked_fill(where, content if fits else 1)))
    return tuple(filled)


def _by_length(one: Masked) -> bool:
    """Whether the mask hides positions of axis 1 of the input, on the right."""
    mask = one.mask
    if mask is None or mask.shape != one.values.shape[:2]:
        return False
    return torch.equal(mask, torch.arange(mask.shape[1]) < mask.sum(1, keepdim=True))


def _cut(one: Any, row: int) -> Masked:
    """The row alone, without its padding and its mask where the mask is of lengths."""
    values, mask = one.values[row : row + 1], one.mask[row : row + 1]
    return Masked(values[:, : int(mask.sum())]) if _by_length(one) else Masked(values, mask)


def _padded(one: Any) -> Masked:
    """The rows with five more positions of padding, where the mask is of lengths."""
    if not _by_length(one):
        return one
    batch, _, *rest = one.values.shape
    values = torch.cat([one.values, one.values.new_ones(batch, 5, *rest)], 1)
    return Masked(values, torch.cat([one.mask, one.mask.new_zeros(batch, 5)], 1))
