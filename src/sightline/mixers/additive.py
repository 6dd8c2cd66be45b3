"""Additive attention inside a gated recurrence (Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from sightline.core.caches import beginning
from sightline.core.mixer import Memory, SequenceMixer, check_inputs, check_memory, keep
from sightline.core.probe import Probe
from sightline.core.shapes import Mask, MixedSequences, Sequences, Starts
from sightline.core.state import first_to_end, replaced
from sightline.ops.additive_recurrence import AdditiveWeights, ReadMemory, additive_recurrence, recorded
from sightline.ops.affine import affine, narrowed
from sightline.ops.dense import softmax_average
from sightline.ops.derivatives import connected_zeros
from sightline.ops.eager import eager
from sightline.ops.gates import gate_and_candidate, transposed_parts
from sightline.ops.maxout import maxout
from sightline.ops.traced import any_length
from sightline.parts.plain_linear import is_plain, project
from sightline.parts.recurrent import input_weight, recurrent_weight
from sightline.parts.traced_steps import step_by_step

Query = Literal["previous", "current"]
AttentionScore = Literal["additive", "general", "dot"]


@final
@dataclass(frozen=True)
class AdditiveConfig:
    """Options of `Additive`; `None` widths mean `d_model`, and for d_summary a zero first state."""

    d_hidden: int | None = None
    d_memory: int | None = None
    d_summary: int | None = None
    d_attention: int | None = None
    query: Query = "previous"
    score: AttentionScore = "additive"
    input_feeding: bool = False

    def build(self, d_model: int) -> Additive:
        return Additive(d_model, **vars(self))

    @classmethod
    def examples(cls) -> tuple[AdditiveConfig, ...]:
        return (
            cls(),
            cls(d_hidden=5, d_memory=6, d_summary=7, d_attention=3),
            cls(query="current", d_memory=6, d_summary=7),
            cls(query="current", score="general", d_memory=6, input_feeding=True),
            cls(query="current", score="dot"),
        )


class AdditiveState(NamedTuple):
    """The recurrence's state, and the memory, projected once."""

    hidden: Tensor  # (B, H)
    first: Tensor  # (B, H), the hidden state before any document
    fed: Tensor | None  # (B, D), the last output where input feeding is on
    keys: Tensor  # (B, M, A)
    values: Tensor  # (B, M, D_memory)
    mask: Tensor | None  # (B, M)

    @property
    def stretch(self) -> int:
        """See `core.state.Stretchable`."""
        return self.keys.shape[1] if self.mask is None else first_to_end(self.mask.flip(1))

    def stretched(self, length: int) -> AdditiveState:
        """See `core.state.Stretchable`; padding is on the right."""
        mask = self.keys.new_ones(self.keys.shape[:2], dtype=torch.bool) if self.mask is None else self.mask
        keys, values = beginning(self.keys, length, 1), beginning(self.values, length, 1)
        return replaced(self, keys=keys, values=values, mask=beginning(mask, length, 1))


