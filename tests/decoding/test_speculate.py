"""Speculative decoding gives what plain decoding gives: the same tokens, or with drawn drafts the same distribution."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from sightline.core.errors import InputError
from sightline.decoding.choose import MostLikely
from sightline.decoding.drafts import ModelDraft, NGramDraft, _DraftedText
from sightline.decoding.engine import DecodingConfig, Speculation, decode
from sightline.decoding.outputs import BatchOutputs
from sightline.decoding.sample import accept_or_draw, invert
from sightline.decoding.speculate import DraftTally
from sightline.tasks.language.generation import read_prompts
from tests.decoding.models import NAMES, VOCABULARY, check_same, continued, language_model, prompts
from tests.decoding.toys import EOS, Tree
from tests.unchecked import unchecked


def draft_by(model, texts):
    """Drafts of another model, for batches of the texts."""
    return lambda rows: ModelDraft(model.step, model, read_prompts(model, [texts[row] for row in rows]).state)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_greedy_tokens_are_those_of_plain_decoding(name, rows):
    model, texts = language_model(name), prompts(4, seed=4)
    config = DecodingConfig(batch_size=rows, max_length=14)
    plain = continued(model, texts, config)
    for kind, draft in (
        ("ngram", None),
        ("model", draft_by(language_model(name, seed=1), texts)),
        ("model", draft_by(language_model("recurrent", seed=2), texts)),
    ):
        tally = DraftTally()
        drafted = replace(config, draft=kind, draft_tokens=3)
        check_same(continued(model, texts, drafted, draft=draft, tally=tally), plain)
        assert tally.proposed > 0


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", ["softmax", "lstm", "gated_delta"])
def test_sampled_tokens_with_drafts_from_the_text_are_those_of_plain_sampling(name, rows):
    """A proposal that is not drawn is accepted where plain sampling would draw it: the seed gives the same text."""
    model, texts = language_model(name), prompts(4, seed=5)
    config = DecodingConfig(batch_size=rows, sample=True, temperature=1.5, top_p=0.95, repetition_penalty=1.2, seed=8)
    plain = continued(model, texts, config)
    tally = DraftTally()
    check_same(continued(model, texts, replace(config, draft="ngram"), tally=tally), plain)
    assert 0 < tally.accepted < tally.proposed


PENALISED = {"sample": True, "repetition_penalty": 2.0, "seed": 8}
# Of these a draft's seed, None for n-grams: with seed 0 it is the model itself, and always right.
CHECKED = {
    "n-grams": ({}, None),
    "right drafts": ({}, 0),
    "other drafts": ({}, 1),
    "n-grams, sampled": (PENALISED | {"temperature": 0.6}, None),
    "right drafts, penalised": (PENALISED | {"temperature": 0.0}, 0),
}


@pytest.mark.parametrize("columns", [2, 100], ids=lambda columns: f"by {columns}")
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(("options", "seed"), CHECKED.values(), ids=CHECKED.keys())
def test_proposals_are_checked_several_at_a_time_as_one_by_one(options, seed, rows, columns, monkeypatch):
    """Limits, ends and a watch fall between them."""
    model, texts = language_model("softmax"), prompts(6, seed=4)
    draft = None if seed is None else draft_by(language_model("softmax", seed=seed), texts)
    plain = DecodingConfig(batch_size=rows, **options)
    drafted = replace(plain, draft="ngram" if seed is None else "model", draft_tokens=5)
    limits, runs = [7 + 5 * place % 12 for place in range(6)], []
    for config, at_once in ((plain, 0), (drafted, 0), (drafted, rows * VOCABULARY * columns)):
        monkeypatch.setattr("sightline.decoding.outputs.CHECKED_AT_ONCE", at_once)
        tokens: dict[int, list[int]] = {row: [] for row in range(6)}

        def watch(new, tokens=tokens):
            for row, token in new:
                tokens[row].append(token)
            return [row for row, _ in new if row % 3 == 2 and len(tokens[row]) == 4]

        tally = DraftTally()
        result = continued(model, texts, config, draft=draft, watch=watch, max_length=limits, tally=tally)
        assert [tuple(heard) for heard in tokens.values()] == [one.tokens for one in result]
        runs.append((result, vars(tally)))
    check_same(runs[1][0], runs[0][0])
    check_same(runs[2][0], runs[0][0])
    assert runs[2][1] == runs[1][1]


def test_what_follows_all_proposals_is_chosen_in_one_call(monkeypatch):
    model, texts = language_model("softmax"), [[0, 3, 4]]
    choices = []
    choose = MostLikely.choose
    monkeypatch.setattr(MostLikely, "choose", lambda *arguments: choices.append(0) or choose(*arguments))
    tally, config = DraftTally(), DecodingConfig(draft="model", draft_tokens=4)
    continued(model, texts, config, draft=draft_by(model, texts), tally=tally)
    assert len(choices) == 1 + tally.calls < tally.accepted  # the first token has no proposal


@pytest.mark.parametrize("logits", [[0.0, torch.nan], [torch.inf, 0.0], [-torch.inf, -torch.inf]], ids=str)
def test_a_draft_s_logits_must_be_finite(logits):
    outputs = BatchOutputs(MostLikely(), 1, 5, EOS, (), None, torch.device("cpu"))
    place = torch.zeros(1, dtype=torch.long)
    with pytest.raises(ValueError, match="NaN or infinite"):
        outputs.proposal(torch.tensor([logits]), place, place, outputs.tokens)
    proposed = outputs.proposal(torch.tensor([[-torch.inf, 0.0]]), place, place, outputs.tokens)
    assert proposed.tokens.tolist() == [1]


def test_a_draft_that_is_always_right_needs_few_calls():
    model, texts = language_model("softmax"), [[0, 3, 4]]
    tally, config = DraftTally(), DecodingConfig(draft="model", draft_tokens=4)
    (one,) = continued(model, texts, config, draft=draft_by(model, texts), tally=tally)
    tokens = len(one.tokens) + one.finished
    assert tally.accepted == tally.proposed == tokens - 1 - tally.calls
    assert tally.calls == -(-(tokens - 1) // 5)


def test_a_row_may_be_ended_and_its_last_token_is_the_last_heard():
    model, texts = language_model("linear"), prompts(4, seed=6)
    heard: dict[int, list[int]] = {row: [] for row in range(4)}

    def watch(new):
        for row, token in new:
            heard[row].append(token)
        return [row for row, _ in new if row % 2 and len(heard[row]) == 3]

    config = DecodingConfig(draft="model", draft_tokens=5)
    result = continued(model, texts, config, draft=draft_by(model, texts), watch=watch)
    plain = continued(model, texts, DecodingConfig())
    assert [tuple(tokens) for tokens in heard.values()] == [one.tokens for one in result]
    assert [one.tokens for one in result] == [
        one.tokens[:3] if row % 2 else one.tokens for row, one in enumerate(plain)
    ]


def test_a_source_sampled_with_a_model_s_drafts_does_not_depend_on_the_others():
    model, texts = language_model("window"), prompts(5, seed=7)
    config = DecodingConfig(sample=True, draft="model", seed=2)
    draft = language_model("lstm", seed=3)
    whole = continued(model, texts, config, draft=draft_by(draft, texts))
    alone = continued(model, texts[3:], config, draft=draft_by(draft, texts[3:]), names=[3, 4])
    check_same(alone, whole[3:])


def extend(tree):
    """`step` for several tokens."""

    def several(tokens, state):
        logits = []
        for column in tokens.unbind(1):
            one, state = tree.step(column, state)
            logits.append(one)
        return torch.stack(logits, 1), state

    return several


@pytest.mark.parametrize("rows", [1, 4])
def test_sequences_drawn_with_a_model_s_drafts_are_distributed_as_without(rows, monkeypatch):
    """All sequences of at most four tokens, by χ² against the products of the model's own probabilities."""
    tree, other = Tree(3, 5, seed=1, scale=1.0), Tree(3, 5, seed=2, scale=1.0)
    count, longest = 800 * (1 + (rows > 1)), 4

    def draft(chosen):
        _, state = other.step(torch.full((len(chosen),), other.bos), other.start([0] * len(chosen)))
        return ModelDraft(other.step, extend(other), state)

    if rows > 1:  # as the engine would not: rows that stop each other are distributed so too
        monkeypatch.setattr("sightline.decoding.engine.plan", lambda lengths, max_rows, max_tokens: in_fours(count))
    tally = DraftTally()
    with unchecked():
        drawn = decode(
            lambda chosen: tree.start([0] * len(chosen)), tree.step, [1] * count,
            DecodingConfig(sample=True, draft="model", draft_tokens=2), bos=tree.bos, eos=EOS, max_length=longest,
            speculation=Speculation(extend(tree), draft, tally),
        )  # fmt: skip
    assert 0.2 < tally.accepted / tally.proposed < 0.95
    seen = Counter((one.tokens, one.finished) for one in drawn)
    expected = {(one.tokens, one.finished): count * np.exp(one.score) for one in tree.all(longest)}
    assert set(seen) <= set(expected)
    common = [outcome for outcome, number in expected.items() if number >= 5]
    observed = np.array([*(seen[outcome] for outcome in common), 0.0])
    numbers = np.array([*(expected[outcome] for outcome in common), 0.0])
    observed[-1], numbers[-1] = count - observed.sum(), count - numbers.sum()
    assert stats.chisquare(observed, numbers).pvalue > 1e-3


