from __future__ import annotations

import json
import math
import os
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.core.errors import Diverged, EnvironmentFault, InputError, exit_status
from sightline.training import Loss, Progress, TrainConfig, TrainResult, train
from sightline.training.checkpoint import Checkpoints
from sightline.training.flops import count_flops
from sightline.training.measured import Measured
from tests.clock import Clock
from tests.training import toy


def run_toy(run: Path, config: TrainConfig, objective: Any = toy.objective, **options: Any) -> TrainResult:
    model = options.pop("model", None) or toy.Toy()
    return train(model, objective, toy.batches(), config, run, **{"validate": toy.validate, **options})


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def records(run: Path, event: str) -> list[dict[str, Any]]:
    return [r for line in (run / "metrics.jsonl").read_text().splitlines() if (r := json.loads(line))["event"] == event]


@pytest.mark.slow
def test_it_learns(tmp_path: Path) -> None:
    result = run_toy(tmp_path / "run", toy.config("200steps", validate_every=100))
    losses = [record["loss"] for record in result.history if record["event"] == "valid"]
    assert result.status == "completed"
    assert losses[-1] < losses[0] < math.log(toy.VOCABULARY)


@pytest.mark.parametrize("stop", range(1, 12))
def test_resuming_after_any_step_is_bit_identical(tmp_path: Path, stop: int) -> None:
    """Stopped by hand at every step: weights, optimizer, rate, batch and dropout as if it had never stopped."""

    class Enough(Exception):
        pass

    def until(step: int) -> Any:
        calls = 0

        def objective(*arguments: Any) -> Loss:
            nonlocal calls
            calls += 1
            if calls > step:
                raise Enough
            return toy.objective(*arguments)

        return objective

    config = toy.config("12steps", validate_every=1)
    whole, parted = toy.Toy(), toy.Toy()
    run_toy(tmp_path / "whole", config, model=whole)
    with pytest.raises(Enough):
        run_toy(tmp_path / "parted", config, until(stop), model=toy.Toy())
    torch.manual_seed(99)  # a new process may have drawn numbers before
    torch.rand(5)
    run_toy(tmp_path / "parted", config, model=parted, resume=True)
    assert all(map(torch.equal, weights(whole), weights(parted)))


def test_the_callers_random_stream_and_signal_handlers_are_left_alone(tmp_path: Path) -> None:
    import signal

    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    model = toy.Toy(seed=4)
    torch.manual_seed(4)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_toy(tmp_path / "run", toy.config("3steps"), model=model)
    assert torch.equal(torch.rand(3), expected)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


@pytest.mark.slow
@pytest.mark.parametrize(("unit", "budget", "limit"), [("tokens", "500tok", 500), ("flops", "3e6flop", 3e6)])
def test_budgets_of_work_stop_at_the_first_boundary(tmp_path: Path, unit: str, budget: str, limit: float) -> None:
    result = run_toy(tmp_path / "run", toy.config(budget, validate_every=None, log_every=1))
    used = [record[unit] for record in records(tmp_path / "run", "train")]
    assert result.steps > 5
    assert used == sorted(used)
    assert used[-2] < limit <= used[-1]


def test_a_budget_of_seconds_has_room_for_the_last_validation(tmp_path: Path, clock: Clock) -> None:
    """At most a tenth goes to validations before the last; each step and validation counts with its own time."""
    config = toy.config("12s-wall", validate_every=None, log_every=1)
    objective, validate = clock.slow(0.25, toy.objective), clock.slow(0.5, toy.validate)
    result = run_toy(tmp_path / "run", config, objective, validate=validate)
    validations = len(records(tmp_path / "run", "valid"))
    assert result.seconds == 12.0 == 0.25 * result.steps + 0.5 * validations
    assert 0 < 0.5 * (validations - 1) <= 0.1 * 12.0 + 0.5  # one may begin just before the tenth is used up


