"""C12: the gradient by distance, at initialisation and after training, beside the context that is used."""

from __future__ import annotations

import email
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.core.sourced import sourced
from sightline.data.text.corpus import TextCorpus, load_text
from sightline.data.text.positions import stretches
from sightline.data.text.windows import windows
from sightline.lab.bands import uses
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Draw, Examples, NextToken, Recipe, fit
from sightline.lab.claims.numbers import of_number, placed
from sightline.lab.claims.results import ClaimChart, ClaimCurve, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.mechanism import find_mechanisms
from sightline.lab.panel_results import Band, Reach
from sightline.lab.reach import mechanism_reach
from sightline.lab.trained_reach import Sampled, trained_reach
from sightline.models import LANGUAGE_MODELS
from sightline.tasks.language.config import LanguageConfig
from sightline.tasks.language.task import LanguageTask

EVEN = 0.5  # of the gradient at distance 1: from here on it does not decay
WIDTH = 16  # of untrained mechanisms
D_MODEL, LAYERS = 32, 2  # of trained models
ATTENTION, TRANSFORMER = "softmax", "transformer"
BEFORE, AFTER = "at initialisation", "after training"
RECURRENT = ("rnn", "lstm", "gru")
QUICK = ("rnn", "lstm", "gru", "transformer", "linear", "gated_delta")
FLOOR = 1e-12  # smaller norms are rounding


def gradient_by_distance(effort: Effort) -> ClaimResult:
    """C12: the norm of the gradient of the last output by each input, of every mechanism.

    At initialisation one layer of each mechanism; after training, language models of two layers on source code of the
    running Python (its package `email`, in bytes), whose used context is measured too: the least context whose loss is
    within 1 % of that of the whole.

    Rule: the gradient does not decay if its median at the largest distance is at least half of that at distance 1. The
    claim holds if softmax attention does not decay at initialisation and the trained Transformer does not either. It
    does not hold if both decay. Otherwise it depends: on whether the network is trained. Other mechanisms are shown and
    do not count.
    """
    length = effort.choose(128, 64)
    untrained = []
    for mechanism in find_mechanisms([], WIDTH):
        effort.say(f"C12: {mechanism.name} at initialisation")
        untrained.append(mechanism_reach(mechanism, length, effort.choose(12, 6), effort.seed))
    archs = effort.choose(tuple(name for name in LANGUAGE_MODELS if name != "hybrid"), QUICK)
    trained = [_trained(effort, arch, length) for arch in archs]
    return ClaimResult(
        *placed(judge, untrained, trained),
        numbers=[
            *(share(one, BEFORE) for one in untrained),
            *(share(one, AFTER) for one in trained),
            *(
                ClaimNumber(_used_name(one.name), uses(one.used), unit="positions")
                for one in trained
                if one.used is not None
            ),
        ],
        charts=[
            _chart("Gradient of the last output by an input, at initialisation", untrained),
            _chart("Gradient of the last logits by an input, after training", trained),
            _used_chart(trained),
        ],
        conditions=f"at initialisation one layer of width {WIDTH}, float64, standard normal inputs, {length} "
        f"positions; trained: {LAYERS} layers of width {D_MODEL}, {_recipe(effort).steps} steps of "
        f"{_recipe(effort).batch} rows of {length} bytes, one seed; {effort.conditions()}",
        limits="Small models, briefly trained, on one kind of text. A gradient says what could matter, the loss with a "
        "cut context what does. Memory of additive and cross-attention: distance runs over the memory.",
    )


def share(reach: Reach, when: str) -> ClaimNumber:
    """The gradient at the largest distance as a share of that at distance 1, medians over sequences."""
    near = _at(reach.input, 1.0)
    last = len(reach.input.at) - 1
    if near is None or near <= 0:
        return ClaimNumber(f"{reach.name}, {when}: share at distance {reach.input.at[last]:g}", None)
    parts = (reach.input.centre[last], reach.input.low[last], reach.input.high[last])
    value, low, high = (None if part is None else part / near for part in parts)
    return ClaimNumber(f"{reach.name}, {when}: share at distance {reach.input.at[last]:g}", value, low, high)


