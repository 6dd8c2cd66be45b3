from __future__ import annotations

from functools import partial

import pytest
import torch

from sightline.decoding.beam import beam
from sightline.decoding.greedy import greedy
from sightline.decoding.hypothesis import Hypothesis
from sightline.decoding.nucleus import LONG
from sightline.decoding.sample import sample
from tests.decoding.toys import EOS, Tree, counting, memoryless, scripted


def step_by_step(tree: Tree, table: int, longest: int) -> tuple[tuple[int, ...], bool]:
    """Greedy decoding of one row, written from its definition."""
    tokens: tuple[int, ...] = ()
    for _ in range(longest):
        scores = [tree.score((*tokens, token), False, table) for token in range(tree.vocabulary)]
        token = max(range(tree.vocabulary), key=scores.__getitem__)
        if token == EOS:
            return tokens, True
        tokens = (*tokens, token)
    return tokens, False


@pytest.mark.parametrize("longest", [0, 1, 2, 6])
def test_every_row_takes_the_likeliest_token_until_it_ends(longest):
    tree = Tree(4, 6, tables=40, seed=3)
    result = greedy(tree.step, tree.start(), batch=40, bos=tree.bos, eos=EOS, max_length=longest)
    for table, hypothesis in enumerate(result):
        tokens, finished = step_by_step(tree, table, longest)
        assert hypothesis.tokens == tokens
        assert hypothesis.finished == finished
        assert hypothesis.score == pytest.approx(tree.score(tokens, finished, table), abs=1e-5)


def test_a_row_decodes_alike_in_any_batch_and_order():
    tree = Tree(4, 6, tables=20, seed=5)
    together = greedy(tree.step, tree.start(), batch=20, bos=tree.bos, eos=EOS, max_length=6)
    backwards = greedy(tree.step, tree.start(list(range(20))[::-1]), batch=20, bos=tree.bos, eos=EOS, max_length=6)
    assert backwards[::-1] == together
    for table in range(20):
        assert greedy(tree.step, tree.start([table]), batch=1, bos=tree.bos, eos=EOS, max_length=6) == [together[table]]


def test_each_row_keeps_its_own_limit():
    logits = torch.tensor([-9.0, 0.0, 1.0])
    result = greedy(memoryless(logits), counting(4), batch=4, bos=1, eos=EOS, max_length=[0, 1, 5, 2])
    assert [len(hypothesis.tokens) for hypothesis in result] == [0, 1, 5, 2]
    assert not any(hypothesis.finished for hypothesis in result)


def test_finished_rows_leave_the_batch():
    lengths = torch.arange(32)  # row i ends after i tokens
    sizes: list[int] = []

    def step(tokens, remaining):
        sizes.append(len(tokens))
        return torch.stack([0.5 - remaining, torch.zeros(len(tokens))], 1), remaining - 1

    result = greedy(step, lengths, batch=32, bos=1, eos=EOS, max_length=40)
    assert [len(hypothesis.tokens) for hypothesis in result] == lengths.tolist()
    assert len(sizes) == 32
    assert all(size <= (32 - t) / 0.75 + 1 for t, size in enumerate(sizes))


def test_banned_tokens_are_never_chosen_and_the_score_stays_the_models_own():
    logits = torch.tensor([-2.0, 5.0, 1.0])
    (result,) = greedy(memoryless(logits), counting(1), batch=1, bos=1, eos=EOS, max_length=3, banned=[1])
    assert result.tokens == (2, 2, 2)
    assert result.score == pytest.approx(3 * logits.log_softmax(0)[2].item(), abs=1e-5)


def test_ties_go_to_the_lowest_token():
    logits = torch.tensor([[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
    (result,) = greedy(scripted(logits), counting(1), batch=1, bos=1, eos=EOS, max_length=2)
    assert result == Hypothesis((1,), pytest.approx(result.score), True)


def test_an_empty_batch_gives_nothing():
    assert greedy(memoryless(torch.zeros(3)), counting(0), batch=0, bos=1, eos=EOS, max_length=5) == []


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_refused(poison):
    logits = torch.tensor([0.0, poison, 1.0])
    with pytest.raises(ValueError, match="NaN or infinite"):
        greedy(memoryless(logits), counting(2), batch=2, bos=1, eos=EOS, max_length=3)


@pytest.mark.parametrize("tokens", [5, LONG], ids=["few tokens", "many"])
@pytest.mark.parametrize("kind", ["greedy", "sample", "top_p", "beam"])
def test_where_no_permitted_token_is_possible_the_error_says_so(kind, tokens):
    """A step of one's own may allow few tokens, and forbid the others by logits of -infinity."""
    logits = torch.full((tokens,), -torch.inf)
    logits[2] = 0.0
    options = {"batch": 2, "bos": 1, "eos": 4, "max_length": 3}
    decoders = {"greedy": greedy, "sample": sample, "top_p": partial(sample, top_p=0.9), "beam": beam}
    assert decoders[kind](memoryless(logits), counting(2), **options)
    with pytest.raises(ValueError, match="every token that is not banned has the logit -infinity"):
        decoders[kind](memoryless(logits), counting(2), banned=[2], **options)


def test_wrong_arguments_are_named():
    step, state = memoryless(torch.zeros(3)), counting(2)
    with pytest.raises(ValueError, match="-1"):
        greedy(step, state, batch=2, bos=1, eos=EOS, max_length=-1)
    with pytest.raises(ValueError, match="expected one max_length or 2"):
        greedy(step, state, batch=2, bos=1, eos=EOS, max_length=[1, 2, 3])
    with pytest.raises(ValueError, match="do not leave a choice"):
        greedy(step, state, batch=2, bos=1, eos=EOS, max_length=1, banned=[0, 1, 2])
    with pytest.raises(ValueError, match="do not leave a choice"):
        greedy(step, state, batch=2, bos=1, eos=EOS, max_length=1, banned=[7])