def test_flops_are_those_of_the_steps_that_ran(tmp_path: Path) -> None:
    result = run_toy(tmp_path / "run", toy.config("9steps"))
    expected, model, stream = 0, toy.Toy(), toy.batches().stream()
    for _ in range(9):
        batch, _ = next(stream)
        expected += count_flops(lambda batch=batch: toy.objective(model, batch).total.backward())
    assert result.flops == expected > 0
    assert result.tokens == sum(next_batch.tokens for next_batch in first_batches(9))


def first_batches(count: int) -> list[Any]:
    stream = toy.batches().stream()
    return [next(stream)[0] for _ in range(count)]


def test_saving_is_not_on_the_clock(tmp_path: Path, clock: Clock) -> None:
    model = toy.Toy()
    save, objective = clock.slow(5.0, toy.save_to(model)), clock.slow(0.25, toy.objective)
    result = run_toy(tmp_path / "run", toy.config("20steps"), objective, model=model, save_model=save)
    assert result.seconds == 20 * 0.25
    assert clock.now == 20 * 0.25 + 3 * 5.0  # best twice, last once


def test_evenly_spaced_validations_and_the_last(tmp_path: Path) -> None:
    result = run_toy(tmp_path / "run", toy.config("21steps", validate_every=None, validations=4))
    assert [r["steps"] for r in result.history if r["event"] == "valid"] == [6, 11, 16, 21]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_nan_stops_before_the_step_and_keeps_the_last_good_state(tmp_path: Path, bad: float, where: str) -> None:
    config = toy.config("60steps", validate_every=100)
    # The schedule of the shorter run, so that both take the same twelve steps.
    config = replace(config, optim=replace(config.optim, schedule="constant"))
    good = toy.Toy()
    run_toy(tmp_path / "good", replace(config, budget="12steps"), model=good)
    calls = 0

    def objective(model: torch.nn.Module, batch: Any) -> Loss:
        nonlocal calls
        calls += 1
        loss = toy.objective(model, batch)
        if calls <= 12:
            return loss
        if where == "loss":
            return loss._replace(total=loss.total * bad)
        weight = next(model.parameters())
        weight.register_hook(lambda gradient: gradient * bad)
        return loss

    model = toy.Toy()
    with pytest.raises(Diverged) as caught:
        run_toy(tmp_path / "run", config, objective, model=model, save_model=toy.save_to(model))
    batch = first_batches(13)[12]
    assert exit_status(caught.value) == 4
    assert f"step 13: the {'loss' if where == 'loss' else 'gradient norm'} is " in str(caught.value)
    assert f"(rows {', '.join(map(str, batch.rows[:8]))}" in str(caught.value)
    assert all(map(torch.equal, weights(model), weights(good)))
    result = Checkpoints(tmp_path / "run" / "checkpoints").newest()
    assert result is not None
    assert result.step == 12
    assert torch.equal(result.model["embedding.weight"], good.embedding.weight)
    assert (tmp_path / "run" / "last" / "model.safetensors").exists()
    (record,) = records(tmp_path / "run", "diverged")
    assert record["rows"] == list(batch.rows)


def test_a_validation_loss_that_is_not_finite_stops_too_and_its_state_is_not_kept(tmp_path: Path) -> None:
    values = iter([1.0, float("nan")])
    with pytest.raises(Diverged, match="step 20: the validation loss is nan: "):
        run_toy(tmp_path / "run", toy.config(), validate=lambda _: Measured({"loss": next(values)}))
    result = Checkpoints(tmp_path / "run" / "checkpoints").newest()
    assert result is not None
    assert result.step == 10


