"""The drawn tasks are what they say: answers follow from the inputs by the stated rule."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.lab.claims.adding import adding
from sightline.lab.claims.classifiers import LABELS, TASKS
from sightline.lab.claims.fitting import Examples, NextToken, Recipe, answers, fit, held_out, initialised, losses
from sightline.lab.claims.long_sentences import recall_quality, translation_quality
from sightline.lab.claims.lstm_memory import LongMemory, copying, gradient_ways, unrolled
from sightline.lab.claims.planted import (
    FIRST,
    asked_pair,
    asked_value,
    causal_value,
    date_text,
    many_queries,
    recall,
    repeats,
    source_places,
    translation,
)
from sightline.models.recurrent_language_model import RecurrentLanguageModelConfig


def drawn(draw, count=50):
    return draw(torch.Generator().manual_seed(0), count)


def test_translations_swap_pairs_and_map_symbols():
    source, mask, fed = (examples := drawn(translation(7))).inputs
    for row in range(50):
        length = int(mask[row].sum())
        order = [i ^ 1 if i ^ 1 < length else i for i in range(length)]
        expected = [(5 * (int(source[row, i]) - FIRST) + 2) % 16 + FIRST for i in order]
        assert examples.labels[row, :length].tolist() == expected
        assert fed[row, 1:].tolist() == examples.labels[row, :-1].tolist()
        assert not examples.labels[row, length:].any()
    assert set(mask.sum(1).tolist()) == set(range(2, 8))
    assert source_places(7).tolist() == [1, 0, 3, 2, 5, 4, 6]


def test_recall_asks_for_one_pair_of_the_list():
    source, mask, _ = (examples := drawn(recall(5))).inputs
    pairs, asked = asked_pair(examples)
    for row in range(50):
        known = source[row][mask[row]].tolist()
        assert len(known) == 2 * int(pairs[row]) + 2
        keys, values = known[0:-2:2], known[1:-2:2]
        assert keys[int(asked[row])] == known[-1]
        assert len(set(keys)) == len(keys)
        assert int(examples.labels[row, 0]) == values[int(asked[row])] - FIRST - 32
    assert set(pairs.tolist()) == set(range(2, 6))


def test_accuracies_are_counted_by_length_and_by_place_in_the_source():
    examples = held_out(translation(8, shortest=8), 0, 40)
    right = torch.zeros_like(examples.counted)
    right[:, [0, 1]] = True  # the targets of the first pair, that is of source places 1 and 0
    by_length, by_place = translation_quality(examples, right, 8)
    assert by_length[-1] == 0.25
    assert by_place == pytest.approx([2 / 3, 0.0, 0.0])  # thirds of eight places: 0-2, 3-5, 6-7
    examples = held_out(recall(5, shortest=5), 0, 400)
    _, asked = asked_pair(examples)
    by_length, by_place = recall_quality(examples, (asked == 4).unsqueeze(1), 5)
    assert by_place[0] == 0.0
    assert by_place[2] == 1.0
    assert by_length[-1] == pytest.approx(float((asked == 4).double().mean()))


def test_language_tasks_can_be_known_where_they_count():
    (row,) = (examples := drawn(repeats(16))).inputs
    assert torch.equal(examples.labels[:, :-1], row[:, 1:])
    sizes = set()
    for tokens, labels, counted in zip(row.tolist(), examples.labels.tolist(), examples.counted):
        sizes.add(16 - int(counted.sum()) - 1)
        for place in counted.nonzero().flatten().tolist():
            before = tokens[:place].index(tokens[place])
            assert labels[place] == tokens[before + 1]
    assert sizes == {4, 5, 6, 7, 8}
    (row,) = (examples := drawn(many_queries(4))).inputs
    for b in range(50):
        known = dict(zip(row[b, 0:8:2].tolist(), row[b, 1:8:2].tolist()))
        assert examples.labels[b, 8:].tolist() == [known[key] for key in row[b, 8:].tolist()]
    draw, symbols = date_text("en")
    (row,) = (examples := drawn(draw)).inputs
    assert torch.equal(row[:, 1:], examples.labels[:, :-1])
    assert int(row.max()) < symbols


def test_the_planted_word_decides():
    for task in TASKS[:2]:
        examples = drawn(task.draw, 200)
        tokens, causal = examples.inputs[0], task.causal(examples)
        assert causal.sum(1).tolist() == [1] * 200
        assert (tokens[causal] - FIRST).tolist() == examples.labels.tolist()
        assert int(tokens.max()) < task.vocabulary
        assert set(examples.labels.tolist()) == set(range(LABELS))
    tokens = (examples := drawn(asked_value(3))).inputs[0]
    for row, causal in zip(tokens, causal_value(examples)):
        key, value, question = causal.nonzero().flatten().tolist()
        assert question == 6
        assert row[key] == row[question]
        assert value == key + 1
    value = causal_value(examples).int().argmax(1, keepdim=True) + 1
    assert torch.equal(tokens.gather(1, value)[:, 0] - FIRST, examples.labels)


def test_adding_and_copying_by_hand():
    (x,) = (examples := drawn(adding(20))).inputs
    torch.testing.assert_close(examples.labels, (x[..., 0] * x[..., 1]).sum(1))
    assert x[..., 1].sum(1).unique().tolist() == [2.0]
    (x,) = (examples := drawn(copying(30))).inputs
    assert x.shape == (50, 50, 10)
    assert torch.equal(x.argmax(2)[:, :10], examples.labels[:, -10:])
    assert x.argmax(2)[:, -11].unique().tolist() == [9]


def test_cut_ways_change_gradients_alone_and_the_rest_is_the_whole():
    torch.manual_seed(0)
    model = LongMemory(2, 1, forget_gate=True, last=True)
    x = torch.randn(3, 6, 2)
    hidden, cells = unrolled(model.lstm, x, "nothing")
    torch.testing.assert_close(torch.stack(hidden, 1), model.lstm(x)[0])
    for cut in ("hidden", "cell"):
        torch.testing.assert_close(torch.stack(unrolled(model.lstm, x, cut)[0], 1), model.lstm(x)[0])
    ways = gradient_ways(model, x)
    assert all(norms.shape == (3, 6) for norms in ways.values())
    # At distance 0 the gradient passes through o ∘ tanh(c) alone, whatever is cut.
    for cut in ("hidden", "cell"):
        torch.testing.assert_close(torch.tensor(ways[cut][:, 0]), torch.tensor(ways["nothing"][:, 0]))
    # Through c alone it is the product of the forget gates.
    hidden, cells = unrolled(model.lstm, x, "hidden")
    (gradient,) = torch.autograd.grad(model.head(hidden[-1]).sum(), cells[4], retain_graph=True)
    (last,) = torch.autograd.grad(model.head(hidden[-1]).sum(), cells[5])
    gates = x[:, 5] @ model.lstm.weight_input.T + hidden[4] @ model.lstm.weight_hidden.T + model.lstm.bias
    torch.testing.assert_close(gradient, last * torch.sigmoid(gates.chunk(4, 1)[1]))


def test_a_small_training_is_repeatable_and_learns():
    def draw(generator, count):
        tokens = torch.randint(4, (count, 3), generator=generator)
        return Examples((tokens,), tokens, torch.ones_like(tokens).bool())

    def build():
        with initialised(1):
            return NextToken(RecurrentLanguageModelConfig("gru", 8, layers=1, dropout=0.5).build(4))

    models = [build(), build()]
    examples = held_out(draw, 0, 40)
    start = losses(models[0], examples).mean()
    for model in models:
        fit(model, draw, Recipe(60, 16, 1e-2), seed=3)
    for one, other in zip(models[0].parameters(), models[1].parameters()):
        assert torch.equal(one, other)
    assert losses(models[0], examples).mean() < 0.5 * start
    assert answers(models[0], examples).double().mean() > 0.9


def test_losses_are_means_over_what_counts():
    model = nn.Sequential(nn.Embedding.from_pretrained(torch.tensor([[0.0, 0.0], [0.0, 2.0]])))
    examples = Examples((torch.tensor([[0, 1]]),), torch.tensor([[0, 0]]), torch.tensor([[True, False]]))
    assert losses(model, examples).tolist() == [torch.tensor(2.0).double().log().item()]
