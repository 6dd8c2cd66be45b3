"""Claims about trained models: every rule on planted numbers on both sides, and a tiny run of each measurement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sightline.core.metrics import find_metric
from sightline.lab.claims import (
    attention_maps,
    components,
    contests,
    cross_self,
    gru_lstm,
    head_counts,
    head_roles,
    long_sentences,
    lstm_memory,
)
from sightline.lab.claims.attention_maps import MapQuality
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.components import WindowQuality
from sightline.lab.claims.contests import Contest
from sightline.lab.claims.head_roles import HeadTable
from sightline.lab.claims.long_sentences import LengthQuality
from sightline.lab.claims.lstm_memory import LearnedMemory
from sightline.lab.claims.numbers import mean_of
from sightline.lab.claims.results import ClaimResult
from sightline.lab.claims.syntax import ArcAgreement

QUICK = Effort(quick=True, seeds=2)


def contest(metric, means, *, task="a task", learned=True, seeds=6):
    """Scores of 2,000 examples by `seeds` trainings around these means, the same noise of the examples for all."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.05, 2000)
    items = {
        name: np.stack([mean + noise + generator.normal(0, 0.002) for _ in range(seeds)])
        for name, mean in means.items()
    }
    return Contest(task, find_metric(metric), items, learned)


def lengths(without, attentive, beginning, learned=1.0):
    """Two cells on one task: the fall with length, without and with attention, and the loss at the beginning."""
    found = []
    for cell in ("gru", "lstm"):
        for attention, fall in ((False, without), (True, attentive)):
            top = learned if attention else 0.9
            lost = 0.0 if attention else beginning
            by_length = np.array([[top, top, top, top - fall]] * 2)
            found.append(LengthQuality("recall", cell, attention, by_length, np.array([[0.5, 0.5, 0.5 + lost]] * 2)))
    return found


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        (lengths(0.3, 0.0, 0.2), "holds", "none with it"),
        (lengths(0.05, 0.0, 0.2), "does not hold", "No model without attention lost"),
        (lengths(0.3, 0.2, 0.2), "depends", "with attention"),
        (lengths(0.3, 0.0, 0.0), "depends", "0 of them the beginning"),
        (lengths(0.3, 0.0, 0.2, learned=0.6), "depends", "Not decided"),
        (lengths(0.3, 0.0, 0.2)[:2] + lengths(0.0, 0.0, 0.2)[2:], "depends", "1 of 2 models"),
    ],
)
def test_long_sentences(found, outcome, words):
    result, summary = long_sentences.judge(found)
    assert result == outcome
    assert words in summary


def memory(**errors):
    """LSTMs on adding and copying over 100 steps and on the short task; errors in units of that without memory."""
    relative = {"adding": 0.01, "copying": 0.01, "nothing": 0.01, "hidden": 0.01, "cell": 0.9} | errors
    long = [
        LearnedMemory(task, 100, True, "nothing", np.array([relative[task]]), 1.0) for task in ("adding", "copying")
    ]
    return long + [
        LearnedMemory("adding", 25, True, cut, np.array([relative[cut]]), 1.0) for cut in ("nothing", "hidden", "cell")
    ]


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        (memory(), "holds", "earned: adding over 100"),
        (memory(adding=0.9, copying=0.9), "does not hold", "No task of 100 steps"),
        (memory(cell=0.01), "does not hold", "The cell state is not why"),
        (memory(copying=0.9), "depends", "not learned in these steps of training: copying"),
        (memory(hidden=0.9), "depends", "gradients through c alone left an error of 0.9"),
        (memory(nothing=0.9, hidden=0.9), "depends", "Not decided why"),
    ],
)
def test_lstm_memory(found, outcome, words):
    result, summary = lstm_memory.judge(found)
    assert result == outcome
    assert words in summary


