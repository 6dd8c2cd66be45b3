from __future__ import annotations

import pytest
import torch

from sightline.decoding.beam import beam, length_penalty
from sightline.decoding.greedy import greedy
from sightline.decoding.hypothesis import Hypothesis
from tests.decoding.toys import EOS, Tree, counting, memoryless, scripted

ALPHAS = [-1.0, 0.0, 0.6, 1.0, 2.5]


def penalised(hypothesis, alpha):
    generated = len(hypothesis.tokens) + hypothesis.finished
    return hypothesis.score / ((5 + generated) / 6) ** alpha


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize(("vocabulary", "longest"), [(2, 5), (3, 4), (4, 3), (5, 3)])
def test_a_wide_beam_is_exhaustive_search(vocabulary, longest, alpha):
    width = vocabulary ** (longest - 1)
    tree = Tree(vocabulary, longest, tables=25, seed=vocabulary)
    actual = beam(
        tree.step, tree.start(), batch=25, bos=tree.bos, eos=EOS, max_length=longest, width=width, alpha=alpha, n_best=2
    )
    for table, hypotheses in enumerate(actual):
        best = sorted(tree.all(longest, table), key=lambda h: -penalised(h, alpha))
        for got, expected in zip(hypotheses, best[:2], strict=True):
            assert got.tokens == expected.tokens
            assert got.finished == expected.finished
            assert got.score == pytest.approx(expected.score, abs=1e-5)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_exhaustive_search_with_ties_finds_a_best_score(alpha):
    tree = Tree(3, 4, tables=30, seed=1, coarse=True)
    result = beam(tree.step, tree.start(), batch=30, bos=tree.bos, eos=EOS, max_length=4, width=27, alpha=alpha)
    for table, (hypothesis,) in enumerate(result):
        best = max(penalised(h, alpha) for h in tree.all(4, table))
        assert penalised(hypothesis, alpha) == pytest.approx(best, abs=1e-5)
        assert hypothesis.score == pytest.approx(tree.score(hypothesis.tokens, hypothesis.finished, table), abs=1e-5)


