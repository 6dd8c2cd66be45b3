"""The translation models of `bench_translation.py` as one writes them with torch in an afternoon, with our weights.

`TorchTransformer` is `nn.Transformer` between two tables of embeddings. `TorchBahdanau` is a packed `nn.GRU` and a loop
over the target's positions. Both are the functions of our models, but for `TorchBahdanau` with `nn.GRUCell`, which
resets after its product where Bahdanau et al. 2015 (and ours) reset before: that one has as many weights, not the same.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sightline.models.attentive import AttentiveConfig
from sightline.models.transformer import TransformerConfig
from sightline.parts.positions import sinusoid

WIDTH, HEADS, LAYERS, HIDDEN = 256, 4, 3, 1024  # those of `verify_multi30k.py`
PAD = 0
LONGEST = 512  # positions

ReadMasks = Literal["all", "causal hint"]


def our_config(architecture: str, dropout: float) -> TransformerConfig | AttentiveConfig:
    """The settings of our model."""
    if architecture == "bahdanau":
        return AttentiveConfig("previous", d_model=WIDTH, dropout=dropout)
    return TransformerConfig(
        d_model=WIDTH, heads=HEADS, layers=LAYERS, d_feed_forward=HIDDEN, positions="sinusoidal", dropout=dropout
    )


class TorchTransformer(nn.Module):
    """`nn.Transformer` with norms first, sinusoidal positions, and output weights shared with the target's embeddings.

    masks: "all", those of torch's tutorial; "causal hint": the target's mask is only named, without its padding, which
        no real position sees, so that torch takes its causal kernel
    """

    def __init__(self, sources: int, targets: int, dropout: float, masks: ReadMasks) -> None:
        super().__init__()
        self.masks = masks
        self.source = nn.Embedding(sources, WIDTH, padding_idx=PAD)
        self.target = nn.Embedding(targets, WIDTH, padding_idx=PAD)
        self.register_buffer("positions", sinusoid(torch.arange(LONGEST), WIDTH, torch.float64), persistent=False)
        self.dropout = nn.Dropout(dropout)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no nested tensors with norms first
            self.transformer = nn.Transformer(
                WIDTH, HEADS, LAYERS, LAYERS, HIDDEN, dropout, batch_first=True, norm_first=True
            )
        self.head = nn.Linear(WIDTH, targets, bias=False)
        self.head.weight = self.target.weight

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        length = target.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=target.device).triu(1)
        padding = source == PAD
        hint = self.masks == "causal hint"
        y = self.transformer(
            self.embed(self.source, source), self.embed(self.target, target), tgt_mask=causal, tgt_is_causal=hint,
            src_key_padding_mask=padding, memory_key_padding_mask=padding,
            tgt_key_padding_mask=None if hint else target == PAD,
        )  # fmt: skip
        return self.head(y)

    def embed(self, table: nn.Embedding, tokens: Tensor) -> Tensor:
        positions = self.positions[: tokens.shape[1]].to(table.weight.dtype)
        return self.dropout(table(tokens) * math.sqrt(WIDTH) + positions)

    def compile_parts(self) -> None:
        self.compile(dynamic=True)


class ResetBefore(nn.Module):
    """The cell of Cho et al. 2014, whose reset gate comes before the product; called as `nn.GRUCell`."""

    def __init__(self, d_input: int, d_hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(d_input, 3 * d_hidden)
        self.gates = nn.Linear(d_hidden, 2 * d_hidden, bias=False)
        self.candidate = nn.Linear(d_hidden, d_hidden, bias=False)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        of_reset, of_update, of_candidate = self.input(x).chunk(3, 1)
        reset, update = self.gates(hidden).chunk(2, 1)
        reset, update = torch.sigmoid(of_reset + reset), torch.sigmoid(of_update + update)
        candidate = torch.tanh(of_candidate + self.candidate(reset * hidden))
        return (1 - update) * hidden + update * candidate


class TorchBahdanau(nn.Module):
    """Bahdanau et al. 2015: a bidirectional `nn.GRU`, additive attention and a cell in a loop, a maxout layer."""

    def __init__(self, sources: int, targets: int, dropout: float, cell: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.source = nn.Embedding(sources, WIDTH, padding_idx=PAD)
        self.target = nn.Embedding(targets, WIDTH, padding_idx=PAD)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.GRU(WIDTH, WIDTH, batch_first=True, bidirectional=True)
        self.first = nn.Linear(WIDTH, WIDTH)
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(2 * WIDTH, WIDTH, bias=False)
        self.energy = nn.Linear(WIDTH, 1, bias=False)
        self.cell = cell(3 * WIDTH, WIDTH)
        self.readout = nn.Linear(4 * WIDTH, 2 * WIDTH)
        self.head = nn.Linear(WIDTH, targets)
        for bias in (self.encoder.bias_hh_l0, self.encoder.bias_hh_l0_reverse):
            nn.init.zeros_(bias)
        self.step: Callable[..., tuple[Tensor, Tensor]] = self.attend_and_advance

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        real = source != PAD
        packed = pack_padded_sequence(
            self.dropout(self.source(source)), real.sum(1), batch_first=True, enforce_sorted=False
        )
        outputs, last = self.encoder(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True)
        hidden = torch.tanh(self.first(last[1]))  # of the direction that read from the end
        keys = self.key(memory)
        read = []
        words = self.dropout(self.target(target))
        for word in words.unbind(1):
            context, after = self.step(word, hidden, keys, memory, real)
            read.append(torch.cat([hidden, word, context], 1))
            hidden = after
        pairs = self.readout(torch.stack(read, 1)).unflatten(2, (WIDTH, 2))
        return self.head(self.dropout(pairs.max(3).values))

    def attend_and_advance(
        self, word: Tensor, hidden: Tensor, keys: Tensor, memory: Tensor, real: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The context of one position, and the state after it."""
        scores = self.energy(torch.tanh(self.query(hidden).unsqueeze(1) + keys)).squeeze(2)
        weights = scores.masked_fill(~real, float("-inf")).softmax(1)
        context = (weights.unsqueeze(1) @ memory).squeeze(1)
        return context, self.cell(torch.cat([word, context], 1), hidden)

    def compile_parts(self) -> None:
        """The step alone: the loop would be compiled again for every length."""
        self.step = torch.compile(self.attend_and_advance, dynamic=True)