def test_weights_that_became_infinite_are_not_kept(tmp_path: Path) -> None:
    def objective(model: torch.nn.Module, batch: Any) -> Loss:
        with torch.no_grad():
            model.norm.bias.fill_(torch.inf)
        return toy.objective(model, batch)

    model = toy.Toy()
    with pytest.raises(Diverged, match="step 1: the loss is nan"):
        run_toy(tmp_path / "run", toy.config(), objective, model=model, save_model=toy.save_to(model))
    result = Checkpoints(tmp_path / "run" / "checkpoints").newest()
    assert result is not None
    assert all(tensor.isfinite().all() for tensor in result.model.values())
    assert not (tmp_path / "run" / "last").exists()


def test_a_step_without_labels_changes_nothing_but_the_decay(tmp_path: Path) -> None:
    def none_of_it(model: torch.nn.Module, batch: Any) -> Loss:
        return toy.objective(model, batch._replace(target_mask=torch.zeros_like(batch.target_mask)))

    model = toy.Toy()
    before = weights(model)
    config = toy.config("3steps")
    config = replace(config, optim=replace(config.optim, weight_decay=0.0))
    result = run_toy(tmp_path / "run", config, none_of_it, model=model)
    assert result.tokens == 0
    assert all(map(torch.equal, weights(model), before))


def test_patience_ends_the_run_and_best_is_the_latest_of_the_best(tmp_path: Path) -> None:
    values = iter([3.0, 1.0, 2.0, 1.5, 1.0, 0.1])
    model, saved = toy.Toy(), []

    def save(directory: Path) -> None:
        saved.append(directory.name)
        toy.save_to(model)(directory)

    result = run_toy(
        tmp_path / "run",
        toy.config("60steps", validate_every=5, patience=3),
        model=model,
        validate=lambda _: Measured({"loss": next(values)}),
        save_model=save,
    )
    assert (result.status, result.steps, result.best_metric, result.best_step) == ("early_stopped", 25, 1.0, 25)
    assert saved == ["best.tmp", "best.tmp", "best.tmp", "last.tmp"]
    assert [record["best"] for record in records(tmp_path / "run", "valid")] == [True, True, False, False, True]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(("metric", "best"), [("bleu", (0.5, 6)), ("perplexity", (0.2, 2))])
def test_better_is_what_the_metric_says_and_no_number_is_never_best(
    tmp_path: Path, metric: str, best: tuple[float, int], bad: float
) -> None:
    """The perplexity of a loss above 709 nats is infinite."""
    values = iter([0.2, bad, 0.5, 0.4])
    result = run_toy(
        tmp_path / "run",
        toy.config("8steps", validate_every=2, metric=metric),
        validate=lambda _: Measured({"loss": 1.0, metric: next(values)}),
    )
    assert (result.best_metric, result.best_step) == best
    assert [record[metric] for record in records(tmp_path / "run", "valid")] == [0.2, None, 0.5, 0.4]


def test_an_unknown_metric_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="validation has no value 'blue', only loss"):
        run_toy(tmp_path / "run", toy.config("8steps", metric="blue"))


def test_a_run_is_not_overwritten_silently(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_toy(run, toy.config("10steps"))
    before = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match="contains a run: continue it with --resume, or replace it with --overwrite"):
        run_toy(run, toy.config("10steps"))
    with pytest.raises(InputError, match="exclude each other"):
        run_toy(run, toy.config("10steps"), resume=True, overwrite=True)
    assert (run / "metrics.jsonl").read_bytes() == before
    (run / "mine.txt").write_text("notes")
    result = run_toy(run, toy.config("5steps"), overwrite=True)
    assert result.steps == 5
    assert (run / "mine.txt").exists()
    assert [step for step, _ in Checkpoints(run / "checkpoints").steps()] == [0, 5]