@final
class Additive(SequenceMixer[AdditiveState]):
    """A GRU decoder that looks back at the memory at every step.

    `query="previous"`, Bahdanau et al. 2015, appendix A.2.2 (biases added, D the width of the input):

        e_ij = vᵀ tanh(W s_{i-1} + U h_j),  α_i = softmax(e_i),  c_i = Σ_j α_ij h_j
        r_i, z_i = σ(W_rz x_i + U_rz s_{i-1} + C_rz c_i),  n_i = tanh(W_n x_i + U_n (r_i ∘ s_{i-1}) + C_n c_i)
        s_i = (1 - z_i) ∘ s_{i-1} + z_i ∘ n_i,  s_0 = tanh(W_s summary)
        y_i = maxout of pairs of U_o s_{i-1} + V_o x_i + C_o c_i   (D maxima; x_i embeds the previous word)

    `query="current"`, the order of Luong, Pham & Manning 2015 (arXiv:1508.04025, eqs. 5, 8): s_i = GRU(x_i, s_{i-1})
    first, then c_i with s_i as the query, y_i = tanh(W_c [c_i ; s_i]); `score` is theirs too: additive ("concat"),
    general sᵀ W h, or dot (d_hidden = d_memory). `input_feeding` (section 3.3) appends y_{i-1} to x_i. Deviation: their
    recurrence is an LSTM. Without input feeding the attention of all positions is one batched operation.

    The weights are `self.weights`, shape (B, T, M); where the query is sequential the probe sees one position a call.
    """

    def __init__(
        self,
        d_model: int,
        d_hidden: int | None = None,
        d_memory: int | None = None,
        d_summary: int | None = None,
        d_attention: int | None = None,
        query: Query = "previous",
        score: AttentionScore = "additive",
        input_feeding: bool = False,
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.d_hidden = d_hidden or d_model
        self.d_memory = d_memory or d_model
        self.d_summary = d_summary
        self.d_attention = d_attention or self.d_hidden
        self.query, self.score, self.input_feeding = query, score, input_feeding
        self._check_options()
        if d_summary is not None:
            self.from_summary = nn.Linear(d_summary, self.d_hidden)
        self._build_score(self.d_memory)
        d_input = d_model * 2 if input_feeding else d_model
        self.weight_input = input_weight(3, self.d_hidden, d_input)
        self.weight_hidden = recurrent_weight(3, self.d_hidden)
        self.bias = nn.Parameter(torch.zeros(3 * self.d_hidden))
        if query == "previous":
            self.weight_context = input_weight(3, self.d_hidden, self.d_memory)
            self.readout = nn.Linear(self.d_hidden + d_model + self.d_memory, 2 * d_model)
        else:
            self.readout = nn.Linear(self.d_memory + self.d_hidden, d_model, bias=False)
        self.weights = Probe("B T M")

    def _check_options(self) -> None:
        for name, value, allowed in (
            ("query", self.query, ("previous", "current")),
            ("score", self.score, ("additive", "general", "dot")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        if self.query == "previous" and (self.score != "additive" or self.input_feeding):
            raise ValueError("score and input_feeding are Luong's: they need query='current'")
        if self.score == "dot" and self.d_hidden != self.d_memory:
            raise ValueError(f"score='dot' needs d_hidden = d_memory, got {self.d_hidden} and {self.d_memory}")

    def _build_score(self, d_memory: int) -> None:
        if self.score == "additive":
            self.query_projection = nn.Linear(self.d_hidden, self.d_attention)
            self.key_projection = nn.Linear(d_memory, self.d_attention, bias=False)
            self.energy = nn.Linear(self.d_attention, 1, bias=False)
        elif self.score == "general":
            self.key_projection = nn.Linear(d_memory, self.d_hidden, bias=False)

    def initial_state(self, batch: int, memory: Memory | None = None) -> AdditiveState:
        values, mask, summary = check_memory(memory, batch, self.d_memory, self.d_summary, "Additive")
        values = keep(values, mask)
        first = values.new_zeros(batch, self.d_hidden)
        if self.d_summary is not None:
            first = torch.tanh(self.from_summary(summary))
        fed = values.new_zeros(batch, self.d_out) if self.input_feeding else None
        keys = values if self.score == "dot" else project(values, self.key_projection)[0]
        return AdditiveState(first, first, fed, keys, values, mask)

    def forward(
        self, x: Sequences, state: AdditiveState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, AdditiveState]:
        check_inputs(x, self.d_model, mask, starts)
        if state is None:
            raise ValueError("Additive reads a memory: give the state from initial_state(batch, memory)")
        if x.shape[1] == 0:
            parts = (*self.parameters(), state.hidden, state.keys, state.values)
            return connected_zeros((x.shape[0], 0, self.d_out), x, *parts), state
        if any_length(x.shape[1]):
            return step_by_step(self, x, state, mask, starts, fixed=("first", "keys", "values", "mask"))
        x = keep(x, mask)
        y, state = self._fed(x, state, mask, starts) if self.input_feeding else self._unfed(x, state, mask, starts)
        return keep(y, mask), state

    @eager  # a graph would repeat the step for every position
    def _unfed(
        self, x: Tensor, state: AdditiveState, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor, AdditiveState]:
        """Computes what needs no recurrence (input products, readout, Luong's attention) for all positions at once."""
        inputs = affine(x, self.weight_input, self.bias)
        loop = self._asking_before if self.query == "previous" else self._asking_after
        s, c, hidden = loop(inputs, state, mask, starts)
        return self._read(s, x, c), replaced(state, hidden=hidden)

    def _asking_before(
        self, inputs: Tensor, state: AdditiveState, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The states before each position (B, T, H), their contexts (B, T, D_memory), and the last state (B, H)."""
        looped = self._looped(state)
        if looped is not None:
            return additive_recurrence(inputs, state.hidden, state.first, *looped, mask, starts)
        weights, weight_context = transposed_parts(self.weight_hidden), narrowed(self.weight_context).T
        read, hidden, queries, contexts = _narrowed(state), state.hidden, [], []
        for t, from_input in enumerate(inputs.unbind(1)):
            hidden = _begin(hidden, state.first, starts, t)
            queries.append(hidden)
            contexts.append(self._context(hidden.unsqueeze(1), read).squeeze(1))
            z, n = gate_and_candidate(torch.addmm(from_input, contexts[t], weight_context), hidden, *weights)
            hidden = _advance(torch.lerp(hidden, n, z), hidden, mask, t)
        return torch.stack(queries, 1), torch.stack(contexts, 1), hidden

    def _asking_after(
        self, inputs: Tensor, state: AdditiveState, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The states after each position (B, T, H), their contexts (B, T, D_memory), and the last state (B, H)."""
        weights, hidden, queries = transposed_parts(self.weight_hidden), state.hidden, []
        for t, from_input in enumerate(inputs.unbind(1)):
            hidden = _begin(hidden, state.first, starts, t)
            z, n = gate_and_candidate(from_input, hidden, *weights)
            hidden = _advance(torch.lerp(hidden, n, z), hidden, mask, t)
            queries.append(hidden)
        s = torch.stack(queries, 1)
        return s, self._context(s, state), hidden

    def _looped(self, state: AdditiveState) -> tuple[AdditiveWeights, ReadMemory] | None:
        """What `additive_recurrence` needs where it computes this layer's loop; None elsewhere."""
        if not torch.is_grad_enabled() or self.query != "previous" or self.weights.attached or not state.keys.numel():
            return None
        query, energy = self.query_projection, self.energy
        if not (is_plain(query) and is_plain(energy)):
            return None
        weights = AdditiveWeights(query.weight, query.bias, energy.weight, self.weight_hidden, self.weight_context)
        memory = ReadMemory(state.keys, state.values, state.mask)
        return (weights, memory) if recorded(weights) else None

    @eager
    def _fed(
        self, x: Tensor, state: AdditiveState, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor, AdditiveState]:
        """With input feeding the readout is part of the recurrence."""
        weights = transposed_parts(self.weight_hidden)
        weight_x, weight_fed = narrowed(self.weight_input).split(self.d_model, 1)
        read, hidden, fed, outputs = _narrowed(state), state.hidden, state.fed, []
        if fed is None:
            raise ValueError("input feeding needs a state from this mixer's initial_state; this one has no last output")
        nothing = torch.zeros_like(fed)
        for t, from_input in enumerate((x @ weight_x.T + self.bias).unbind(1)):
            hidden, fed = _begin(hidden, state.first, starts, t), _begin(fed, nothing, starts, t)
            z, n = gate_and_candidate(torch.addmm(from_input, fed, weight_fed.T), hidden, *weights)
            new = torch.lerp(hidden, n, z)
            y = self._read(new.unsqueeze(1), x, self._context(new.unsqueeze(1), read)).squeeze(1)
            outputs.append(y)
            hidden, fed = _advance(new, hidden, mask, t), _advance(y, fed, mask, t)
        return torch.stack(outputs, 1), replaced(state, hidden=hidden, fed=fed)

    def _context(self, s: Tensor, state: AdditiveState) -> Tensor:
        """Contexts (B, T, D_memory) for queries s (B, T, H)."""
        if self.score == "additive":
            pre = self.query_projection(s).unsqueeze(2) + state.keys.unsqueeze(1)  # (B, T, M, A)
            scores = self.energy(pre.tanh_()).squeeze(-1)
        else:
            scores = s @ state.keys.transpose(1, 2)
        return softmax_average(scores, state.values, state.mask, self.weights)

    def _read(self, s: Tensor, x: Tensor, c: Tensor) -> Tensor:
        if self.input_feeding:  # one position a call, for which autocast's copy of the weights is worth more
            return torch.tanh(self.readout(torch.cat([c, s], 2)))
        if self.query == "current":
            return torch.tanh(project(torch.cat([c, s], 2), self.readout)[0])
        return maxout(project(torch.cat([s, x, c], 2), self.readout)[0])


def _narrowed(state: AdditiveState) -> AdditiveState:
    """The state with the memory's values in the dtype of products, as autocast would convert them at every step."""
    values = narrowed(state.values)
    return state if values is state.values else replaced(state, values=values)


def _begin(carried: Tensor, first: Tensor, starts: Tensor | None, t: int) -> Tensor:
    """The input state of position t: `first` where a document begins there."""
    return carried if starts is None else torch.where(starts[:, t, None], first, carried)


def _advance(new: Tensor, carried: Tensor, mask: Tensor | None, t: int) -> Tensor:
    """The state after position t: the old one where it is padding."""
    return new if mask is None else torch.where(mask[:, t, None], new, carried)