def in_fours(count):
    return [list(range(place, place + 4)) for place in range(0, count, 4)]


@pytest.mark.parametrize("scheme", ["theirs", "draws again from p", "accepts all"])
def test_acceptance_and_rest_add_up_to_the_model_s_distribution(scheme):
    draw = torch.Generator().manual_seed(0)
    p = torch.tensor([0.5, 0.0, 0.2, 0.05, 0.25], dtype=torch.float64)
    q = torch.tensor([0.1, 0.3, 0.2, 0.4, 0.0], dtype=torch.float64)
    count = 100_000
    noise = torch.rand(3, count, generator=draw, dtype=torch.float64)
    own, drafted = p.expand(count, -1), q.expand(count, -1)
    proposed = invert(drafted, noise[0])
    if scheme == "theirs":
        tokens = accept_or_draw(own, drafted, proposed, noise[1], noise[2])
    else:
        accepted = noise[1] * q[proposed] < (p[proposed] if scheme == "draws again from p" else 1.0)
        tokens = torch.where(accepted, proposed, invert(own, noise[2]))
    seen = np.bincount(tokens.numpy(), minlength=5)
    right = seen[1] == 0 and stats.chisquare(seen[p > 0], count * p[p > 0].numpy()).pvalue > 1e-3
    assert right == (scheme == "theirs")
    if scheme == "theirs":  # their corollary 3.6: the mean acceptance is the sum of min(p, q)
        share = (tokens == proposed).double().mean().item()
        assert share == pytest.approx(torch.minimum(p, q).sum().item(), abs=0.01)


