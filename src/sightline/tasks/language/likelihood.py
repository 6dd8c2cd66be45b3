"""Likelihood of text under a language model: each label once, in a stated context, documents apart.

The code length of a document is the sum of -ln p over its tokens and its end, in nats; by its bytes of UTF-8 it is
comparable between tokenizers: bits per byte = nats / ln 2 / bytes. The end of a document has no bytes and counts in
the numerator, as a code for several documents must say where each ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, final, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from sightline.data.text.positions import Stretch, stretches
from sightline.data.text.readers import Fragment
from sightline.data.text.windows import Window, batched
from sightline.data.tokens.text import TextTokenizer
from sightline.tasks.likelihoods import Likelihoods
from sightline.training.measured import Measured

LIKELIHOODS = "running text", "likelihoods", "tokens"  # kinds of metrics (`Metric.of`)
ITEM = 1024  # positions: a longer document is several items of a bootstrap
_CURVE = 1 << 16  # places in a context that are told apart
_CHUNK = 1024  # positions read at a time where a state is carried


@runtime_checkable
class Model(Protocol):
    """The call of a `Decoder`: logits and the state after the tokens; state None = that before any."""

    def __call__(
        self, tokens: Tensor, state: Any, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]: ...


class Scored(NamedTuple):
    """Labels that were predicted, a place in each array a label."""

    document: np.ndarray  # (N,)
    place: np.ndarray  # (N,) in the document
    seen: np.ndarray  # (N,) positions that the prediction could see, its own included
    label: np.ndarray  # (N,)
    nats: np.ndarray  # (N,) float64


@final
class Tally:
    """Sums over scored tokens."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._bytes_of = tokenizer.bytes_of
        self._items: dict[tuple[int, int], np.ndarray] = {}
        self._curve = np.zeros((_CURVE, 2))  # nats and labels by positions seen

    def add(self, scored: Scored) -> None:
        """Counts these labels in."""
        values = np.stack([scored.nats, np.ones_like(scored.nats), self._bytes_of[scored.label]], 1)
        keys = np.stack([scored.document, scored.place // ITEM], 1)
        names, which = np.unique(keys, axis=0, return_inverse=True)
        sums = np.zeros((len(names), 3))
        np.add.at(sums, which.reshape(-1), values)
        for name, row in zip(names.tolist(), sums, strict=True):
            key = (name[0], name[1])
            self._items[key] = self._items.get(key, 0.0) + row
        np.add.at(self._curve, np.minimum(scored.seen, _CURVE) - 1, values[:, :2])

    @property
    def rows(self) -> np.ndarray:
        """Nats, labels and bytes (N, 3) of every item: documents in order, long ones in stretches of `ITEM`."""
        return np.array([self._items[key] for key in sorted(self._items)]).reshape(-1, 3)

    def measured(self) -> Measured:
        """Every metric of running text."""
        nats, labels, size = self.rows.T
        return Measured.of(dict.fromkeys(LIKELIHOODS, (Likelihoods(nats, labels, size=size),)))

    def details(self) -> dict[str, Any]:
        """The sums over all items, and the loss `by_position`."""
        nats, labels, size = self.rows.sum(0).tolist()
        return {"by_position": self.by_position(), "nats": nats, "tokens": int(labels), "bytes": int(size)}

    def by_position(self) -> list[dict[str, Any]]:
        """The loss by the number of positions that a prediction could see, in steps of about a fifth."""
        seen = np.flatnonzero(self._curve[:, 1])
        stretches: list[dict[str, Any]] = []
        first = 1
        while len(seen) and first <= seen[-1] + 1:
            last = max(first, int(first * 1.2))
            nats, labels = self._curve[first - 1 : last].sum(0).tolist()
            if labels:
                stretches.append({"first": first, "last": last, "loss": nats / labels, "tokens": int(labels)})
            first = last + 1
        return stretches


def items_sha256(numbered: Iterable[tuple[int, Fragment]], tokenizer: TextTokenizer) -> str:
    """The hash of the items that a `Tally` of text has: the text, and the bytes of each item, which the tokens decide.

    Windows and context decide what a prediction can see, not what is predicted.
    """
    digest, tally = hashlib.sha256(), Tally(tokenizer)

    def read() -> Iterator[tuple[int, Fragment]]:
        for number, fragment in numbered:
            digest.update(fragment.text.encode())
            yield number, fragment

    for stretch in stretches(read(), tokenizer):
        if count := len(stretch.labels):
            document, place = np.full(count, stretch.document), stretch.first + np.arange(count)
            tally.add(Scored(document, place, np.ones(count, dtype=np.int64), stretch.labels, np.zeros(count)))
    digest.update(tally.rows[:, 2].tobytes())
    return digest.hexdigest()


def score_windows(model: Model, windows: Iterable[Window], rows: int, device: torch.device) -> Iterator[Scored]:
    """Scores of windows, each read with nothing before it."""
    for batch in batched(windows, rows):
        nats, _ = _read(model, None, batch.tokens.to(device), batch.labels.to(device))
        row, column = batch.scored.numpy().nonzero()
        labels = batch.labels.numpy()[row, column]
        yield Scored(batch.documents[row], batch.firsts[row] + column, column + 1, labels, nats[row, column])


def score_carried(model: Model, stretches: Iterable[Stretch], device: torch.device) -> Iterator[Scored]:
    """Scores of documents read once from beginning to end, with the state carried along."""
    state: Any = None
    for stretch in stretches:
        for start in range(0, len(stretch.labels), _CHUNK):
            here = slice(start, start + _CHUNK)
            tokens, labels = (
                torch.from_numpy(part[here].astype(np.int64)).unsqueeze(0).to(device)
                for part in (stretch.tokens, stretch.labels)
            )
            if stretch.begins and start == 0:
                state = None
            (nats,), state = _read(model, state, tokens, labels)
            place = stretch.first + start + np.arange(len(nats))
            yield Scored(np.full(len(nats), stretch.document), place, place + 1, stretch.labels[here], nats)


@torch.no_grad()
def _read(model: Model, state: Any, tokens: Tensor, labels: Tensor) -> tuple[np.ndarray, Any]:
    """-ln p (B, T) of the labels that follow tokens (B, T), in float64, and the state after them."""
    logits, state = model(tokens, state)
    log_p = torch.log_softmax(logits.float(), -1)
    return -log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1).double().cpu().numpy(), state
