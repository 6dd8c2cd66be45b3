"""Measured speed, by a clock that the test moves; and a training whose budget in seconds became steps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, final

import pytest
import torch
from torch import nn

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.weights import own_tensors
from sightline.data.batches import Cursor
from sightline.training import Loss, OptimConfig, Spent, TrainConfig, TrainResult, energy, planning, train
from sightline.training.energy import EnergyMeter
from sightline.training.pace import Pace
from sightline.training.plan import Speed, StepPlan
from sightline.training.shares import SharedBatches
from sightline.training.state import State, Validate
from sightline.training.step import Stepper
from sightline.training.timing import Rehearsal, measure_speeds, measuring_s, own_clock, untouched
from tests.training import toy

STEP_S, FETCH_S, ORDER_S, VALIDATION_S = 0.01, 0.002, 0.05, 0.5


class Clock:
    """Seconds that only the training's own work moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def slowed(self, seconds: Callable[[], float], function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.now += seconds()
            return function(*arguments)

        return call

    def validator(self, share: float) -> Validate:
        return self.slowed(lambda: share * VALIDATION_S, toy.validate)


class SlowBatches:
    """The toy's batches, each of which takes `FETCH_S` to fetch; the first one also puts the epoch in order."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.batches = clock, toy.batches()
        self.size_key = self.batches.size_key

    def stream(self, cursor: Cursor) -> Iterator[tuple[Any, Cursor]]:
        self.clock.now += ORDER_S
        for item in self.batches.stream(cursor):
            self.clock.now += FETCH_S
            yield item


def rehearsal(clock: Clock, model: nn.Module, step_s: Callable[[], float], **options: Any) -> Rehearsal:
    config = toy.config("60s", validate_every=None)
    objective = clock.slowed(step_s, toy.objective)
    stepper = Stepper(model, objective, config.optim, torch.device("cpu"), "float32")
    timed = Rehearsal(SlowBatches(clock), 0, clock.validator, stepper, clock=clock, **{"threads": 1, **options})
    timed.warm_up(2.0)
    return timed


def test_it_measures_fetching_stepping_and_validating() -> None:
    clock, model = Clock(), toy.Toy()
    with untouched(model):
        speed = measure_speeds({"toy": rehearsal(clock, model, lambda: STEP_S)}, 2.0)["toy"]
    assert speed.step_s == pytest.approx(STEP_S + FETCH_S)
    assert speed.validation_s == pytest.approx(VALIDATION_S)
    assert speed.threads == 1.0
    assert clock.now < 2.0


def test_the_order_of_an_epoch_does_not_count_where_slow_steps_leave_time_for_few_batches() -> None:
    """The median of two fetches was once half of it: trainings were a third too short."""
    clock, model, slow_s = Clock(), toy.Toy(), 1.0
    with untouched(model):
        speed = measure_speeds({"toy": rehearsal(clock, model, lambda: slow_s)}, 2.0)["toy"]
    assert speed.step_s == pytest.approx(slow_s + FETCH_S)


@pytest.mark.slow
def test_a_step_has_its_share_of_the_joules_that_were_counted() -> None:
    """20 W while it works, two trainings at once: a step of 10 ms is 0.2 J, its share 0.1 J."""
    clock, model = Clock(), toy.Toy()
    meter = EnergyMeter([lambda: 20.0 * clock.now], ["made up"])
    with untouched(model):
        timed = {"toy": rehearsal(clock, model, lambda: STEP_S)}
        speed = measure_speeds(timed, 2.0, meter, sharing=2)["toy"]
    assert speed.step_j == pytest.approx(0.1)
    assert speed.watts == pytest.approx(0.1 / (STEP_S + FETCH_S))
    assert clock.now < 5.0


def test_a_training_with_joules_takes_the_steps_that_they_pay_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps = [0]
    update = Stepper.update

    def counted(self: Stepper, lr: float) -> None:
        steps[0] += 1
        update(self, lr)

    monkeypatch.setattr(Stepper, "update", counted)
    monkeypatch.setattr(planning, "budget_meter", lambda device: EnergyMeter([lambda: 0.25 * steps[0]], ["made up"]))
    monkeypatch.setattr(planning, "measuring_s", lambda seconds: 0.05)
    model = toy.Toy()
    how = {"validate": None, "validator": None}
    result = train(model, toy.objective, toy.batches(), toy.config("10J", validate_every=None), tmp_path / "run", **how)
    assert result.plan is not None
    assert result.plan.speed.step_j == pytest.approx(0.25)
    assert result.steps == result.plan.steps
    spent = result.steps * 0.25
    assert 0.5 * 10 <= spent <= 1.1 * 10  # the rest is for checkpoints


def test_a_machine_without_counters_refuses_joules_before_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "powercap")
    with pytest.raises(EnvironmentFault, match=r"--budget: joules cannot be measured here: no energy counters: looked"):
        train(toy.Toy(), toy.objective, toy.batches(), toy.config("10J", validate_every=None), tmp_path / "run")


def test_a_run_that_began_in_seconds_measures_the_joules_that_it_is_resumed_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: Clock
) -> None:
    begun = run(tmp_path / "run", "1s", clock)
    assert begun.plan is not None
    assert begun.plan.speed.step_j is None
    meter = EnergyMeter([lambda: 20.0 * clock.now], ["made up"])  # 20 W
    monkeypatch.setattr(planning, "budget_meter", lambda device: meter)
    more = run(tmp_path / "run", "40J", clock, resume=True)
    assert more.plan is not None
    assert more.plan.speed.watts == pytest.approx(20.0 * STEP_S / (STEP_S + FETCH_S))
    assert more.steps == more.plan.steps > begun.steps
    monkeypatch.setattr(planning, "measure_speeds", lambda *_: pytest.fail("measured twice"))
    assert run(tmp_path / "run", "40J", clock, resume=True).steps == more.steps


PLANNED = StepPlan(60.0, 600, 3, 1.0, Speed(0.1))


@final
class Second:
    """The second process of a team of two on one node: the first reads the data, and answers."""

    alone = first = reads = False

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def from_first(self, action: Any) -> Any:
        return self.answer

    once_per_node = from_first


def replanned(budget: str, team: Any, **changes: Any) -> TrainConfig:
    """The settings of a resumed run in a process without batches."""
    config = toy.config(budget, validate_every=None, **changes)
    nothing: Any = None
    batches = SharedBatches(None, team, 2)
    return planning.in_planned_steps(config, State(plan=PLANNED), batches, None, nothing, nothing, team)


def test_a_process_without_batches_has_the_epochs_from_the_first_one() -> None:
    assert replanned("120s", Second(40), most_epochs=4).budget == "40steps"
    assert replanned("120s", Second(None)).budget == "1200steps"


def test_joules_that_were_not_measured_need_one_process() -> None:
    with pytest.raises(InputError, match="--budget: what a step costs is measured in one process: write 9J as a"):
        replanned("9J", Second(None))


@pytest.mark.slow
def test_trainings_take_turns_so_that_a_load_that_changes_meets_all() -> None:
    """The machine becomes slower during the measurement: two equal trainings still measure about the same."""
    clock, models = Clock(), [toy.Toy(), toy.Toy()]
    slower = {name: rehearsal(clock, m, lambda: 0.01 * (1 + clock.now)) for name, m in zip("ab", models, strict=True)}
    speeds = measure_speeds(slower, 2.0)
    assert speeds["a"].step_s == pytest.approx(speeds["b"].step_s, rel=0.2)
    one, other = (measure_speeds({name: rehearsal(clock, m, lambda: 0.01 * (1 + clock.now))}, 2.0)[name]
                  for name, m in zip("ab", models, strict=True))  # fmt: skip
    assert other.step_s > 1.2 * one.step_s  # one after the other, they would not


def test_a_dear_validation_is_timed_on_a_sample() -> None:
    clock, model = Clock(), toy.Toy()
    shares: list[float] = []

    def validator(share: float) -> Validate:
        shares.append(share)
        return clock.slowed(lambda: 60 * share, toy.validate)

    timed = rehearsal(clock, model, lambda: STEP_S)
    timed._validator = validator
    assert measure_speeds({"": timed}, measuring_s(10.0))[""].validation_s == pytest.approx(60)
    assert max(shares) < 0.1


def test_what_only_the_first_validation_pays_for_does_not_count() -> None:
    """The first validation imports libraries for 2 s; times the 32 of its share, it would be a minute."""
    clock, model, imports = Clock(), toy.Toy(), iter([2.0])

    def validator(share: float) -> Validate:
        return clock.slowed(lambda: share * VALIDATION_S + next(imports, 0.0), toy.validate)

    timed = rehearsal(clock, model, lambda: STEP_S)
    timed._validator = validator
    assert measure_speeds({"": timed}, 2.0)[""].validation_s == pytest.approx(VALIDATION_S)


def test_several_threads_count_as_much_as_they_speed_up_undisturbed_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads are 1.6 times as fast; two thirds of their steps wait for a busy core and take much longer."""
    clock, model, calls, threads = Clock(), toy.Toy(), iter(range(10**6)), [2]
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads[-1])

    def step_s() -> float:
        if threads[-1] == 1:
            return STEP_S
        return STEP_S / 1.6 if next(calls) % 3 == 0 else 5 * STEP_S

    speed = measure_speeds({"": rehearsal(clock, model, step_s, threads=2)}, 2.0)[""]
    assert threads[-1] == 2
    assert speed.threads == pytest.approx(1.6)
    assert speed.step_s == pytest.approx((STEP_S + FETCH_S) / 1.6)


