"""The peers of translation training compute what our models do, and the section shows every number of a result."""

from __future__ import annotations

import argparse
from itertools import pairwise
from random import Random

import pytest
import torch

from bench_translation import (
    BY_LENGTH,
    RANDOM,
    Contestant,
    compared,
    contestants,
    differences,
    peers_of,
    random_batches,
    task_of,
    warmed,
)
from sightline.data.batches import Batch
from sightline.data.pairs.corpus import load_corpus
from translation_models import PEERS, WIDTH
from translation_page import translation_section

SAME = [(arch, name) for arch, peers in PEERS.items() for name, peer in peers.items() if peer.same]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Pairs of 1 to 9 words, so that batches of a few are padded on both sides."""
    random = Random(0)
    words = ["ein", "Hund", "läuft", "durch", "den", "hohen", "Schnee", "am", "Abend"]
    texts = [" ".join(random.choices(words, k=random.randint(1, 9))) for _ in range(600)]
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\n" for a, b in pairwise(texts)), encoding="utf-8")
    return load_corpus(str(path))


def first_batch(task, corpus, rows):
    batches = task.batches(corpus.train, seed=0)
    (batch,) = random_batches(batches, rows, 1)
    assert not bool(batch.source_mask.all())
    assert not bool(batch.target_mask.all())
    return batch


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "name"), SAME, ids=[name for _, name in SAME])
def test_losses_and_gradients_are_ours_on_padded_batches(architecture, name, corpus):
    task = task_of(architecture, corpus, 0.0, 600)
    theirs = PEERS[architecture][name].build(task.tokenizers.source.size, task.tokenizers.target.size, 0.0)
    batch = first_batch(task, corpus, 5)
    errors = differences(architecture, task, theirs, batch)
    assert errors["float64"] < 1e-9
    assert errors["float32"] < 1e-4


@pytest.mark.slow
def test_a_peer_that_computes_something_else_is_not_timed(corpus, monkeypatch):
    task = task_of("bahdanau", corpus, 0.0, 600)
    name, build = "torch, Bahdanau's cell", PEERS["bahdanau"]["torch, Bahdanau's cell"].build

    def wrong(*sizes):
        model = build(*sizes)
        model.encoder.register_forward_hook(lambda module, inputs, output: (output[0], output[1].flip(0)))
        return model

    peer = PEERS["bahdanau"][name]._replace(build=wrong)
    monkeypatch.setitem(PEERS, "bahdanau", {name: peer})
    with pytest.raises(SystemExit, match=r"Bahdanau's cell: loss and gradients differ from ours by"):
        list(peers_of("bahdanau", task, 0.0, first_batch(task, corpus, 5)))


@pytest.mark.slow
def test_peers_have_as_many_weights_but_for_biases_that_add_up(corpus):
    for architecture, peers in PEERS.items():
        task = task_of(architecture, corpus, 0.0, 600)
        for peer in peers.values():
            theirs = peer.build(task.tokenizers.source.size, task.tokenizers.target.size, 0.0)
            more = sum(p.numel() for p in theirs.parameters()) - task.parameters
            assert 0 <= more <= 7 * WIDTH  # second biases of GRUs


@pytest.mark.slow
def test_random_batches_hold_random_sentences_once_and_ours_the_same_for_all(corpus):
    task = task_of("bahdanau", corpus, 0.0, 600)
    given = argparse.Namespace(pairs=2, modes="float32", dropout=0.0)
    every, errors = contestants("bahdanau", task, corpus, given)
    kinds = {one.name: [] for one in every}
    for one in every:
        kinds[one.name].append(one.kind)
    first, second = PEERS["bahdanau"]
    assert kinds == {
        "sightline, float32": [BY_LENGTH], f"{first}, float32": [BY_LENGTH, RANDOM], f"{second}, float32": [BY_LENGTH]
    }  # fmt: skip
    assert set(errors) == {first}
    assert len({id(one.batches) for one in every if one.kind == BY_LENGTH}) == 1
    (others,) = (one.batches for one in every if one.kind == RANDOM)
    rows = [row for batch in others for row in batch.rows]
    assert len(set(rows)) == len(rows) == 4 * len(others[0].rows)


def test_every_shape_is_seen_before_a_step_is_timed():
    def batch(*sizes):
        return Batch(torch.zeros(*sizes), None, torch.zeros(*sizes), torch.zeros(*sizes), (0,))

    batches, taken = [batch(2, 3), batch(2, 3), batch(4, 5), batch(2, 3), batch(4, 5), batch(1, 6)], []
    assert warmed(Contestant("one", lambda b: taken.append(tuple(b.source.shape)), batches, BY_LENGTH))
    assert sorted(set(taken)) == [(1, 6), (2, 3), (4, 5)]
    assert len(taken) == 5  # two steps, and one of each shape


def test_the_ratio_is_that_to_the_fastest_peer_on_the_same_batches():
    every = [
        Contestant(name, lambda batch: None, [], kind)
        for name, kind in (
            ("sightline, float32", BY_LENGTH), ("sightline, bfloat16", BY_LENGTH), ("slow, float32", BY_LENGTH),
            ("fast, float32", BY_LENGTH), ("fast, float32", RANDOM),
        )
    ]  # fmt: skip
    result = compared(every, [[10.0, 20.0], [30.0, 60.0], [5.0, 5.0], [20.0, 30.0], [90.0, 90.0]])
    assert (result["ours"], result["best_peer"]) == ("sightline, bfloat16", "fast, float32")
    assert result["ratio"]["median"] == 1.75  # of 30 / 20 and 60 / 30
    assert result["met"]
    assert [row["ratio"]["median"] for row in result["rows"]] == [3.0, 1.0, 9.0, 1.75, 0.5]


def spread(value):
    return {"median": value, "lower": 0.9 * value, "upper": 1.1 * value, "least": 0.5 * value, "most": 2 * value}


def test_the_section_shows_every_number():
    facts = {"packages": {"torch": "2.13.0"}, "git_commit": "0123456789"}
    rows = [
        {"name": "sightline, bfloat16", "batches": BY_LENGTH, "tokens_per_s": spread(4321.0), "ratio": spread(1.0)},
        {"name": "a peer, float32", "batches": RANDOM, "tokens_per_s": spread(1234.0), "ratio": spread(3.5)},
        {"name": "a peer, bfloat16", "batches": BY_LENGTH, "tokens_per_s": spread(5432.0), "ratio": spread(0.8)},
    ]
    result = {
        "architecture": "bahdanau", "parameters": 7654321, "dropout": 0.1, "pairs": 11, "batch_tokens": 3072,
        "rows_per_batch": 98.7, "vocabularies": [4001, 3003], "padding": {BY_LENGTH: 0.04, RANDOM: 0.41},
        "differences": {"a peer": {"float64": 3e-11, "float32": 4e-5}}, "rows": rows,
        "ours": "sightline, bfloat16", "best_peer": "a peer, bfloat16",
        "ratio": spread(0.8), "at_least": 1.5, "met": False, "environment": facts,
    }  # fmt: skip
    text = translation_section([{"processor": "A processor", "threads": 1, "results": [result]}])
    assert "7,654,321 parameters" in text.replace("\n", " ")
    assert "Padding of the target: 4 % (by length) and 41 % (random sentences)" in text
    assert "| a peer, float32 | random sentences | 1,234 | 3.50 (3.15–3.85) |" in text
    assert text.index("| a peer, bfloat16 |") < text.index("| sightline, bfloat16 | by length | 4,321 |  |")
    assert "- sightline, bfloat16: 0.80 (0.72–0.88) times a peer, bfloat16; target ≥ 1.5, missed" in text
    assert "differ from ours by at most 3e-11 in float64 and 4e-05 in float32" in text
    assert translation_section([]) == ""


def test_the_cell_of_the_paper_resets_before_its_product():
    """Cho et al. 2014, eqs. 5 to 8, by scalars: h = 1/2, all weights 1, no biases, x = 0."""
    from translation_models import ResetBefore

    cell = ResetBefore(1, 1)
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    gate = 1 / (1 + torch.tensor(-0.5).exp())
    expected = (1 - gate) * 0.5 + gate * torch.tanh(gate * 0.5)
    assert cell(torch.zeros(1, 1), torch.full((1, 1), 0.5)).item() == pytest.approx(expected.item())
