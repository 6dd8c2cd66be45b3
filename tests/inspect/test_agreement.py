"""Words find their tokens, and a planted syntactic head is found, with an interval above the best offset."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

import sightline.inspect.agreement as agreement
from sightline.core.errors import InputError
from sightline.inspect.agreement import bootstrap_shares, randomization_p, syntax_agreement
from sightline.inspect.head_report import ArcRelation, ArcShare
from sightline.inspect.words import token_spans, tokens_of_words, word_weights
from tests.inspect.test_arcs import conllu


@pytest.mark.parametrize(
    ("text", "pieces", "spans"),
    [
        ("The dog", ["The", " d", "og"], [(0, 3), (3, 4), (4, 6)]),
        ("The dog", ["the", "dog"], [(0, 3), (3, 6)]),  # lower-cased
        ("a dog's", ["<unk>", "<unk>", "'", "s"], [(0, 1), (1, 4), (4, 5), (5, 6)]),
        ("naïve", ["na", "<C3>", "<AF>ve"], [(0, 2), (2, 3), (3, 6)]),
        ("日本", ["<s>", "日", "本"], [(0, 0), (0, 3), (3, 6)]),
        ("a <E6> b", ["a", " <E6>", " b"], [(0, 1), (1, 5), (5, 6)]),  # a text that looks like a byte
        ("a b", ["a", " ", "b", "</s>"], [(0, 1), (1, 1), (1, 2), (2, 2)]),
        ("a b", ["a", "c"], None),
        ("a b", ["a"], None),
    ],
)
def test_pieces_cover_the_bytes_of_a_text(text, pieces, spans):
    assert token_spans(text, pieces) == spans


def test_words_cover_tokens_and_weights_are_summed_to_and_averaged_from_them():
    covers = tokens_of_words("I don't", [(0, 1), (2, 4), (4, 7)], ["I", " do", "n", "'t"])
    assert covers.int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]]
    shared = tokens_of_words("du pain", [(0, 2), (0, 2), (3, 7)], ["du", " pain"])  # two words of one token
    assert shared.int().tolist() == [[1, 0], [1, 0], [0, 1]]
    assert tokens_of_words("I do", [(0, 1), (2, 4)], ["I", " go"]) is None
    weights = torch.rand(2, 4, 4).softmax(2)
    found = word_weights(weights, covers)
    assert found.shape == (2, 3, 3)
    torch.testing.assert_close(found[1, 2, 2], weights[1, 2:, 2:].sum(1).mean())
    torch.testing.assert_close(found.sum(2), torch.ones(2, 3))


def sentences(count):
    """Words that in turn belong to the next word and to the one before the last."""
    generator = np.random.default_rng(0)
    text = ""
    for _ in range(count):
        length = int(generator.integers(4, 9))
        root = int(generator.integers(1, length + 1))
        rows = [(str(i), f"w{i}", "0", "root") for i in range(1, length + 1)]
        for i in range(1, length + 1):
            if i != root:
                far = int(generator.choice([j for j in range(1, length + 1) if j != i]))
                near = i + 1 if i < length else i - 1
                rows[i - 1] = (str(i), f"w{i}", str(far if i % 2 else near), "obj" if i % 2 else "det:x")
        text += conllu(rows)
    return text


def test_a_planted_syntactic_head_beats_the_best_offset(tmp_path, monkeypatch):
    file = tmp_path / "ud.conllu"
    file.write_text(sentences(60))

    def planted(_task, sentence):
        size = len(sentence.words)
        by_arc, following = torch.zeros(size, size), torch.zeros(size, size)
        for place, head in enumerate(sentence.heads):
            by_arc[place, max(head, 0)] = 1.0
            following[place, min(place + 1, size - 1)] = 1.0
        return {} if size == 4 else {"a": torch.stack([following, by_arc]), "b": following.unsqueeze(0)}

    monkeypatch.setattr(agreement, "_weights", planted)
    monkeypatch.setattr(agreement, "is_causal", lambda _model, _layer: True)
    back = syntax_agreement(SimpleNamespace(stored_model=None), file, {"a": [0, 1], "b": [2]})
    assert back.earlier
    assert all(relation.offset < 0 and relation.of_best.share == 1.0 for relation in back.relations)
    monkeypatch.setattr(agreement, "is_causal", lambda _model, _layer: False)
    found = syntax_agreement(SimpleNamespace(stored_model=None), file, {"a": [0, 1], "b": [2]})
    assert back.relations[0].arcs < found.relations[0].arcs
    assert found.left_out > 0
    assert found.sentences + found.chosen_on + found.left_out == 60
    every, det, obj = found.relations
    assert [one.relation for one in found.relations] == ["", "det", "obj"]
    assert every.best == det.best == obj.best == 1
    assert every.arcs == det.arcs + obj.arcs
    assert (every.of_best.share, det.of_best.share) == (1.0, 1.0)
    assert det.offset == 1
    assert obj.of_best.low > 0.5
    assert 0.0 < obj.p_value < 0.01
    assert obj.differs == obj.of_best.difference
    for relation in found.relations:
        following = relation.heads[0]
        assert following.share == pytest.approx(relation.heads[2].share)
        if relation.offset == 1:  # that head is the baseline
            assert following.difference == pytest.approx(0.0, abs=0.05)  # but for last words


def test_few_sentences_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "ud.conllu"
    file.write_text(sentences(6))
    monkeypatch.setattr(agreement, "_weights", lambda _task, _sentence: {})
    with pytest.raises(InputError, match=r"--dependencies: 0 of 6 sentences of .*ud\.conllu have tokens that match"):
        syntax_agreement(None, file, {})


def test_intervals_are_those_of_scipy():
    generator = np.random.default_rng(1)
    counts = generator.integers(1, 9, 80).astype(float)
    sums = np.stack([generator.binomial(counts.astype(int), p) for p in (0.3, 0.9)], 1).astype(float)
    low, high = bootstrap_shares(sums, counts)
    for column in range(2):
        expected = stats.bootstrap(
            (sums[:, column], counts), lambda x, n, axis: x.sum(axis) / n.sum(axis), paired=True, vectorized=True,
            n_resamples=4000, method="percentile", rng=np.random.default_rng(2),
        ).confidence_interval  # fmt: skip
        assert (low[column], high[column]) == pytest.approx(tuple(expected), abs=0.01)


@pytest.mark.parametrize("count", [2, 5, 9, 40])
def test_p_values_are_those_of_scipy(count):
    generator = np.random.default_rng(3)
    for _ in range(5):
        differences = generator.integers(-3, 4, count).astype(float)
        expected = stats.permutation_test(
            (differences,), np.sum, permutation_type="samples", n_resamples=9_999, rng=np.random.default_rng(5)
        ).pvalue
        assert randomization_p(differences) == pytest.approx(expected, abs=1e-12 if count < 13 else 0.05)


def test_the_smallest_p_values_are_those_of_so_many_sentences():
    assert randomization_p(np.ones(2)) == 0.5  # of four ways to exchange head and offset in two sentences two
    assert randomization_p(np.ones(6)) == 2 / 2**6
    smallest = 1 / (agreement.RESAMPLES + 1)
    assert randomization_p(np.ones(60)) == pytest.approx(smallest)
    assert 250 * smallest < 0.05  # it is reached with that many relations
    assert randomization_p(np.zeros(60)) == 1.0


@pytest.mark.parametrize("count", [2, 3, 4, 6, 10])
def test_chance_is_not_below_5_percent_more_often_than_that(count):
    """Of few sentences, too: twice the smaller share of bootstrap resamples is, in 28 % of treebanks of two."""
    generator = np.random.default_rng(7)
    draws, alarms = 400, 0
    for _ in range(draws):
        arcs = generator.integers(2, 9, count)
        alarms += randomization_p((generator.binomial(arcs, 0.4) - generator.binomial(arcs, 0.4)).astype(float)) <= 0.05
    assert alarms <= stats.binom.ppf(0.999, draws, 0.05)


def test_heads_that_find_what_the_offset_does_by_chance_are_seldom_counted():
    """Of 30 relations, heads that are as good as the offset: some are better in one treebank of twenty at most."""
    generator = np.random.default_rng(4)
    by_chance, uncorrected = [], []
    for _ in range(100):
        hits, base = (generator.random((80, 30)) < 0.4 for _ in range(2))
        differences = hits.astype(float) - base
        low, _ = bootstrap_shares(differences, np.ones(80))
        p_values = [randomization_p(column) for column in differences.T]
        better = hits.mean(0) > base.mean(0)
        relations = [
            ArcRelation(f"r{place}", 80, 1, 0.4, 0, [ArcShare(0, 0.4, 0.1 if up else -0.1, None, None)], float(p))
            for place, (up, p) in enumerate(zip(better, p_values, strict=True))
        ]
        by_chance.append(any(one.differs > 0.0 for one in agreement._corrected(relations)))
        uncorrected.append(bool((low > 0.0).any()))
    assert np.mean(by_chance) < 0.08
    assert np.mean(uncorrected) > 0.3
