from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from sightline.core.subnormals import subnormals_flushed
from sightline.decoding import sample as module
from sightline.decoding.greedy import greedy
from sightline.decoding.sample import NO_TOKEN, REPETITION, distribution, invert, penalise, sample
from tests.decoding.toys import EOS, Tree, counting, memoryless

LOGITS = torch.tensor([1.0, 0.3, -0.5, 2.0, -1.5, 0.0, -torch.inf, 1.2])
NEVER = -1  # an end that no token is: rows run to their limit
DRAWS = 100_000


def draws(logits, **options) -> torch.Tensor:
    """`DRAWS` tokens, 1000 rows of 100."""
    result = sample(
        memoryless(logits), counting(1000), batch=1000, bos=0, eos=NEVER, max_length=DRAWS // 1000, seed=7, **options
    )
    return torch.tensor([hypothesis.tokens for hypothesis in result]).flatten()


def expected(**options) -> torch.Tensor:
    """The distribution by its definition, in plain Python, token by token."""
    temperature, top_k = options.get("temperature", 1.0), options.get("top_k")
    top_p, min_p = options.get("top_p", 1.0), options.get("min_p", 0.0)
    weights = {i: float(torch.exp(x.double() / temperature)) for i, x in enumerate(LOGITS) if x > -torch.inf}
    ranked = sorted(weights, key=lambda i: -weights[i])[:top_k]
    total = sum(weights[i] for i in ranked)
    kept, mass = [], 0.0
    for i in ranked:
        if mass < top_p:
            kept.append(i)
        mass += weights[i] / total
    kept = [i for i in kept if weights[i] >= min_p * weights[ranked[0]]]
    chances = torch.zeros(len(LOGITS), dtype=torch.float64)
    for i in kept:
        chances[i] = weights[i] / sum(weights[j] for j in kept)
    return chances