def grus(lstm, wide, *, learned=True, seeds=6):
    return contest(
        "loss", {gru_lstm.LSTM: lstm, gru_lstm.WIDE: wide, gru_lstm.SIZED: wide}, learned=learned, seeds=seeds
    )


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ([grus(1.0, 1.0), grus(1.0, 0.9)], "holds"),
        ([grus(1.0, 1.1), grus(1.0, 1.05)], "does not hold"),
        ([grus(1.0, 1.1), grus(1.0, 1.0)], "depends"),
        ([grus(1.0, 1.1, seeds=1)], "depends"),
        ([grus(1.0, 1.0, learned=False)], "depends"),
        ([grus(1.0, 1.0, learned=False), grus(1.0, 1.0)], "holds"),
    ],
)
def test_gru_and_lstm(found, outcome):
    assert gru_lstm.judge(found)[0] == outcome


def heads(one, *others, learned=True, seeds=6):
    means = {head_counts.ONE: one} | {f"{2**i} heads": mean for i, mean in enumerate(others, 1)}
    return contest("token_accuracy", means, learned=learned, seeds=seeds)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ([heads(0.5, 0.7, 0.5), heads(0.5, 0.6, 0.6)], "holds"),
        ([heads(0.6, 0.6, 0.6), heads(0.6, 0.5, 0.6)], "does not hold"),
        ([heads(0.5, 0.7, 0.5), heads(0.6, 0.6, 0.6)], "depends"),
        ([heads(0.5, 0.7, seeds=1)], "depends"),
        ([heads(0.5, 0.7, learned=False)], "depends"),
    ],
)
def test_head_counts(found, outcome):
    assert head_counts.judge(found)[0] == outcome


def arcs(head, offset):
    return ArcAgreement(
        mean_of("head", [head] * 3), mean_of("offset", [offset] * 3), mean_of("", [head - offset] * 3), 0.9
    )


def roles(loss=0.1, before=0.1, spread=False, **scores):
    """Eight heads of which one has each of the given scores; with `spread` all have them."""
    names = (*head_roles.ROLES, "distance", "entropy")
    after = {name: np.full(8, 0.1) for name in names}
    for name, score in scores.items():
        after[name][slice(None) if spread else 0] = score
    untrained = {name: np.full(8, before) for name in names}
    return HeadTable([f"head {i}" for i in range(8)], untrained, after, np.linspace(0, 1, 8), loss)


ALL = {"previous": 0.9, "rare": 0.8, "distance": 1.5}


@pytest.mark.parametrize(
    ("table", "syntax", "outcome"),
    [
        (roles(**ALL), arcs(0.5, 0.3), "holds"),
        (roles(**ALL), arcs(0.3, 0.5), "depends"),
        (roles(**ALL), None, "depends"),
        (roles(), None, "does not hold"),
        (roles(), arcs(0.3, 0.5), "does not hold"),
        (roles(**ALL, spread=True), None, "does not hold"),
        (roles(**ALL, before=1.3), None, "does not hold"),
        (roles(**ALL, loss=3.0), arcs(0.5, 0.3), "depends"),
        (roles(induction=0.9), None, "depends"),
    ],
)
def test_head_roles(table, syntax, outcome):
    assert head_roles.judge([table], syntax)[0] == outcome


def maps(hits=1.0, permuted=0.6, accuracy=1.0, model="BiLSTM"):
    return MapQuality(
        "one trigger", model, [accuracy], {"attention": [hits]}, {}, {}, {}, permuted and [permuted], [0.2]
    )


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        ([maps(), maps(permuted=None)], "holds", "mattered: BiLSTM on one trigger"),
        ([maps(hits=0.5), maps(permuted=0.1)], "does not hold", "They were not"),
        ([maps(), maps(hits=0.5)], "depends", "depends on the model"),
        ([maps(), maps(permuted=0.1)], "depends", "permuted 0.10"),
        ([maps(accuracy=0.5)], "depends", "Not decided"),
        ([maps(), maps(hits=0.5, accuracy=0.5)], "holds", "mattered"),
    ],
)
def test_attention_maps(found, outcome, words):
    result, summary = attention_maps.judge(found)
    assert result == outcome
    assert words in summary


def parts(*losses, learned=True):
    means = dict(zip([components.WHOLE, *components.PARTS.values()], (1.0, *losses)))
    return contest("loss", means, learned=learned)