def test_texts_repeat_what_followed_their_longest_end_last():
    text = _DraftedText([5, 6, 7, 1, 6, 7, 2, 5, 6, 7])
    assert text.repeat(3) == [1, 6, 7]  # after 5 6 7, not after the later 6 7
    text.add([2])
    assert text.repeat(6) == [5, 6, 7, 2, 5, 6]  # after 6 7 2, and on with what is proposed
    assert _DraftedText([1, 2, 3, 4]).repeat(3) == []
    assert _DraftedText([]).repeat(3) == []


def test_a_row_without_a_repetition_leaves_no_proposal_for_the_others():
    draft = NGramDraft([[1, 2, 3, 1, 2], [1, 2, 3, 4, 5]])
    nothing = torch.empty(2, 0, dtype=torch.long)
    outputs = BatchOutputs(MostLikely(), 2, 5, EOS, (), None, nothing.device)
    assert draft.propose(nothing, 2, torch.arange(2), outputs) == []
    draft.keep(torch.tensor([0]))
    assert [one.tokens.tolist() for one in draft.propose(nothing[:1], 2, torch.arange(1), outputs)] == [[3], [1]]


def test_drafts_exclude_a_beam_and_need_a_way_to_read_several_tokens():
    with pytest.raises(InputError, match="remove the beam"):
        DecodingConfig(draft="ngram", beam=2)
    with pytest.raises(InputError, match="draft_tokens"):
        DecodingConfig(draft="ngram", draft_tokens=0)
    tree = Tree(3, 3)
    with pytest.raises(ValueError, match="drafts of kind 'ngram' need"):
        decode(tree.start, tree.step, [1], DecodingConfig(draft="ngram"), bos=3, eos=EOS, max_length=2)