def test_the_time_of_others_does_not_count_on_the_cpu() -> None:
    clock = own_clock(torch.device("cpu"))
    began, wall = clock(), time.perf_counter()
    time.sleep(0.2)
    waited = time.perf_counter() - wall
    assert clock() - began < 0.5 * waited
    while time.thread_time() < began + 0.05:
        pass
    assert clock() - began >= 0.05


def test_timing_leaves_no_trace() -> None:
    model = toy.Toy()
    model.eval()
    before = {name: tensor.clone() for name, tensor in own_tensors(model).items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    clock = Clock()
    with untouched(model):
        measure_speeds({"": rehearsal(clock, model, lambda: STEP_S)}, 1.0)
        with torch.no_grad():
            model.norm.bias.fill_(7.0)  # as a step with a rate would
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in own_tensors(model).items())
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("sightline.training.timing.own_clock", lambda _: clock)
    return clock


def run(place: Path, budget: str, clock: Clock, **options: Any) -> TrainResult:
    config = toy.config(budget, validate_every=None, log_every=1, checkpoint_every_s=1e9)
    objective = options.pop("objective", toy.objective)
    return train(
        options.pop("model", None) or toy.Toy(),
        clock.slowed(lambda: STEP_S, objective),
        SlowBatches(clock),
        config,
        place,
        validator=clock.validator,
        files=lambda settled: {"config.yaml": f"{settled.budget} {settled.validations} {settled.validation_share}"},
        **options,
    )