class Copied(NamedTuple):
    """Parameters that are the same numbers, side by side on an axis; of theirs only the rows of the slice."""

    theirs: tuple[Tensor, ...]
    mine: tuple[Tensor, ...]
    axis: int = 0
    rows: slice = slice(None)


@torch.no_grad()
def copy_weights(copied: list[Copied]) -> None:
    """Set their parameters to ours."""
    for one in copied:
        values = torch.cat(list(one.mine), one.axis)
        parts = [part[one.rows] for part in one.theirs]
        for part, value in zip(parts, values.split([part.shape[one.axis] for part in parts], one.axis), strict=True):
            part.copy_(value)


def gradients(copied: list[Copied]) -> tuple[list[Tensor], list[Tensor]]:
    """Our gradients and theirs, in the same shapes."""

    def of(parameter: Tensor) -> Tensor:
        return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad

    mine = [torch.cat([of(part) for part in one.mine], one.axis) for one in copied]
    theirs = [torch.cat([of(part)[one.rows] for part in one.theirs], one.axis) for one in copied]
    return mine, theirs


def transformer_weights(mine: Any, theirs: Any) -> list[Copied]:
    """All weights of a `TorchTransformer`, from ours."""
    copied = [
        Copied((theirs.source.weight,), (mine.encoder.front_end.embedding.weight,)),
        Copied((theirs.target.weight,), (mine.decoder.embedding.weight,)),
    ]
    sides = (
        (theirs.transformer.encoder, mine.encoder.encoder.encoders),
        (theirs.transformer.decoder, mine.decoder.mixer.mixers),
    )
    for side, parts in sides:
        residuals = [part for part in parts if hasattr(part, "norm")]
        each = len(residuals) // len(side.layers)
        for number, layer in enumerate(side.layers):
            own = residuals[number * each : (number + 1) * each]
            for place, residual in enumerate(own, 1):
                copied += _module(getattr(layer, f"norm{place}"), residual.norm)
            attentions = [layer.self_attn, *([layer.multihead_attn] if each == 3 else [])]
            for attention, residual in zip(attentions, own[:-1], strict=True):
                copied += _attention(attention, inner_of(residual).heads)
            feed = inner_of(own[-1])
            copied += [*_module(layer.linear1, feed.widen), *_module(layer.linear2, feed.narrow)]
        copied += _module(side.norm, inner_of(parts[-1]))
    return copied


