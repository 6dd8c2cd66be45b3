"""Small models of a run's architecture, trained until they solve a planted problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.tasks.planted import Planted, PlantedItem
from sightline.training.optim import OptimConfig
from sightline.training.step import Stepper

LEARNED = 0.95  # accuracy, and the share of items in which the effect finds the planted positions
ENOUGH = 1.0  # accuracy at which training ends
ROUND, ROUNDS, WARM, LAST = 100, 12, 50, 100  # steps between checks, checks, steps of warming up and of cooling down
FEWEST = 2  # rounds, so that an answer that is right is also sure
RATES = (2e-3, 5e-4)  # the second where the first learns nothing
HOPELESS = 0.5  # accuracy


class PlantedTraining(NamedTuple):
    """The result of training: steps, learning rate, and the share of right answers on the items to check by."""

    steps: int
    rate: float
    accuracy: float


@torch.no_grad()
def accuracy_of(planted: Planted, items: Sequence[PlantedItem]) -> float:
    """The share of right answers."""
    with evaluating(planted.task.model):
        return sum(planted.right(planted.open(item.input), item) for item in items) / len(items)


def train_planted(planted: Planted, seed: int, rounds: int = ROUNDS) -> PlantedTraining:
    """Train the problem's model until it answers `ENOUGH` of the items to check by, for `rounds` rounds at most,
    none where they are 0.

    Adam without weight decay, clipped, at the first of `RATES`; at the second where that diverges or learns little. The
    model is left in evaluation mode. A training that diverges has an accuracy of 0.
    """
    model = planted.task.model
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    device = next(model.parameters()).device
    done = PlantedTraining(0, RATES[0], accuracy_of(planted, planted.checked))
    for rate in RATES if rounds else ():
        model.load_state_dict(begun)
        config = OptimConfig(lr=rate, weight_decay=0.0)
        stepper = Stepper(model, planted.loss, config, device, "float32")
        done = _rounds(planted, stepper, rate, seed, rounds)
        if done.accuracy >= HOPELESS:
            break
    model.eval()
    return done


def _rounds(planted: Planted, stepper: Stepper, rate: float, seed: int, rounds: int) -> PlantedTraining:
    accuracy, steps = 0.0, 0
    with torch.random.fork_rng(devices=[]):
        for done in range(1, rounds + 1):
            for _ in range(ROUND):
                if not _step(planted, stepper, rate * min(1.0, (steps + 1) / WARM), seed, steps):
                    return PlantedTraining(steps, rate, 0.0)
                steps += 1
            accuracy = accuracy_of(planted, planted.checked)
            if accuracy >= ENOUGH and done >= FEWEST:
                break
        for left in range(LAST, 0, -1):
            if not _step(planted, stepper, rate * left / LAST, seed, steps):
                return PlantedTraining(steps, rate, 0.0)
            steps += 1
    return PlantedTraining(steps, rate, accuracy_of(planted, planted.checked))


def _step(planted: Planted, stepper: Stepper, rate: float, seed: int, step: int) -> bool:
    """One step; whether loss and gradient were finite."""
    torch.manual_seed(derive(seed, "planted dropout", step))
    if stepper.gradients(next(planted.batches)).fault is not None:
        return False
    stepper.update(rate)
    return True
