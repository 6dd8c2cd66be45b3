"""Stacks and residual connections of mixers, which are mixers (or encoders) themselves and obey the same laws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer, Stateless, check_inputs, check_memory, keep
from sightline.ops.maxout import maxout
from sightline.parts.plain_linear import project

NormOrder = Literal["pre", "post"]


@final
class Pointwise(SequenceMixer[Stateless]):
    """A module that treats every position alone (feed-forward, dropout, norm), as a mixer."""

    def __init__(self, module: nn.Module, d_model: int, d_out: int | None = None) -> None:
        super().__init__()
        self.module = module
        self.d_model = d_model
        self.d_out = d_model if d_out is None else d_out

    def initial_state(self, batch: int, memory: Memory | None = None) -> Stateless:
        return Stateless()

    def forward(
        self, x: Tensor, state: Stateless | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Stateless]:
        check_inputs(x, self.d_model, mask, starts)
        return keep(self.module(keep(x, mask)), mask), Stateless()

    def step(self, x_t: Tensor, state: Stateless) -> tuple[Tensor, Stateless]:
        return self.module(x_t), state


@final
class Stack(SequenceMixer[tuple[Any, ...]]):
    """Mixers one after another; the state is the tuple of theirs, and all of them are offered the same memory."""

    def __init__(self, mixers: Sequence[SequenceMixer]) -> None:
        super().__init__()
        for below, above in pairwise(mixers):
            if below.d_out != above.d_model:
                raise ValueError(
                    f"{type(above).__name__} expects width {above.d_model}, but "
                    f"{type(below).__name__} below it gives {below.d_out}"
                )
        self.mixers = nn.ModuleList(mixers)
        self.d_model, self.d_out = mixers[0].d_model, mixers[-1].d_out
        self.d_memory = _only(mixer.d_memory for mixer in mixers)
        self.d_summary = _only(mixer.d_summary for mixer in mixers)

    def _each(self) -> Iterator[SequenceMixer[Any]]:
        return cast("Iterator[SequenceMixer[Any]]", iter(self.mixers))

    def initial_state(self, batch: int, memory: Memory | None = None) -> tuple[Any, ...]:
        return tuple(mixer.initial_state(batch, memory) for mixer in self._each())

    def forward(
        self, x: Tensor, state: tuple[Any, ...] | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        state = self.initial_state(x.shape[0]) if state is None else state
        after = []
        for mixer, of_mixer in zip(self._each(), state, strict=True):
            x, of_mixer = mixer(x, of_mixer, mask, starts)
            after.append(of_mixer)
        return x, tuple(after)

    def step(self, x_t: Tensor, state: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
        after = []
        for mixer, of_mixer in zip(self._each(), state, strict=True):
            x_t, of_mixer = mixer.step(x_t, of_mixer)
            after.append(of_mixer)
        return x_t, tuple(after)


def _only(widths: Any) -> int | None:
    """The one width that is not None; a stack reads a single memory."""
    memory_widths = {width for width in widths if width is not None}
    if len(memory_widths) > 1:
        raise ValueError(f"mixers of one stack read memories of different widths: {sorted(memory_widths)}")
    return next(iter(memory_widths), None)


@final
class Residual(SequenceMixer[Any]):
    """x + dropout(mixer(norm(x))) with `order="pre"`, norm(x + dropout(mixer(x))) with `order="post"` (2017)."""

    def __init__(self, mixer: SequenceMixer, norm: nn.Module, order: NormOrder = "pre", dropout: float = 0.0) -> None:
        super().__init__()
        _check_residual(mixer, order)
        self.mixer, self.norm, self.order = mixer, norm, order
        self.dropout = nn.Dropout(dropout)
        self.d_model = self.d_out = mixer.d_model
        self.d_memory, self.d_summary = mixer.d_memory, mixer.d_summary

    def initial_state(self, batch: int, memory: Memory | None = None) -> Any:
        return self.mixer.initial_state(batch, memory)

    def forward(
        self, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        x = keep(x, mask)
        y, state = self.mixer(self.norm(x) if self.order == "pre" else x, state, mask, starts)
        x = self._join(x, y)  # zero under the mask already, unless a norm comes last
        return x if self.order == "pre" else keep(x, mask), state

    def step(self, x_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        y, state = self.mixer.step(self.norm(x_t) if self.order == "pre" else x_t, state)
        return self._join(x_t, y), state

    def _join(self, x: Tensor, y: Tensor) -> Tensor:
        joined = x + self.dropout(y)
        return joined if self.order == "pre" else self.norm(joined)


@final
class DeepOutput(SequenceMixer[Any]):
    """maxout over pairs of W [mixer(x) ; x]: the output looks past the recurrence at its input (Pascanu et al. 2014).

    Around a GRU whose input is [word ; summary] it is the output layer of Cho et al. 2014, appendix A.1, eq. 11.
    """

    def __init__(self, mixer: SequenceMixer, d_out: int) -> None:
        super().__init__()
        self.mixer = mixer
        self.readout = nn.Linear(mixer.d_out + mixer.d_model, 2 * d_out)
        self.d_model, self.d_out = mixer.d_model, d_out
        self.d_memory, self.d_summary = mixer.d_memory, mixer.d_summary

    def initial_state(self, batch: int, memory: Memory | None = None) -> Any:
        return self.mixer.initial_state(batch, memory)

    def forward(
        self, x: Tensor, state: Any = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        y, state = self.mixer(x, state, mask, starts)
        (wide,) = project(torch.cat([y, keep(x, mask)], 2), self.readout)
        return keep(maxout(wide), mask), state


class SummaryState(NamedTuple):
    """The projected summary, the same at every step."""

    context: Tensor  # (B, D)


@final
class FeedSummary(SequenceMixer[SummaryState]):
    """[x_t ; tanh(W summary)] at every step: the decoder does not need to carry the source (Cho et al. 2014, eq. 2).

    Output width 2·d_model.
    """

    def __init__(self, d_model: int, d_summary: int) -> None:
        super().__init__()
        self.d_model, self.d_out, self.d_summary = d_model, 2 * d_model, d_summary
        self.project = nn.Linear(d_summary, d_model)

    def initial_state(self, batch: int, memory: Memory | None = None) -> SummaryState:
        memory = check_memory(memory, batch, None, self.d_summary, "FeedSummary")
        return SummaryState(self.project(memory.summary).tanh())

    def forward(
        self, x: Tensor, state: SummaryState | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, SummaryState]:
        check_inputs(x, self.d_model, mask, starts)
        if state is None:
            raise ValueError("FeedSummary reads a summary: give the state from initial_state(batch, memory)")
        context = state.context.unsqueeze(1).expand(-1, x.shape[1], -1)
        y = torch.cat([x, context], 2)
        return keep(y, mask), state


@final
class AsEncoder(SequenceEncoder):
    """A causal mixer as one layer of an encoder."""

    def __init__(self, mixer: SequenceMixer) -> None:
        super().__init__()
        self.mixer = mixer
        self.d_model, self.d_out = mixer.d_model, mixer.d_out

    def forward(self, x: Tensor, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        return self.mixer(x, None, mask, starts)[0]


@final
class EncoderStack(SequenceEncoder):
    """Encoders one after another."""

    def __init__(self, encoders: Sequence[SequenceEncoder]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.d_model, self.d_out = encoders[0].d_model, encoders[-1].d_out

    def forward(self, x: Tensor, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        for encoder in self.encoders:
            x = encoder(x, mask, starts)
        return x


@final
class ResidualEncoder(SequenceEncoder):
    """`Residual` around an encoder."""

    def __init__(
        self, encoder: SequenceEncoder, norm: nn.Module, order: NormOrder = "pre", dropout: float = 0.0
    ) -> None:
        super().__init__()
        _check_residual(encoder, order)
        self.encoder, self.norm, self.order = encoder, norm, order
        self.dropout = nn.Dropout(dropout)
        self.d_model = self.d_out = encoder.d_model

    def forward(self, x: Tensor, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        x = keep(x, mask)
        y = x + self.dropout(self.encoder(self.norm(x) if self.order == "pre" else x, mask, starts))
        return y if self.order == "pre" else keep(self.norm(y), mask)


def _check_residual(inner: SequenceMixer | SequenceEncoder, order: str) -> None:
    if order not in ("pre", "post"):
        raise ValueError(f"order must be 'pre' or 'post', got {order!r}")
    if inner.d_out != inner.d_model:
        raise ValueError(f"a residual needs equal widths, {type(inner).__name__} maps {inner.d_model} to {inner.d_out}")