def inner_of(part: Any) -> Any:
    """The mechanism or module inside a layer's wrappers."""
    while not hasattr(part, "heads"):
        inner = next((getattr(part, name) for name in ("mixer", "encoder", "module") if hasattr(part, name)), None)
        if inner is None:
            break
        part = inner
    return part


def _attention(theirs: Any, heads: Any) -> list[Copied]:
    linears = (heads.query, heads.key, heads.value)
    return [
        Copied((theirs.in_proj_weight,), tuple(linear.weight for linear in linears)),
        Copied((theirs.in_proj_bias,), tuple(linear.bias for linear in linears)),
        *_module(theirs.out_proj, heads.out),
    ]


def _module(theirs: Any, mine: Any) -> list[Copied]:
    names = [name for name, _ in theirs.named_parameters()]
    return [Copied((getattr(theirs, name),), (getattr(mine, name),)) for name in names]


def bahdanau_weights(mine: Any, theirs: Any) -> list[Copied]:
    """All weights of a `TorchBahdanau`, from ours; of an `nn.GRUCell` none."""
    both, attention = mine.encoder.encoder, mine.decoder.mixer.mixers[0]
    copied = [
        Copied((theirs.source.weight,), (mine.encoder.front_end.embedding.weight,)),
        Copied((theirs.target.weight,), (mine.decoder.embedding.weight,)),
        *_module(theirs.first, attention.from_summary),
        *_module(theirs.query, attention.query_projection),
        *_module(theirs.key, attention.key_projection),
        *_module(theirs.energy, attention.energy),
        *_module(theirs.readout, attention.readout),
        *_module(theirs.head, mine.decoder.head.linear),
    ]
    for own, suffix in ((both.forwards, "l0"), (both.backwards, "l0_reverse")):
        part = {name: getattr(theirs.encoder, f"{name}_{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih")}
        copied += [
            Copied((part["weight_ih"],), (own.weight_input,)),
            Copied((part["weight_hh"],), (own.weight_hidden,)),
            Copied((part["bias_ih"],), (own.bias,)),
            # torch adds a second bias to the other gates too, which is set to 0.
            Copied((getattr(theirs.encoder, f"bias_hh_{suffix}"),), (own.bias_candidate,), rows=slice(2 * WIDTH, None)),
        ]
    if isinstance(theirs.cell, ResetBefore):
        copied += [
            Copied((theirs.cell.input.weight,), (attention.weight_input, attention.weight_context), axis=1),
            Copied((theirs.cell.input.bias,), (attention.bias,)),
            Copied((theirs.cell.gates.weight, theirs.cell.candidate.weight), (attention.weight_hidden,)),
        ]
    return copied


class Peer(NamedTuple):
    """A model of torch: from the sizes of two vocabularies and a dropout.

    same: whether it is our function; compiled: whether it is measured compiled too, as one of similar models is
    """

    build: Callable[[int, int, float], nn.Module]
    same: bool = True
    compiled: bool = True


PEERS: dict[str, dict[str, Peer]] = {
    "transformer": {
        "nn.Transformer": Peer(partial(TorchTransformer, masks="all"), compiled=False),
        "nn.Transformer, causal hint": Peer(partial(TorchTransformer, masks="causal hint")),
    },
    "bahdanau": {
        "torch, Bahdanau's cell": Peer(partial(TorchBahdanau, cell=ResetBefore)),
        "torch, nn.GRUCell": Peer(partial(TorchBahdanau, cell=nn.GRUCell), same=False, compiled=False),
    },
}
WEIGHTS = {"transformer": transformer_weights, "bahdanau": bahdanau_weights}