OPTIONS = {
    "plain": {},
    "temperature_0.5": {"temperature": 0.5},
    "temperature_3": {"temperature": 3.0},
    "top_k_3": {"top_k": 3},
    "top_p_0.7": {"top_p": 0.7},
    "min_p_0.2": {"min_p": 0.2},
    "all_of_them": {"temperature": 1.5, "top_k": 5, "top_p": 0.9, "min_p": 0.15},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_frequencies_follow_the_distribution(options):
    chances = expected(**options)
    counts = draws(LOGITS, **options).bincount(minlength=len(LOGITS)).double()
    possible = chances > 0
    assert counts[~possible].sum() == 0  # truncated and impossible tokens are never drawn
    assert chisquare(counts[possible], chances[possible] * DRAWS).pvalue > 1e-4


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_distribution_is_the_one_that_is_defined(options):
    torch.testing.assert_close(distribution(LOGITS.unsqueeze(0), **options)[0], expected(**options))


def test_consecutive_draws_of_a_row_are_independent():
    pairs = draws(torch.tensor([0.0, 0.5, 1.0])).view(1000, 100)
    table = (pairs[:, :-1] * 3 + pairs[:, 1:]).flatten().bincount(minlength=9).double()
    chances = torch.tensor([0.0, 0.5, 1.0]).double().softmax(0)
    joint = (chances[:, None] * chances[None]).flatten()
    assert chisquare(table, joint * table.sum()).pvalue > 1e-4


def test_a_token_of_probability_zero_is_not_drawn_from_any_uniform():
    edges = torch.tensor([0.0, 5e-324, 0.25, 0.5, 0.75, 1 - 2**-53, 1.0], dtype=torch.float64)  # 1 by rounding
    for chances in ([0.0, 0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0], [0.25, 0.0, 0.25, 0.0, 0.5, 0.0]):
        rows = torch.tensor([chances] * len(edges), dtype=torch.float64)
        assert (rows.gather(1, invert(rows, edges).unsqueeze(1)) > 0).all()


def test_each_token_has_a_half_open_interval_of_the_uniform_as_long_as_its_probability():
    chances = torch.tensor([[0.0, 0.25, 0.0, 0.75]] * 4, dtype=torch.float64)
    uniform = torch.tensor([0.0, 0.25 - 2**-54, 0.25, 1 - 2**-53], dtype=torch.float64)
    assert invert(chances, uniform).tolist() == [1, 1, 3, 3]


@pytest.mark.slow
def test_a_million_draws_hold_no_banned_token():
    step, state = memoryless(LOGITS), counting(10_000)
    result = sample(step, state, batch=10_000, bos=0, eos=NEVER, max_length=100, temperature=2.0, banned=[3, 0])
    assert set().union(*(hypothesis.tokens for hypothesis in result)) == {1, 2, 4, 5, 7}


@pytest.mark.parametrize("temperature", [0.0, 1e-6, 1e-300, 5e-324])
def test_temperature_to_zero_is_greedy(temperature):
    tree = Tree(4, 6, tables=50, seed=8)
    arguments = {"batch": 50, "bos": tree.bos, "eos": EOS, "max_length": 6}
    assert sample(tree.step, tree.start(), **arguments, temperature=temperature) == greedy(
        tree.step, tree.start(), **arguments
    )


@pytest.mark.parametrize("temperature", [1e-300, 1e-310])
def test_temperature_to_zero_is_greedy_where_subnormal_numbers_are_zero(temperature):
    """As in the processes of the commands."""
    logits = torch.tensor([1.0, 2.0, -torch.inf, 1.5])
    with subnormals_flushed():
        (result,) = sample(
            memoryless(logits), counting(1), batch=1, bos=0, eos=NEVER, max_length=3, temperature=temperature, top_p=0.9
        )
    assert result.tokens == (1, 1, 1)


@pytest.mark.parametrize("options", [{"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}], ids=["top_k", "top_p", "min_p"])
def test_the_narrowest_truncation_is_greedy(options):
    tree = Tree(4, 6, tables=50, seed=8)
    arguments = {"batch": 50, "bos": tree.bos, "eos": EOS, "max_length": 6}
    assert sample(tree.step, tree.start(), **arguments, **options) == greedy(tree.step, tree.start(), **arguments)


def test_a_row_draws_alike_in_any_batch():
    tree = Tree(4, 6, tables=20, seed=5, scale=1.0)
    arguments = {"bos": tree.bos, "eos": EOS, "max_length": 6, "seed": 11}
    together = sample(tree.step, tree.start(), batch=20, **arguments)
    for table in range(20):
        assert sample(tree.step, tree.start([table]), batch=1, rows=[table], **arguments) == [together[table]]


@pytest.mark.parametrize("logits", [1, 4 * 3, 4 * 19], ids=lambda logits: f"{logits} logits")
def test_tokens_of_a_large_batch_are_drawn_in_parts(logits, monkeypatch):
    tree = Tree(4, 6, tables=20, seed=5, scale=1.0)
    arguments = {"batch": 20, "bos": tree.bos, "eos": EOS, "max_length": 6, "banned": [2]}
    options = {"top_p": 0.9, "repetition_penalty": 1.2, "seed": 3}
    expected = sample(tree.step, tree.start(), **arguments, **options)
    sizes = set()
    invert = module.invert
    monkeypatch.setattr(module, "AT_ONCE", logits)
    monkeypatch.setattr(module, "invert", lambda chances, noise: sizes.add(len(noise)) or invert(chances, noise))
    assert expected == sample(tree.step, tree.start(), **arguments, **options)
    assert max(sizes) == max(1, logits // 4)


def test_the_seed_decides():
    tree = Tree(4, 6, tables=20, seed=5, scale=1.0)
    arguments = {"batch": 20, "bos": tree.bos, "eos": EOS, "max_length": 6}
    first = sample(tree.step, tree.start(), **arguments, seed=1)
    torch.manual_seed(123)  # the global stream has no say
    assert sample(tree.step, tree.start(), **arguments, seed=1) == first
    assert sample(tree.step, tree.start(), **arguments, seed=2) != first


def test_the_score_is_the_models_own():
    tree = Tree(4, 6, tables=20, seed=5, scale=1.0)
    result = sample(
        tree.step, tree.start(), batch=20, bos=tree.bos, eos=EOS, max_length=6, temperature=2.0, repetition_penalty=1.5
    )
    for table, hypothesis in enumerate(result):
        own = tree.score(hypothesis.tokens, hypothesis.finished, table)
        assert hypothesis.score == pytest.approx(own, abs=1e-5)


def test_a_repetition_penalty_makes_earlier_tokens_less_likely():
    logits = torch.tensor([[2.0, -2.0, 0.5], [2.0, -2.0, 0.5]])
    previous = torch.tensor([[0, 0], [1, 1]])
    assert penalise(logits, previous, 2.0).tolist() == [[1.0, -2.0, 0.5], [2.0, -4.0, 0.5]]
    assert logits.tolist() == [[2.0, -2.0, 0.5]] * 2  # the given logits are left alone
    assert torch.equal(penalise(logits, previous, 1.0), logits)


def test_a_strong_repetition_penalty_forbids_a_repeat():
    arguments = {"batch": 20, "bos": 0, "eos": NEVER, "max_length": 30}
    logits = torch.full((50,), 40.0)
    for hypothesis in sample(memoryless(logits), counting(20), **arguments, repetition_penalty=1e6):
        assert len(set(hypothesis.tokens)) == 30
    assert any(len(set(h.tokens)) < 30 for h in sample(memoryless(logits), counting(20), **arguments))


def test_what_stands_for_no_token_is_not_penalised():
    """Logits 3 and 2.9 of tokens 1 and 2, which a penalty of 2 halves."""
    prompts = torch.tensor([[NO_TOKEN, NO_TOKEN], [0, NO_TOKEN], [1, NO_TOKEN], [2, 1]])
    result = sample(
        memoryless(torch.tensor([1.0, 3.0, 2.9])), counting(4), batch=4, bos=0, eos=NEVER, max_length=2,
        temperature=0.0, repetition_penalty=2.0, prompts=prompts,
    )  # fmt: skip
    assert [one.tokens for one in result] == [(1, 2), (1, 2), (2, 1), (1, 1)]


@pytest.mark.parametrize("penalty", REPETITION)
def test_the_extreme_repetition_penalties_leave_probabilities(penalty):
    logits = torch.tensor([[0.0, -300.0, 1e4, -1e4, 1e-3]])
    chances = distribution(penalise(logits, torch.arange(5).unsqueeze(0), penalty))
    assert chances.isfinite().all()
    assert float(chances.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"temperature": float("nan")}, {"temperature": float("inf")}, {"top_k": 0}, {"top_p": 0.0},
     {"top_p": 1.1}, {"top_p": float("nan")}, {"min_p": -0.1}, {"min_p": 1.5}, {"repetition_penalty": 0.0},
     {"repetition_penalty": 1e-40}, {"repetition_penalty": 1e40},
     {"repetition_penalty": float("inf")}],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        sample(memoryless(LOGITS), counting(1), batch=1, bos=0, eos=NEVER, max_length=3, **wrong)
