"""Importance, hits and erasure equal their definitions on models whose causal tokens are known."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from sightline.inspect.alternatives import (
    adversarial_attention,
    answers_with,
    permuted_attention,
    pooled_attention,
    uniform_weights,
)
from sightline.inspect.faithfulness import (
    erasure_curves,
    gradient_importance,
    jensen_shannon,
    kendall,
    leave_one_out,
    replacement_effect,
    top_hits,
    total_variation,
)
from sightline.inspect.record import embedded_inputs, replaced_attention
from sightline.lab.claims.classifiers import embeddings_only
from sightline.models.encoder_model import EncoderConfig

TOKENS = torch.tensor([[1, 5, 2, 3], [4, 1, 1, 5]])
MASK = torch.tensor([[True, True, True, True], [True, True, True, False]])


def word_is(token):
    """A classifier that answers 1 where the word occurs and else 0, with a probability of 0.9."""

    def predict(tokens, mask):
        occurs = ((tokens == token) & mask).any(1)
        return torch.where(occurs.unsqueeze(1), torch.tensor([0.1, 0.9]), torch.tensor([0.9, 0.1])).log()

    return predict


def test_leaving_out_finds_the_word_and_nothing_else():
    effect = leave_one_out(word_is(5), TOKENS, MASK)
    assert effect.tolist() == [[0.0, pytest.approx(0.8), 0.0, 0.0], [0.0] * 4]  # a 5 under the mask is no word
    assert top_hits(effect, TOKENS == 5, MASK)[0] == 1.0


def test_replacing_measures_what_stands_there_instead():
    others = [torch.full_like(TOKENS, 5), torch.full_like(TOKENS, 2)]
    effect = replacement_effect(word_is(5), TOKENS, MASK, others)
    assert effect[0].tolist() == [0.0, pytest.approx(0.4), 0.0, 0.0]  # one of two removes the 5
    assert effect[1].tolist() == [pytest.approx(0.4)] * 3 + [0.0]  # one of two brings a 5


def test_hits_count_the_causal_words_among_as_many_most_important():
    causal = torch.tensor([[True, False, False, True], [True, False, False, False]])
    important = torch.tensor([[3.0, 2.0, 0.0, 1.0], [0.0, 0.0, 0.0, 9.0]])
    assert top_hits(important, causal, MASK).tolist() == [0.5, 0.0]
    even = torch.ones(2, 4)
    assert top_hits(even, causal, torch.ones_like(MASK)).tolist() == [0.0, 0.0]  # no hit by the order of positions


def scaled(scale, _module, _inputs, output):
    return output[0] * scale[:, None], output[1]


def test_gradients_are_those_of_the_probability_with_attention_held_constant():
    torch.manual_seed(0)
    model = embeddings_only(6).double().eval()
    importance = gradient_importance(model, TOKENS, MASK)
    free = gradient_importance(model, TOKENS, MASK, attention=True)
    label = model(TOKENS, MASK).softmax(1).argmax(1)
    own = pooled_attention(model, TOKENS, MASK).weights
    step = 1e-6
    for place in range(4):
        change = {}
        for held in (True, False):
            values = []
            for factor in (1 - step, 1 + step):
                scale = torch.ones(4, dtype=torch.double)
                scale[place] = factor
                handle = model.front_end.register_forward_hook(partial(scaled, scale))
                replace = (lambda _, w: own) if held else (lambda _, w: w)
                with torch.no_grad(), replaced_attention(model, replace):
                    values.append(model(TOKENS, MASK).softmax(1).gather(1, label[:, None])[:, 0])
                handle.remove()
            change[held] = ((values[1] - values[0]) / (2 * step)).abs().masked_fill(~MASK[:, place], 0.0)
        torch.testing.assert_close(importance[:, place], change[True], rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(free[:, place], change[False], rtol=1e-6, atol=1e-9)
    assert not torch.allclose(importance, free)


def test_kendall_sees_real_tokens_only():
    first = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, -9.0]])
    second = torch.tensor([[1.0, 2.0, 4.0, 3.0], [30.0, 20.0, 10.0, 99.0]])
    assert kendall(first, second, MASK).tolist() == [pytest.approx(4 / 6), pytest.approx(-1.0)]
    assert np.isnan(kendall(torch.ones(2, 4), second, MASK)).all()


def test_erasure_curves_of_the_right_and_of_the_worst_order():
    tokens, mask = torch.tensor([[1, 5, 2, 3]]), torch.ones(1, 4, dtype=torch.bool)
    right, worst = torch.tensor([[0.0, 1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    curves = erasure_curves(word_is(5), tokens, mask, right, (0.25, 0.5))
    assert curves.comprehensiveness[0].tolist() == pytest.approx([0.8, 0.8])
    assert curves.sufficiency[0].tolist() == pytest.approx([0.0, 0.0])
    curves = erasure_curves(word_is(5), tokens, mask, worst, (0.25, 0.5))
    assert curves.comprehensiveness[0].tolist() == pytest.approx([0.0, 0.0])
    assert curves.sufficiency[0].tolist() == pytest.approx([0.8, 0.8])


def test_divergences_at_their_ends():
    p, q = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert float(jensen_shannon(p, q)) == pytest.approx(math.log(2))
    assert float(jensen_shannon(p, p)) == 0.0
    assert float(total_variation(p, q)) == 1.0


@pytest.fixture
def model():
    torch.manual_seed(0)
    return embeddings_only(9).eval()


@pytest.fixture
def sentences():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 9, (4, 6), generator=generator), torch.arange(6) < torch.tensor([[6], [6], [5], [4]])


def test_own_weights_give_own_answers_and_even_ones_those_of_the_mean(model, sentences):
    own = pooled_attention(model, *sentences)
    torch.testing.assert_close(answers_with(model, *sentences, own.weights), own.answers)
    even = answers_with(model, *sentences, uniform_weights(sentences[1]))
    with torch.no_grad(), embedded_inputs(model) as vectors:
        model(*sentences)
    mean = (vectors[0] * sentences[1].unsqueeze(2)).sum(1) / sentences[1].sum(1, keepdim=True)
    torch.testing.assert_close(even, model.head(mean).softmax(1))


def test_permutations_stay_among_real_tokens_and_change_what_depends_on_them(model, sentences):
    tokens, mask = sentences
    generator = torch.Generator().manual_seed(0)
    seen = []
    handle = model.pooling.weights.register_forward_hook(lambda _m, _i, weights: seen.append(weights))
    changes = permuted_attention(model, tokens, mask, generator, 9)
    own = seen[0]
    assert (changes > 0).all()
    model.pooling.score.weight.data.zero_()  # even weights: nothing to permute
    assert permuted_attention(model, tokens, mask, generator, 9).tolist() == pytest.approx([0.0] * 4, abs=1e-6)
    handle.remove()
    captured = []

    def record(_name, weights):
        captured.append(weights)
        return weights

    with replaced_attention(model, record):
        answers_with(model, tokens, mask, own)
    assert not own.masked_fill(mask, 0.0).any()


def test_adversarial_weights_keep_the_answer_within_the_bound(model, sentences):
    tokens, mask = sentences
    generator = torch.Generator().manual_seed(0)
    found = adversarial_attention(model, tokens, mask, generator, bound=0.02, starts=3, steps=40)
    own = pooled_attention(model, tokens, mask)
    change = total_variation(answers_with(model, tokens, mask, found.weights), own.answers)
    assert (change <= 0.02 + 1e-5).all()
    torch.testing.assert_close(jensen_shannon(found.weights, own.weights), found.divergence, rtol=1e-4, atol=1e-5)
    assert not found.weights.masked_fill(mask, 0.0).any()
    # Where all words have the same vector any weights give the answer, and the farthest are found.
    model.front_end.embedding.weight.data[:] = 1.0
    far = adversarial_attention(model, tokens, mask, generator, starts=3, steps=60).divergence
    assert (far > 0.3).all()
    assert (far > found.divergence.min()).all()


def test_a_model_without_pooled_attention_is_refused():
    model = EncoderConfig(d_model=8, heads=2, layers=1, pooling="cls").build(6, 3)
    with pytest.raises(ValueError, match="expected one probe of pooled attention, found 0 among 1"):
        pooled_attention(model, TOKENS, MASK)
