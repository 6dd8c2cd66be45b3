"""Which model a training keeps: the latest within a standard error of the best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.core.errors import InputError
from sightline.core.metrics import Metric, find_metric
from sightline.training import train
from sightline.training.best import RESAMPLES, is_kept, standard_error
from sightline.training.checkpoint import Checkpoints
from sightline.training.measured import Measured
from sightline.training.state import AUTO, State, settled
from tests.training import toy

LOSS = find_metric("loss")


def rows(losses: np.ndarray) -> np.ndarray:
    """Rows of items with a label each."""
    return np.stack([losses, np.ones_like(losses)], 1)


def measured(losses: np.ndarray) -> Measured:
    return Measured({"loss": float(losses.mean())}, {"loss": rows(losses)})


def kept(validations: list[Measured], name: str = "loss", within: float = 1.0) -> list[bool]:
    """Whether each validation's model is kept; step n is validation n."""
    state, flags = State(), []
    for number, one in enumerate(validations):
        state.spent = replace(state.spent, steps=number)
        flags.append(is_kept(state, one, name, within))
    assert state.best_step == max(number for number, flag in enumerate(flags) if flag)
    assert state.best_metric == validations[state.best_step].metrics[name]
    return flags


def test_the_standard_error_is_that_of_paired_items() -> None:
    """Items differ a hundred times more than a model does from the next on one item."""
    generator = np.random.default_rng(1)
    before = generator.gamma(1.0, 10.0, 400)
    change = generator.normal(0.0, 0.1, 400)
    exact = change.std(ddof=1) / 20
    assert standard_error(LOSS, rows(before), rows(before + change)) == pytest.approx(exact, rel=0.15)


def test_the_standard_error_of_a_ratio_follows_the_weights_of_its_items() -> None:
    """Against the delta method, for items of 1 to 50 labels."""
    generator = np.random.default_rng(2)
    labels = generator.integers(1, 50, 500).astype(float)
    before = labels * generator.normal(2.0, 0.5, 500)
    after = before + labels * generator.normal(0.1, 0.3, 500)
    residuals = (after - before) - labels * (after - before).sum() / labels.sum()
    exact = np.sqrt((residuals**2).sum()) / labels.sum()
    error = standard_error(LOSS, np.stack([before, labels], 1), np.stack([after, labels], 1))
    assert error == pytest.approx(exact, rel=0.15)