def window(hits, accuracy=1.0):
    return WindowQuality("one trigger", [accuracy], {"attention": [hits]}, {})


@pytest.mark.parametrize(
    ("removed", "looked", "outcome"),
    [
        (parts(1.2, 1.2, 1.1), [window(0.5)], "holds"),
        (parts(1.0, 1.0, 1.0), [window(1.0)], "does not hold"),
        (parts(1.2, 1.2, 1.1), [window(1.0)], "depends"),
        (parts(1.2, 1.0, 1.1), [window(0.5)], "depends"),
        (parts(1.2, 1.2, 1.1), [window(1.0), window(0.5)], "holds"),
        (parts(1.2, 1.2, 1.1), [window(0.5, accuracy=0.5)], "depends"),
        (parts(1.2, 1.2, 1.1, learned=False), [window(0.5)], "depends"),
    ],
)
def test_components(removed, looked, outcome):
    assert components.judge(removed, looked)[0] == outcome


def attentions(cross, own, only, learned=True, task="recall"):
    names = (cross_self.BOTH, cross_self.NO_CROSS, cross_self.NO_OWN, cross_self.DECODER)
    return contest("token_accuracy", dict(zip(names, (0.7, cross, own, only))), learned=learned, task=task)


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        ([attentions(0.1, 0.2, 0.5)], "holds", "Both were needed"),
        ([attentions(0.1, 0.7, 0.5), attentions(0.7, 0.2, 0.5, task="b")], "does not hold", "No task needed both"),
        ([attentions(0.1, 0.2, 0.7)], "depends", "a decoder alone, without cross-attention"),
        (
            [attentions(0.1, 0.2, 0.5), attentions(0.1, 0.7, 0.5, task="b")],
            "depends",
            "both were needed for recall only",
        ),
        ([attentions(0.1, 0.2, 0.5, learned=False)], "depends", "Not decided"),
    ],
)
def test_cross_and_self(found, outcome, words):
    result, summary = cross_self.judge(found)
    assert result == outcome
    assert words in summary


TINY = {
    long_sentences: long_sentences.SentenceSizes(6, 4, 8, 2, 2, 60),
    lstm_memory: lstm_memory.MemorySizes(((100, 2, 1),), (100, 2, 1), (6, 2, 1)),
    gru_lstm: gru_lstm.CellSizes(8, 2, 2, 4),
    head_counts: head_counts.HeadCountSizes((1, 4), 2, 2, 3),
    head_roles: head_roles.RoleSizes(8, 2, 1),
    attention_maps: attention_maps.MapSizes(2, 1, 8, 2, 1, 2),
    components: components.PartSizes(2, 2, 2, 1, 8),
    cross_self: cross_self.AttentionKindSizes(4, 3, 2, 2),
}
MEASURES = {
    long_sentences: long_sentences.long_sentences,
    lstm_memory: lstm_memory.lstm_memory,
    gru_lstm: gru_lstm.gru_and_lstm,
    head_counts: head_counts.head_counts,
    head_roles: head_roles.head_roles,
    attention_maps: attention_maps.attention_maps,
    components: components.components,
    cross_self: cross_self.cross_and_self,
}


@pytest.mark.slow
@pytest.mark.parametrize("module", TINY, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_tiny_run_measures_and_does_not_decide(module, monkeypatch):
    monkeypatch.setattr(module, "QUICK", TINY[module])
    monkeypatch.setattr(contests, "TESTED", 40)
    if hasattr(module, "TASKS"):
        monkeypatch.setattr(module, "TASKS", module.TASKS[:1])
    torch.manual_seed(0)
    before = torch.rand(1)
    torch.manual_seed(0)
    result = MEASURES[module](QUICK)
    assert torch.rand(1) == before  # the caller's random numbers are as they were
    assert isinstance(result, ClaimResult)
    assert result.outcome in ("depends", "does not hold" if module is lstm_memory else "depends")
    assert result.measured.endswith(".")
    assert result.charts
    assert all(number.value is None or np.isfinite(number.value) for number in result.numbers)
    assert not (set(result.measured) & set("_{}"))