@pytest.mark.parametrize("coarse", [False, True], ids=["no_ties", "ties"])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_beam_of_one_is_greedy(alpha, coarse):
    tree = Tree(4, 6, tables=60, seed=2, coarse=coarse)
    arguments = {"batch": 60, "bos": tree.bos, "eos": EOS, "max_length": 6}
    expected = greedy(tree.step, tree.start(), **arguments)
    for (best,), other in zip(beam(tree.step, tree.start(), **arguments, width=1, alpha=alpha), expected, strict=True):
        assert (best.tokens, best.finished) == (other.tokens, other.finished)
        assert best.score == pytest.approx(other.score, abs=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("width", [2, 3, 5])
def test_stopping_early_changes_no_result(width, alpha, monkeypatch):
    tree = Tree(4, 6, tables=40, seed=9, scale=1.5)
    arguments = {"batch": 40, "bos": tree.bos, "eos": EOS, "max_length": 6, "width": width, "alpha": alpha}
    stopping = beam(tree.step, tree.start(), **arguments)
    calls, steps = tree.calls, sum(tree.rows)

    def only_when_nothing_is_open(self, best_open, length):
        self.ended = best_open is None

    monkeypatch.setattr("sightline.decoding.beam._Row.check", only_when_nothing_is_open)
    tree.calls, tree.rows = 0, []
    assert beam(tree.step, tree.start(), **arguments) == stopping
    assert calls <= tree.calls
    assert steps <= sum(tree.rows)
    assert alpha > 1 or steps < sum(tree.rows)  # it does stop early; with a steep penalty there is always hope


def test_a_longer_hypothesis_can_overtake_a_finished_one_under_a_length_penalty():
    # After one token, EOS leads with log 0.5. Going on costs log 0.49 once and then nothing, so that dividing by the
    # penalty of 10 tokens makes the long one better: the search must not stop at the first finished hypothesis.
    sure = torch.tensor([-50.0, 0.0])
    final = torch.tensor([0.0, -50.0])
    logits = torch.stack([torch.tensor([0.50, 0.49]).log(), *[sure] * 8, final])
    ((result,),) = beam(scripted(logits), counting(1), batch=1, bos=1, eos=EOS, max_length=12, width=2, alpha=0.6)
    assert result.finished
    assert len(result.tokens) == 9
    ((plain,),) = beam(scripted(logits), counting(1), batch=1, bos=1, eos=EOS, max_length=12, width=2, alpha=0.0)
    assert plain.tokens == ()


def test_a_shorter_end_can_still_come_under_a_negative_penalty():
    # The end after one token scores log 0.37 · (6/6) = -0.99; the other word ends for sure right after it, with
    # log 0.63 · (7/6) = -0.54, which only the penalty of the next length shows, not that of the last one possible.
    logits = torch.stack([torch.tensor([0.37, 0.63]).log(), *[torch.tensor([0.0, -50.0])] * 11])
    ((result,),) = beam(scripted(logits), counting(1), batch=1, bos=1, eos=EOS, max_length=12, width=2, alpha=-1.0)
    assert result.tokens == (1,)


def by_definition(tree, table, width, alpha, longest):
    """Beam search of one row as it is defined, with lists, without early stopping."""
    opened, ended = [((), 0.0)], []
    for length in range(1, longest + 1):
        candidates = []
        for tokens, _ in opened:
            for token in range(tree.vocabulary):
                finished = token == EOS
                extended = tokens if finished else (*tokens, token)
                candidates.append(Hypothesis(extended, tree.score(extended, finished, table), finished))
        best = sorted(candidates, key=lambda h: -h.score)[: width - len(ended)]
        ended += [h for h in best if h.finished or length == longest]
        opened = [(h.tokens, h.score) for h in best if not h.finished]
    return max(ended, key=lambda h: penalised(h, alpha))


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_narrow_beam_is_the_one_that_is_defined(width, alpha):
    tree = Tree(4, 5, tables=25, seed=12, scale=1.5)
    actual = beam(tree.step, tree.start(), batch=25, bos=tree.bos, eos=EOS, max_length=5, width=width, alpha=alpha)
    for table, (hypothesis,) in enumerate(actual):
        expected = by_definition(tree, table, width, alpha, 5)
        assert (hypothesis.tokens, hypothesis.finished) == (expected.tokens, expected.finished)
        assert hypothesis.score == pytest.approx(expected.score, abs=1e-5)


def test_the_penalty_is_gnmts_and_counts_generated_tokens():
    assert length_penalty(1, 0.6) == 1.0
    assert length_penalty(7, 1.0) == 2.0
    assert length_penalty(19, 0.5) == 2.0


@pytest.mark.parametrize("alpha", [-100.0, 100.0])
def test_the_largest_penalties_are_within_the_numbers_of_a_float(alpha):
    tree = Tree(4, 6, tables=5, seed=3)
    arguments = {"batch": 5, "bos": tree.bos, "eos": EOS, "width": 3, "n_best": 3, "alpha": alpha}
    assert beam(tree.step, tree.start(), max_length=6, **arguments)
    assert [length_penalty(n, alpha) for n in (1, 2)] == pytest.approx([1.0, (7 / 6) ** alpha])
    for length in (40, 1000, 10**6):
        assert length_penalty(length, alpha) > 0
    for wrong in (1.5 * alpha, float("nan")):
        with pytest.raises(ValueError, match=r"^length penalty alpha must be between -100 and 100, got "):
            beam(tree.step, tree.start(), max_length=6, **{**arguments, "alpha": wrong})


@pytest.mark.parametrize("alpha", [-100.0, 100.0])
def test_a_limit_whose_penalty_no_float_has_changes_no_result(alpha):
    arguments = {"batch": 1, "bos": 0, "eos": 1, "width": 2, "alpha": alpha}
    step = memoryless(torch.tensor([0.0, 5.0, 1.0]))
    assert beam(step, counting(1), max_length=10**6, **arguments) == beam(step, counting(1), max_length=50, **arguments)


def test_a_beam_wider_than_the_vocabulary_works():
    tree = Tree(3, 3, tables=5, seed=4)
    arguments = {"batch": 5, "bos": tree.bos, "eos": EOS, "max_length": 3}
    wide = beam(tree.step, tree.start(), **arguments, width=1000)
    assert wide == beam(tree.step, tree.start(), **arguments, width=9)
    assert all(len(hypotheses) == 1 for hypotheses in wide)


def test_the_first_step_expands_one_hypothesis_per_row():
    tree = Tree(5, 3, tables=6, seed=4)
    hypotheses = beam(
        tree.step, tree.start(), batch=6, bos=tree.bos, eos=EOS, max_length=3, width=4, alpha=0.0, n_best=4
    )
    assert tree.rows[0] == 6
    for row in hypotheses:
        assert len({(h.tokens, h.finished) for h in row}) == 4  # no hypothesis twice
        assert [h.score for h in row] == sorted((h.score for h in row), reverse=True)


def test_a_row_decodes_alike_in_any_batch():
    tree = Tree(4, 6, tables=20, seed=5)
    arguments = {"bos": tree.bos, "eos": EOS, "width": 3, "n_best": 2}
    limits = [i % 7 for i in range(20)]
    together = beam(tree.step, tree.start(), batch=20, max_length=limits, **arguments)
    for table in range(20):
        alone = beam(tree.step, tree.start([table]), batch=1, max_length=limits[table], **arguments)
        assert alone == [together[table]]


@pytest.mark.parametrize("width", [2, 4, 9])
def test_filled_steps_have_as_many_rows_as_the_beam_is_wide_and_change_no_result(width):
    tree = Tree(4, 6, tables=20, seed=11, scale=1.5)
    arguments = {"bos": tree.bos, "eos": EOS, "width": width, "n_best": 2}
    expected = beam(tree.step, tree.start(), batch=20, max_length=6, **arguments)
    assert any(count % width for count in tree.rows[1:])  # some hypotheses finish before their rows do
    tree.rows = []
    assert beam(tree.step, tree.start(), batch=20, max_length=6, **arguments, filled=True) == expected
    assert not any(count % width for count in tree.rows)
    for table in range(20):
        tree.rows = []
        assert beam(tree.step, tree.start([table]), batch=1, max_length=6, **arguments, filled=True) == [
            expected[table]
        ]
        assert set(tree.rows) == {width}


def test_banned_tokens_are_never_chosen_and_the_score_stays_the_models_own():
    logits = torch.tensor([-2.0, 5.0, 1.0])
    ((result,),) = beam(
        memoryless(logits), counting(1), batch=1, bos=1, eos=EOS, max_length=3, width=2, alpha=0.0, banned=[1]
    )
    assert result.tokens == ()
    assert result.score == pytest.approx(logits.log_softmax(0)[EOS].item(), abs=1e-5)


def test_limits_of_nothing_give_empty_hypotheses():
    ((result,), (other,)) = beam(
        memoryless(torch.zeros(3)), counting(2), batch=2, bos=1, eos=EOS, max_length=[0, 2], width=2
    )
    assert result == ((), 0.0, False)
    assert other.finished or len(other.tokens) == 2
    assert beam(memoryless(torch.zeros(3)), counting(0), batch=0, bos=1, eos=EOS, max_length=3) == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"width": 0}, "beam width"), ({"n_best": 0}, "n_best"), ({"width": 2, "n_best": 3}, "n_best"),
     ({"alpha": float("nan")}, "alpha"), ({"max_length": -1}, "max_length")],
)  # fmt: skip
def test_wrong_arguments_are_named(wrong, named):
    arguments = {"batch": 1, "bos": 1, "eos": EOS, "max_length": 3, **wrong}
    with pytest.raises(ValueError, match=named):
        beam(memoryless(torch.zeros(3)), counting(1), **arguments)
