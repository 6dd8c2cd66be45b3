"""Whether CTranslate2 computes what the model does, on random tokens of several lengths."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.export.equality import difference

CLOSE = 1e-4  # of log-probabilities, or of the largest one where that is beyond 1
LENGTHS = (7, 3, 11)


def check(model: nn.Module, directory: Path, vocabularies: Sequence[list[str]]) -> None:
    """Refuse the export in a directory if the engine's log-probabilities are not those of the model in float32.

    vocabularies: of sources and targets, or of a language model

    Raises:
        InputError: "cannot export to ctranslate2: its log-probabilities differ from the model's by 0.02".
    """
    same = deepcopy(model).to("cpu", torch.float32).eval()
    error = translator_error if len(vocabularies) == 2 else generator_error
    if not (difference := error(same, directory, vocabularies)) <= CLOSE:
        raise InputError(f"cannot export to ctranslate2: its log-probabilities differ from the model's by {difference}")


@torch.no_grad()
def generator_error(model: Any, directory: Path, vocabularies: Sequence[list[str]]) -> float:
    """The largest difference of a language model's log-probabilities (B, T, V)."""
    import ctranslate2

    (names,) = vocabularies
    engine = ctranslate2.Generator(str(directory), device="cpu", compute_type="float32", intra_threads=1)
    prompts = _rows(LENGTHS, names, 0)
    theirs = np.array(engine.forward_batch(_named(prompts, names), return_log_probs=True))
    ours = [model(torch.tensor([row]), model.initial_state(1))[0].log_softmax(-1)[0] for row in prompts]
    return max(difference(one.numpy(), theirs[row, : len(one)]) for row, one in enumerate(ours))


@torch.no_grad()
def translator_error(model: Any, directory: Path, vocabularies: Sequence[list[str]]) -> float:
    """The largest difference of the log-probabilities of targets, given sources."""
    import ctranslate2

    reads, writes = vocabularies
    engine = ctranslate2.Translator(str(directory), device="cpu", compute_type="float32", intra_threads=1)
    sources, targets = _rows(LENGTHS, reads, 0), _rows(LENGTHS[::-1], writes, 1)
    scores = engine.score_batch(_named(sources, reads), _named(targets, writes), max_input_length=0)
    worst = 0.0
    for source, target, score in zip(sources, targets, scores, strict=True):
        chances = model(torch.tensor([source]), None, torch.tensor([[1, *target]])).log_softmax(-1)[0]
        ours = chances[torch.arange(len(target) + 1), torch.tensor([*target, 2])]
        worst = max(worst, difference(ours.numpy(), np.array(score.log_probs)))
    return worst


def _rows(lengths: Sequence[int], names: list[str], seed: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(4, len(names), (length,), generator=generator).tolist() for length in lengths]


def _named(rows: list[list[int]], names: list[str]) -> list[list[str]]:
    return [[names[number] for number in row] for row in rows]