def test_a_finished_run_can_be_given_more(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_toy(run, toy.config("10steps"))
    again = run_toy(run, toy.config("10steps"), resume=True)
    more = run_toy(run, toy.config("30steps"), resume=True)
    assert (again.steps, more.steps) == (10, 30)
    assert [record["steps"] for record in more.history if record["event"] == "valid"] == [10, 20, 30]
    with pytest.raises(InputError, match="optim was"):
        run_toy(run, replace(toy.config("40steps"), optim=replace(toy.config().optim, lr=0.5)), resume=True)


def test_a_directory_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not a directory"):
        run_toy(tmp_path / "file", toy.config("10steps"))
    with pytest.raises(EnvironmentFault, match="file/run: Not a directory"):
        run_toy(tmp_path / "file" / "run", toy.config("10steps"))
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(EnvironmentFault, match="Permission denied"):
            run_toy(tmp_path / "closed" / "run", toy.config("10steps"))


def test_out_of_memory_hints_at_the_batch(tmp_path: Path) -> None:
    def huge(model: torch.nn.Module, batch: Any) -> Loss:
        return Loss(torch.empty(2**60, dtype=torch.uint8).sum(), torch.zeros(()), 1)

    with pytest.raises(
        EnvironmentFault,
        match=r"step 1: out of memory on a batch of \d+×\d+ .*; try --batch-tokens \d+ or a smaller model",
    ):
        run_toy(tmp_path / "run", toy.config("10steps"), huge)


def test_out_of_memory_names_a_size_that_has_fitted(tmp_path: Path) -> None:
    seen = []

    def sometimes_huge(model: torch.nn.Module, batch: Any) -> Loss:
        seen.append(sum(t.numel() for t in batch if isinstance(t, torch.Tensor)))
        if len(seen) == 4:
            torch.empty(2**60, dtype=torch.uint8)
        return toy.objective(model, batch)

    with pytest.raises(
        EnvironmentFault, match=r"step 4: .*; --batch-tokens (\d+) fitted earlier, or use a smaller model"
    ) as caught:
        run_toy(tmp_path / "run", toy.config("10steps"), sometimes_huge)
    named = int(re.search(r"tokens (\d+)", str(caught.value))[1])
    _, size = toy.batches().size_key
    assert 1 <= named <= size * min(max(seen[:3]) / seen[3], 0.5)


def test_bfloat16_autocast_trains_float32_weights(tmp_path: Path) -> None:
    from sightline.training.environment import has_bfloat16

    if not has_bfloat16(torch.device("cpu")):
        pytest.skip("this processor has no bfloat16 products")
    seen = set()

    def objective(model: torch.nn.Module, batch: Any) -> Loss:
        seen.add(model(batch.source, batch.source_mask, batch.target).dtype)
        return toy.objective(model, batch)

    model = toy.Toy()
    run_toy(tmp_path / "run", toy.config("10steps", dtype="bfloat16"), objective, model=model)
    assert seen == {torch.bfloat16}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_progress_reports_every_step(tmp_path: Path) -> None:
    reports: list[Progress] = []
    run_toy(tmp_path / "run", toy.config("20steps"), on_progress=reports.append)
    assert [progress.step for progress in reports if not progress.validating] == list(range(1, 21))
    assert [progress.step for progress in reports if progress.validating] == [10, 20]
    assert reports[-1].fraction == 1.0
    assert reports[-1].seconds_left == 0.0
    assert all(a.fraction <= b.fraction for a, b in pairwise(reports))


def test_the_time_left_halfway_is_the_time_that_the_first_half_took(tmp_path: Path, clock: Clock) -> None:
    steps: list[Progress] = []
    config = toy.config("20steps", validate_every=20)
    run_toy(tmp_path / "run", config, clock.slow(0.25, toy.objective), on_progress=steps.append)
    halfway = steps[9]
    assert (halfway.step, halfway.seconds, halfway.seconds_left) == (10, 2.5, 2.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("budget", "soon"), ("validations", 0), ("validate_every", 0), ("patience", 0), ("keep", 0), ("log_every", 0),
     ("checkpoint_every_s", 0.0)],
)  # fmt: skip
def test_refuses_wrong_settings_by_name(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=field):
        TrainConfig(**{field: value})
