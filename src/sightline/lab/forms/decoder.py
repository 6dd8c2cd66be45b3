"""Language models under measurement: windows of text up to the length that they were trained on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import islice
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.spaced import spaced
from sightline.data.text.positions import stretches
from sightline.data.text.windows import windows
from sightline.lab.bands import mean_band, median_band
from sightline.lab.context_loss import context_loss
from sightline.lab.forms.form import Past, RunForm, Sampled, as_mechanism
from sightline.lab.mechanism import Mechanism
from sightline.lab.panel_results import Reach
from sightline.lab.reach import (
    EXACT,
    PROBES,
    StateReach,
    cotangents,
    distances,
    input_reach,
    recurrent_matrices,
    state_bands,
    state_reach,
)
from sightline.models.decoder import Decoder

ROWS = 64  # windows read at a time
LEAST_WINDOWS = 32


@final
class DecoderForm(RunForm):
    """A language model; the label of the last position of each window counts."""

    def mechanisms(self) -> list[Mechanism]:
        return as_mechanism(self.run, self._known(self.model).mixer)

    def reach(self, model: Any, sampled: Sampled, *, used: bool = True) -> list[Reach]:
        tokens, labels = self._windows(sampled)
        model, length = self._known(model), tokens.shape[1]
        lags = distances(length)
        reads = [*lags, length]
        band = None
        if used:
            losses = [torch.cat([_last_loss(model, *rows) for rows in _rows(tokens[:, -k:], labels)]) for k in reads]
            band = mean_band(reads, torch.stack(losses, 1).cpu().numpy())
        wide = copy.deepcopy(model).double()
        generator = torch.Generator().manual_seed(derive(sampled.seed, "cotangents"))
        gradients: list[Tensor] = []
        states: list[StateReach | None] = []
        for row in range(min(sampled.sequences, len(tokens))):
            x = wide.embedding(tokens[row : row + 1]).detach()
            gradients.append(_logit_reach(wide, x, generator).flip(0)[[0, *lags]])
            states.append(state_reach(wide.mixer, x, lags, generator=generator, exact=EXACT))
        return [
            Reach(
                self.name,
                trained=True,
                input=median_band([0, *lags], torch.stack(gradients).cpu().numpy()),
                used=band,
                loss_unit=self.task.loss_unit if used else "",
                matrices=recurrent_matrices(model),
                **state_bands(lags, [one for one in states if one is not None]),
            )
        ]

    def past(self, most: int) -> Past:
        self._known(self.model)
        return Past(contexts=[context_loss(self.name, self.task, self.part, self.run.train, most)])

    def _known(self, model: Any) -> Decoder:
        if not isinstance(model, Decoder):
            raise InputError("a custom model, whose layers are not known", where=self.name)
        return model

    def _windows(self, sampled: Sampled) -> tuple[Tensor, Tensor]:
        """Tokens (N, T) and the label (N,) after them, T so long that enough windows are whole."""
        context, tokenizer = self.task.config.context, self.task.tokenizer
        sample = list(islice(windows(stretches(self.part.numbered(), tokenizer), context, context), 8 * sampled.labels))
        if not sample:
            raise InputError(f"no text in the {self.part.name} part", where=self.name)
        # Documents may be shorter than the context.
        length = sorted((len(w.labels) for w in sample), reverse=True)[min(len(sample), LEAST_WINDOWS) - 1]
        sample = [w for w in sample if len(w.labels) >= length]
        sample = [sample[i] for i in spaced(len(sample), sampled.labels)]
        tokens = torch.tensor(np.stack([w.tokens[:length] for w in sample]), device=self.task.device).long()
        labels = torch.tensor(np.array([w.labels[length - 1] for w in sample]), device=self.task.device).long()
        return tokens, labels


def _logit_reach(model: Decoder, x: Tensor, generator: torch.Generator) -> Tensor:
    """‖∂ logits_T/∂x_s‖_F for every position s of the embedded row x (1, T, D)."""
    with torch.no_grad():
        count = model.head(model.norm(model.mixer(x[:, :1])[0])).shape[2]
    complete = count <= PROBES
    vectors = cotangents(PROBES, count, x, generator, complete=complete)
    x = x.expand(len(vectors), -1, -1).clone().requires_grad_()
    with torch.enable_grad():
        y, _ = model.mixer(x, model.mixer.initial_state(len(x)))
        logits = model.head(model.norm(y[:, -1:]))[:, 0]
    return input_reach(logits, x, vectors)


@torch.no_grad()
def _last_loss(model: Decoder, tokens: Tensor, labels: Tensor) -> Tensor:
    """-ln p (B,) of the labels that follow the last of tokens (B, T)."""
    logits, _ = model(tokens, model.initial_state(len(tokens)))
    return F.cross_entropy(logits[:, -1].double(), labels, reduction="none")


def _rows(*columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    yield from zip(*(column.split(ROWS) for column in columns))