def test_resamples_of_many_items_are_drawn_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million items would need gigabytes otherwise; the numbers are the same."""
    generator = np.random.default_rng(6)
    before, after = (rows(generator.normal(2.0, 1.0, 30)) for _ in range(2))
    whole, sizes = standard_error(LOSS, before, after), []
    value = Metric.value

    def counted(metric: Metric, items: np.ndarray, draws: np.ndarray) -> np.ndarray:
        sizes.append(draws.size)
        return value(metric, items, draws)

    monkeypatch.setattr(Metric, "value", counted)
    monkeypatch.setattr("sightline.training.best.MOST_DRAWN", 100)
    assert standard_error(LOSS, before, after) == whole > 0
    assert max(sizes) <= 100
    assert sum(sizes) == 30 * RESAMPLES


@pytest.mark.parametrize("other", [np.zeros((3, 2)), np.full((4, 2), np.inf), np.zeros((4, 3))])
def test_rows_that_cannot_be_compared_have_no_error(other: np.ndarray) -> None:
    assert standard_error(LOSS, np.ones((4, 2)), other) == 0.0


def test_a_later_model_is_kept_within_an_error_of_the_best_and_not_beyond() -> None:
    generator = np.random.default_rng(3)
    base, noise = generator.gamma(1.0, 1.0, 400), generator.normal(0.0, 0.2, 400)
    noise -= noise.mean()
    error = noise.std(ddof=1) / 20
    best, near, far = (measured(base + shift + (noise if shift else 0.0)) for shift in (0.0, 0.7 * error, 1.4 * error))
    assert kept([best, near, far]) == [True, True, False]
    assert kept([far, near, best]) == [True, True, True]
    assert kept([best, near, far], within=0) == [True, False, False]
    assert kept([best, far], within=2) == [True, True]


def test_models_do_not_drift_away_from_the_best_in_small_steps() -> None:
    """Each is within an error of the one before; only those within an error of the best are kept."""
    generator = np.random.default_rng(4)
    base, noise = np.ones(400), generator.normal(0.0, 0.2, 400)
    noise -= noise.mean()
    error = noise.std(ddof=1) / 20
    steps = [measured(base + 0.8 * error * number + (number % 2) * noise) for number in range(4)]
    assert kept(steps)[:3] == [True, True, False]


def test_where_items_are_unknown_only_ties_are_kept() -> None:
    values = [Measured({"loss": value}) for value in (1.0, 1.0, 1.001, 0.9)]
    assert kept(values) == [True, True, False, True]


def test_where_higher_is_better() -> None:
    right = np.arange(100) < 90
    one, other, worse = (Measured({"accuracy": float(x.mean())}, {"accuracy": rows(x.astype(float))})
                         for x in (right, np.roll(right, 1) & (np.arange(100) > 0), np.arange(100) < 60))  # fmt: skip
    assert kept([one, other, worse], "accuracy") == [True, True, False]
    assert kept([worse, other, one], "accuracy") == [True, True, True]


@pytest.mark.parametrize(
    ("metric", "most_epochs", "expected"), [(AUTO, AUTO, ("accuracy", 3)), ("loss", None, ("loss", None))]
)
def test_what_is_left_to_the_task_is_settled_and_nothing_else(
    metric: str, most_epochs: Any, expected: tuple[str, int | None]
) -> None:
    config = settled(toy.config(metric=metric, most_epochs=most_epochs), "accuracy", 3)
    assert (config.metric, config.most_epochs) == expected


def test_by_itself_a_training_keeps_the_least_loss_of_any_number_of_epochs() -> None:
    config = settled(toy.config())
    assert (config.metric, config.most_epochs) == ("loss", None)


def test_a_metric_that_was_not_measured_is_named() -> None:
    with pytest.raises(InputError, match="validation has no value 'bleu', only loss"):
        is_kept(State(), Measured({"loss": 1.0}), "bleu", 1.0)


def test_a_resumed_training_keeps_the_same_model(tmp_path: Path) -> None:
    """The rows of the best validation are in the checkpoint."""
    generator = np.random.default_rng(5)
    base, noise = generator.gamma(1.0, 1.0, 50), generator.normal(0.0, 0.2, 50)
    noise -= noise.mean()
    losses = [base, base + noise + 0.5 * noise.std() / 50**0.5, base + 1.0]

    def run(place: Path, *budgets: str) -> int | None:
        numbers, best = iter(range(3)), None
        for number, budget in enumerate(budgets):
            best = train(toy.Toy(), toy.objective, toy.batches(), toy.config(budget), place, resume=number > 0,
                         validate=lambda _: measured(losses[next(numbers)])).best_step  # fmt: skip
        return best

    assert run(tmp_path / "whole", "30steps") == run(tmp_path / "parts", "10steps", "30steps") == 20
    checkpoint = Checkpoints(tmp_path / "parts" / "checkpoints").newest()
    assert checkpoint is not None
    assert checkpoint.state["state"]["top_rows"] == rows(base).tolist()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_rows_that_are_no_numbers_are_in_no_checkpoint(tmp_path: Path, wrong: float) -> None:
    """A task of a plugin may leave out items of which its metric is undefined."""
    losses = iter([1.0, 2.0])

    def validate(_: Any) -> Measured:
        return Measured({"loss": next(losses)}, {"loss": np.array([[1.0, 1.0], [wrong, 1.0]])})

    result = train(toy.Toy(), toy.objective, toy.batches(), toy.config("20steps"), tmp_path / "run", validate=validate)
    assert (result.best_step, result.best_metric) == (10, 1.0)


def test_a_run_of_a_version_that_knew_the_best_value_alone_keeps_its_best_model() -> None:
    state = State(best_metric=1.0, best_step=5)
    assert [is_kept(state, measured(np.full(4, value)), "loss", 1.0) for value in (2.0, 1.5, 0.9)] == [
        False,
        False,
        True,
    ]
    assert (state.best_metric, state.top_metric) == (0.9, 0.9)


def scripted(place: Path, losses: dict[int, float], *configs: Any) -> Any:
    """The end of a training, resumed with each next config, whose validation at a step has the loss of that step; its
    model is the number of the step.
    """
    step = 0

    def objective(*arguments: Any) -> Any:
        nonlocal step
        step += 1
        return toy.objective(*arguments)

    def validator(share: float) -> Any:
        return lambda _: measured(np.full(round(share * 20), losses[step]))

    def save_model(directory: Path) -> None:
        (directory / "model").write_text(str(step))

    results = [
        train(toy.Toy(), objective, toy.batches(), config, place, resume=number > 0, validator=validator,
              save_model=save_model)
        for number, config in enumerate(configs)
    ]  # fmt: skip
    return results[-1]


def test_a_checkpoint_that_came_before_its_validation_is_saved_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is given more steps then knows the best model, though checkpoints are due after each step."""
    monkeypatch.setattr("sightline.training.loop.CHECKPOINT_SHARE", float("inf"))
    short, long = (toy.config(budget, checkpoint_every_s=1e-9, validate_every=9) for budget in ("6steps", "8steps"))
    result = scripted(tmp_path / "run", {6: 1.0, 8: 2.0}, short, long)
    assert (result.best_step, result.best_metric) == (6, 1.0)
    assert (tmp_path / "run" / "best" / "model").read_text() == "6"


@pytest.mark.parametrize(("share", "best"), [(1.0, 20), (0.5, 10)])
def test_values_of_other_items_are_not_compared(tmp_path: Path, share: float, best: int) -> None:
    """A resumed run that validates on more items keeps the first model that it measures on them."""
    configs = [toy.config("10steps", validation_share=share), toy.config("20steps", validation_share=0.5)]
    result = scripted(tmp_path / "run", {10: 1.0, 20: 2.0}, *configs)
    assert result.best_step == best
    assert (tmp_path / "run" / "best" / "model").read_text() == str(best)