def losses(result: TrainResult) -> list[tuple[int, float]]:
    return [(record["steps"], record["loss"]) for record in result.history if record["event"] in ("train", "valid")]


@pytest.mark.slow
def test_a_budget_in_seconds_is_the_run_of_its_steps(tmp_path: Path, clock: Clock) -> None:
    """The law of planning: same losses and weights, bit for bit, as the run that is given the number of steps."""
    planned, given = toy.Toy(), toy.Toy()
    in_seconds = run(tmp_path / "seconds", "4s", clock, model=planned)
    assert in_seconds.plan is not None
    steps, validations = in_seconds.plan.steps, in_seconds.plan.validations
    assert (steps, validations, in_seconds.plan.validation_share) == (280, 3, pytest.approx(0.39, abs=0.02))
    settled = (tmp_path / "seconds" / "config.yaml").read_text()
    assert settled == f"{steps}steps 3 {in_seconds.plan.validation_share}"
    config = toy.config(f"{steps}steps", validate_every=None, log_every=1, validations=3)
    in_steps = train(given, toy.objective, toy.batches(), config, tmp_path / "steps", validate=toy.validate)
    assert losses(in_seconds) == losses(in_steps)
    assert all(map(torch.equal, planned.parameters(), given.parameters()))


@pytest.mark.slow
def test_a_resumed_run_ends_at_the_step_that_was_planned_first(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough(Exception):
        pass

    log = tmp_path / "parted" / "metrics.jsonl"

    def objective(*arguments: Any) -> Loss:
        if log.exists() and b'"valid"' in log.read_bytes():
            raise Enough
        return toy.objective(*arguments)

    whole, parted = toy.Toy(), toy.Toy()
    expected = run(tmp_path / "whole", "4s", clock, model=whole)
    with pytest.raises(Enough):
        run(tmp_path / "parted", "4s", clock, objective=objective)
    monkeypatch.setattr("sightline.training.planning.measure_speeds", lambda *_: pytest.fail("measured twice"))
    result = run(tmp_path / "parted", "4s", clock, model=parted, resume=True)
    assert result.steps == expected.steps
    assert all(map(torch.equal, whole.parameters(), parted.parameters()))
    more = run(tmp_path / "parted", "8s", clock, resume=True)  # twice the seconds at the speed that was measured first
    assert more.steps == pytest.approx(2 * expected.steps, rel=0.1)


@pytest.mark.slow
def test_a_budget_in_seconds_pays_for_at_most_so_many_epochs(tmp_path: Path) -> None:
    config = toy.config("60s", validate_every=None, most_epochs=2, log_every=1)
    result = train(toy.Toy(), toy.objective, toy.batches(), config, tmp_path / "run", validate=toy.validate)
    assert (result.status, result.steps, result.epochs) == ("completed", 2 * len(toy.batches()), 2)
    rates = [record["lr"] for record in result.history if record["event"] == "train"]
    assert rates[-1] < 0.1 * max(rates)  # the schedule ends with them


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [None, 2])
def test_epochs_need_batches_that_can_be_counted(tmp_path: Path, clock: Clock, pieces: int | None) -> None:
    config = toy.config("60s", most_epochs=2, pieces=pieces)
    with pytest.raises(InputError, match="most_epochs: requires batches that have a length"):
        train(toy.Toy(), toy.objective, SlowBatches(clock), config, tmp_path / "run", validate=toy.validate)


