"""Small classifiers of sentences with planted causal tokens, and maps of importance of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.modes import evaluating
from sightline.inspect.alternatives import pooled_attention
from sightline.inspect.faithfulness import gradient_importance, leave_one_out, replacement_effect
from sightline.inspect.heads import heads_of
from sightline.inspect.record import recorded_attention, recorded_inputs
from sightline.inspect.rollout import attention_rollout, value_weighted_norms
from sightline.lab.claims.fitting import Draw, Examples, Recipe, answers, fit, held_out, initialised
from sightline.lab.claims.planted import (
    FIRST,
    asked_value,
    causal_first,
    causal_trigger,
    causal_value,
    first_of_two,
    trigger,
)
from sightline.models.encoder_model import EncoderConfig, EncoderModel
from sightline.models.recurrent_encoder import RecurrentEncoderConfig
from sightline.models.stack import AsEncoder, Pointwise
from sightline.parts.front_ends import build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.pooling import POOLINGS

LABELS, WORDS, LENGTH, PAIRS, KEYS = 4, 32, 16, 3, 6
FILLERS = (FIRST + LABELS, FIRST + LABELS + WORDS)  # ids of words that decide nothing


class PlantedTask(NamedTuple):
    """A task with known causal words; `fillers` are the ids of words that decide nothing, where it has some."""

    name: str
    draw: Draw
    causal: Callable[[Examples], Tensor]  # (B, T) bool
    vocabulary: int
    fillers: tuple[int, int] | None = None

    def others(self, generator: torch.Generator, count: int) -> Tensor:
        """Sentences (count, T) whose words replace those of others: without a word that decides, if there can be."""
        tokens = self.draw(generator, count).inputs[0]
        return tokens if self.fillers is None else torch.randint(*self.fillers, tokens.shape, generator=generator)


TASKS = (
    PlantedTask("one trigger", trigger(LENGTH, LABELS, WORDS), causal_trigger, FILLERS[1], FILLERS),
    PlantedTask("first of two triggers", first_of_two(LENGTH, LABELS, WORDS), causal_first, FILLERS[1], FILLERS),
    PlantedTask("value of a key", asked_value(PAIRS, KEYS, LABELS), causal_value, FIRST + LABELS + KEYS),
)


def embeddings_only(vocabulary: int, pooling: str = "additive") -> EncoderModel:
    """Additive attention over word vectors that have not seen each other."""
    nothing = AsEncoder(Pointwise(nn.Identity(), 64))
    return EncoderModel(build_front_end(vocabulary, 64), nothing, TokenHead(64, LABELS), POOLINGS[pooling](64))


def bilstm(vocabulary: int, pooling: str = "additive") -> EncoderModel:
    """A bidirectional LSTM with additive attention (Jain & Wallace 2019)."""
    return RecurrentEncoderConfig("lstm", 64, 64, "mean" if pooling == "mean" else "additive", 0.0, 1.0).build(
        vocabulary, LABELS
    )


def transformer(vocabulary: int, pooling: str = "cls") -> EncoderModel:
    """Two layers of two-sided attention, read at a class token."""
    config = EncoderConfig(d_model=64, layers=2, heads=4, dropout=0.0, pooling="mean" if pooling == "mean" else "cls")
    return config.build(vocabulary, LABELS)


MODELS: dict[str, Callable[..., EncoderModel]] = {
    "word vectors": embeddings_only,
    "BiLSTM": bilstm,
    "Transformer": transformer,
}


class InspectedClassifier(NamedTuple):
    """A trained classifier, and sentences that it was not trained on."""

    model: EncoderModel
    tokens: Tensor  # (B, T)
    mask: Tensor  # (B, T)
    causal: Tensor  # (B, T) bool
    others: list[Tensor]  # each (B, T): sentences to replace tokens from
    accuracy: float


def trained(
    task: PlantedTask, build: Callable[[int], EncoderModel], recipe: Recipe, seed: int, tested: int
) -> InspectedClassifier:
    """Train a classifier on a task, and draw sentences to look at it."""
    with initialised(seed):
        model = build(task.vocabulary)
    fit(model, task.draw, recipe, seed)
    examples = held_out(task.draw, seed, tested)
    generator = torch.Generator().manual_seed(seed)
    others = [task.others(generator, tested) for _ in range(4)]
    accuracy = float(answers(model, examples).double().mean())
    tokens, mask = examples.inputs
    return InspectedClassifier(model.eval(), tokens, mask, task.causal(examples), others, accuracy)


def importance_maps(one: InspectedClassifier) -> dict[str, Tensor]:
    """Maps of importance (B, T) by name; "attention" is what a reader would be shown.

    Of a pooling its weights; of a class token its weights in the last layer, the mean over heads. A Transformer has
    "rollout" and "value-weighted" beside it, see `inspect.rollout`.
    """
    maps = _class_token_maps(one) if heads_of(one.model) else {"attention": pooled_attention(*one[:3]).weights}
    return maps | {
        "gradient": gradient_importance(one.model, one.tokens, one.mask),
        "leave one out": leave_one_out(one.model, one.tokens, one.mask),
        "replacement": replacement_effect(one.model, one.tokens, one.mask, one.others),
    }


@torch.no_grad()
def _class_token_maps(one: InspectedClassifier) -> dict[str, Tensor]:
    layers = heads_of(one.model)
    last = next(reversed(layers))
    carried_in = recorded_inputs({last: layers[last].value})
    with evaluating(one.model), recorded_attention(one.model) as weights, carried_in as inputs:
        one.model(one.tokens, one.mask)
    of_layers = [weights[name] for name in layers]  # (B, H, 1 + T, 1 + T), the class token first
    values = layers[last].keys_values(inputs[last])[1]
    carried = value_weighted_norms(weights[last], values, layers[last].out.weight)
    return {
        "attention": of_layers[-1].mean(1)[:, 0, 1:],
        "rollout": attention_rollout(of_layers)[:, 0, 1:],
        "value-weighted": carried[:, 0, 1:],
    }