def judge(untrained: Sequence[Reach], trained: Sequence[Reach]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    before = {one.name: share(one, BEFORE) for one in untrained}
    after = {one.name: share(one, AFTER) for one in trained}
    used = {one.name: uses(one.used) for one in trained if one.used is not None}
    first, last = before[ATTENTION].value or 0.0, after[TRANSFORMER].value or 0.0
    distance = of_number(before[ATTENTION].name, f"{untrained[0].input.at[-1]:g}", "name")
    untrained_share, trained_share = _shown(before[ATTENTION], 2), _shown(after[TRANSFORMER], 2)
    text = (
        f"At distance {distance} the gradient is {untrained_share} of that at distance 1 in untrained attention "
        f"({', '.join(f'{name} {_shown(before[name])}' for name in RECURRENT)}) and {trained_share} in the trained "
        f"Transformer ({', '.join(f'{name} {_shown(after[name])}' for name in RECURRENT if name in after)})."
    )
    if used:
        each = [
            f"{name} {of_number(_used_name(name), f'{used[name]:g}')}" for name in (TRANSFORMER, "lstm") if name in used
        ]
        text += f" Context used: {', '.join(each)} "
        most = None if trained[0].used is None else trained[0].used.at[-1]
        whole = "" if most is None else f"of {sourced(f'{most:g}', ('charts', 2, 'curves', 0, 'x', -1))} "
        text += f"{whole}positions."
    if first >= EVEN and last >= EVEN:
        return "holds", text
    if first < EVEN and last < EVEN:
        return "does not hold", text
    before_after = (BEFORE, AFTER) if first >= EVEN else (AFTER, BEFORE)
    return "depends", f"{text} It does not decay {before_after[0]}; {before_after[1]} it does."


def _shown(number: ClaimNumber, digits: int = 1) -> str:
    text = f"{number.value or 0.0:.{digits}g}"
    return text if number.value is None else of_number(number.name, text)


def _used_name(name: str) -> str:
    return f"{name}: context used"


@cache
def python_text() -> TextCorpus:
    """The source code of the package `email` of the running Python: real text that every machine has."""
    return load_text(f"{Path(email.__file__).parent}/*.py")


def rows_of_text(task: Any, length: int, most: int = 4000) -> Draw:
    """Random windows of `length` tokens of the training part, with the token after each as its label."""
    corpus = python_text()
    texts = islice(windows(stretches(corpus.train.numbered(), task.tokenizer), length, length), most)
    whole = [window for window in texts if len(window.labels) == length]
    tokens = torch.tensor(np.stack([window.tokens for window in whole])).long()
    labels = torch.tensor(np.stack([window.labels for window in whole])).long()

    def draw(generator: torch.Generator, count: int) -> Examples:
        rows = torch.randint(len(tokens), (count,), generator=generator)
        return Examples((tokens[rows],), labels[rows], torch.ones(count, length, dtype=torch.bool))

    return draw


def _trained(effort: Effort, arch: str, length: int) -> Reach:
    effort.say(f"C12: {arch} is trained")
    model = replace(LANGUAGE_MODELS[arch], d_model=D_MODEL, layers=LAYERS, dropout=0.0)
    corpus = python_text()
    task = LanguageTask.create(corpus, LanguageConfig(arch=arch, model=model, context=length), seed=effort.seed)
    fit(NextToken(task.model), rows_of_text(task, length), _recipe(effort), effort.seed)
    sampled = Sampled(labels=effort.choose(512, 128), sequences=effort.choose(12, 6), seed=effort.seed)
    (reach,) = trained_reach(arch, task, corpus.test, sampled)
    return reach


def _recipe(effort: Effort) -> Recipe:
    return Recipe(effort.choose(400, 120), 16, 5e-3)


def _at(band: Band, distance: float) -> float | None:
    return band.centre[band.at.index(distance)] if distance in band.at else None


def _chart(title: str, rows: Sequence[Reach]) -> ClaimChart:
    curves = []
    for one in rows:
        kept = [i for i, at in enumerate(one.input.at) if at >= 1]
        columns = ([band[i] for i in kept] for band in (one.input.centre, one.input.low, one.input.high))
        centre, low, high = ([None if v is None or v < FLOOR else v for v in column] for column in columns)
        curves.append(ClaimCurve(one.name, [one.input.at[i] for i in kept], centre, low, high))
    return ClaimChart(title, "distance k", "norm of the gradient", curves, log_x=True, log_y=True)


def _used_chart(trained: Sequence[Reach]) -> ClaimChart:
    curves = [
        ClaimCurve(r.name, r.used.at, r.used.centre, r.used.low, r.used.high) for r in trained if r.used is not None
    ]
    return ClaimChart(
        "Loss where only the last k positions are read", "positions read", "nats/token", curves, log_x=True
    )