def test_a_budget_by_the_clock_plans_nothing(tmp_path: Path) -> None:
    config = toy.config("0.05s-wall", validate_every=None)
    result = train(toy.Toy(), toy.objective, toy.batches(), config, tmp_path / "run", validate=toy.validate)
    assert result.plan is None
    assert result.steps >= 1


@pytest.mark.slow
def test_the_plan_is_in_the_checkpoint_in_plain_json(tmp_path: Path, clock: Clock) -> None:
    result = run(tmp_path / "run", "2s", clock)
    assert result.plan is not None
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*"))
    kept = json.loads((newest / "state.json").read_text())["state"]["plan"]
    assert StepPlan(**{**kept, "speed": Speed(**kept["speed"])}) == result.plan


@pytest.mark.parametrize("budget", ["1000tok", "3e6flop"])
def test_warm_up_as_a_share_reaches_the_peak_at_that_share_of_any_budget(budget: str) -> None:
    pace = Pace(TrainConfig(budget=budget, optim=OptimConfig(warmup=0.1)))
    state, unit, total = State(), pace.budget.unit, pace.budget.amount
    rates = []
    for step in range(100):
        state.spent = Spent(steps=step, **{unit: int(step * total / 100)})
        rates.append(pace.learning_rate(state))
    peak = pace.config.optim.lr
    assert max(rates) == pytest.approx(peak, rel=0.01)
    assert rates.index(max(rates)) in (9, 10, 11)
    assert rates[5] == pytest.approx(0.6 * peak, rel=0.01)
