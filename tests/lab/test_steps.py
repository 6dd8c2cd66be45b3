"""Steps of a comparison: from measured speeds, or from an earlier comparison, whose differences are named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sightline.core.errors import EnvironmentFault, InputError
from sightline.lab.jobs import Failure, Job, Timed, put_job
from sightline.lab.plan import CompareConfig, divide
from sightline.lab.progress import Display
from sightline.lab.results import Architecture, BudgetPlan, Data, Rate, Results, Run
from sightline.lab.search import Search, SearchCandidate
from sightline.lab.session import Session
from sightline.lab.steps import check_planned, measured_steps, steps_like
from sightline.report.longer import lengths
from sightline.report.spent import training_each
from sightline.training.plan import Speed
from tests.lab.test_compare import _prepared
from tests.lab.test_deaths import Mortal, Mortals

CONFIG = CompareConfig(archs=("gru", "lstm"), budget="60s", seeds=2, search=0.2, rates=3)
BATCHES = {"gru": "batch_tokens 2000", "lstm": "batch_tokens 2000"}
OLD = Path("old/results.json")


def timed(gru_s: float, lstm_s: float) -> Timed:
    return Timed({"gru": Speed(gru_s), "lstm": Speed(lstm_s)}, BATCHES)


def earlier(config: CompareConfig = CONFIG) -> Results:
    plan = divide(config, 60.0, "seconds")
    steps = measured_steps(config, plan, [timed(0.01, 0.02)])
    data = Data("pairs.tsv", "12ab" * 16, train=10, valid=2, test=4, tested=4)
    architectures = [Architecture(arch, {}) for arch in config.archs]
    return Results("", {}, data, replace(plan, steps=steps), "", architectures, [])


def test_every_architecture_has_the_steps_that_its_seconds_pay_for() -> None:
    gru, lstm = earlier().budget.steps
    assert (gru.arch, gru.batch, gru.run.steps) == ("gru", "batch_tokens 2000", 4800)  # 48 s of 10 ms
    assert (lstm.arch, lstm.run.steps) == ("lstm", 2400)
    assert gru.trial is not None
    assert gru.trial.steps == 600  # 2 runs · 12 s over 3 candidates and one beyond the edge
    assert gru.trial.validations == 2


def test_validations_are_as_many_as_are_asked_for() -> None:
    plan = divide(CONFIG, 60.0, "seconds")
    steps = measured_steps(CONFIG, plan, [timed(0.01, 0.02)], validations=4, validation_share=0.5)
    assert {(one.run.validations, one.run.validation_share) for one in steps} == {(4, 0.5)}
    assert {one.trial.validations for one in steps if one.trial} == {2}


def test_joules_pay_for_steps_by_what_each_step_uses() -> None:
    """The same architecture with a step of 10 ms: at 20 W, 480 J are 24 s; at 5 W they are 96 s."""
    config = replace(CONFIG, budget="600J")
    plan = divide(config, 600.0, "joules")
    assert plan.final_each == "480J"
    speeds = {"gru": Speed(0.01, step_j=0.2), "lstm": Speed(0.01, step_j=0.05)}
    gru, lstm = measured_steps(config, plan, [Timed(speeds, BATCHES)])
    assert (gru.run.steps, lstm.run.steps) == (2400, 9600)
    assert (gru.run.seconds, lstm.run.seconds) == (24.0, 96.0)
    assert gru.trial is not None
    assert gru.trial.steps == 300  # 60 J
    assert "2,400 steps of 10 ms and 0.2 J for 24 s" in str(gru.run)


@pytest.mark.parametrize("joules", [None, 0.0])
def test_counters_that_do_not_move_buy_no_steps(joules: float | None) -> None:
    speeds = {arch: Speed(0.01, step_j=joules) for arch in CONFIG.archs}
    with pytest.raises(EnvironmentFault, match="--budget: the energy counters did not move while steps were measured"):
        measured_steps(CONFIG, divide(CONFIG, 600.0, "joules"), [Timed(speeds, BATCHES)])


def test_small_data_ends_at_its_epochs() -> None:
    limited = replace(timed(0.01, 0.02), most_steps={"gru": 3000, "lstm": 3000})
    gru, lstm = measured_steps(CONFIG, divide(CONFIG, 60.0, "seconds"), [limited])
    assert (gru.run.steps, lstm.run.steps) == (3000, 2400)


def test_a_speed_is_the_median_of_the_workers() -> None:
    plan = divide(CONFIG, 60.0, "seconds")
    workers = [timed(0.01, 0.02), timed(0.01, 0.02), timed(0.5, 0.5)]  # one was disturbed
    assert measured_steps(CONFIG, plan, workers) == measured_steps(CONFIG, plan, workers[:1])


def test_an_architecture_that_could_not_be_measured_has_no_steps() -> None:
    broken = Timed({"gru": Speed(0.01)}, BATCHES, {"lstm": Failure("failed", "step 1: out of memory", 3)})
    steps = measured_steps(CONFIG, divide(CONFIG, 60.0, "seconds"), [broken, timed(0.01, 0.02)])
    assert [planned.arch for planned in steps] == ["gru"]


def test_the_steps_of_the_same_comparison_are_taken() -> None:
    old = earlier()
    check_planned(old, CONFIG, where=OLD)
    check_planned(old, replace(CONFIG, archs=("lstm", "gru"), seeds=5, seed=7), where=OLD)  # more runs of the same
    assert steps_like(old, old.data.sha256, BATCHES, CONFIG.archs, where=OLD) == old.budget.steps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"archs": ("gru",)}, "old/results.json: compared gru, lstm, this comparison gru"),
        ({"archs": ("gru", "rnn")}, "compared gru, lstm, this comparison gru, rnn"),
        ({"search": 0.0}, "had --search 0.2 and 3 rates, this comparison --search 0 and 0"),
        ({"rates": 5}, "had --search 0.2 and 3 rates, this comparison --search 0.2 and 5"),
        ({"settings": {"validations": "3"}}, "had no --validations, this comparison --validations 3"),
        ({"settings": {"validation_share": 0.5}}, "had no --validation-share, this comparison --validation-share 0.5"),
    ],
)
def test_another_comparison_is_refused_with_the_difference(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_planned(earlier(), replace(CONFIG, **changes), where=OLD)
    assert message in str(caught.value)


def test_validations_are_those_of_the_plan_or_as_many() -> None:
    """Text of the command line is the number that Python gives."""
    old = replace(earlier(), settings={"settings": {"validations": 4}})
    for settings in ({}, {"validations": "4"}, {"validations": 4}):
        check_planned(old, replace(CONFIG, settings=settings), where=OLD)
    with pytest.raises(InputError, match="had --validations 4, this comparison --validations 3"):
        check_planned(old, replace(CONFIG, settings={"validations": 3}), where=OLD)


def test_other_data_and_other_batches_are_refused() -> None:
    old = earlier()
    with pytest.raises(
        InputError, match=r"old/results.json: is of other data \(sha256 12ab12ab12ab… there, 34cd34cd34cd… here\)"
    ):
        steps_like(old, "34cd" * 16, BATCHES, CONFIG.archs, where=OLD)
    with pytest.raises(InputError, match="lstm had batch_tokens 2000, here batch_tokens 500"):
        steps_like(old, old.data.sha256, {**BATCHES, "lstm": "batch_tokens 500"}, CONFIG.archs, where=OLD)
    sized = {f"{arch}.5000": batch for arch, batch in BATCHES.items()}
    with pytest.raises(InputError, match=r"old/results\.json: gru had one size, here several are tried"):
        steps_like(old, old.data.sha256, sized, CONFIG.archs, where=OLD)


def test_most_epochs_must_be_what_it_was_where_it_is_set() -> None:
    """Otherwise the steps of the earlier comparison would be taken whatever it says."""
    old = earlier()
    steps = [replace(one, run=replace(one.run, most_steps=4800)) for one in old.budget.steps]
    bounded = replace(old, budget=replace(old.budget, steps=steps))

    def taken(results: Results, limit: int | None) -> object:
        limits = dict.fromkeys(BATCHES, limit)
        return steps_like(results, old.data.sha256, BATCHES, CONFIG.archs, where=OLD, most_steps=limits)

    assert taken(bounded, 4800) == steps
    with pytest.raises(InputError, match=r"gru had at most 4,800 steps \(most_epochs\), here at most 500 steps"):
        taken(bounded, 500)
    with pytest.raises(InputError, match=r"gru had any number \(most_epochs\), here at most 500 steps"):
        taken(old, 500)
    assert steps_like(bounded, old.data.sha256, BATCHES, CONFIG.archs, where=OLD) == steps


def test_a_budget_that_is_not_in_seconds_has_no_steps_to_take() -> None:
    old = earlier()
    plain = replace(old, budget=divide(CONFIG, 500.0, "steps"))
    with pytest.raises(
        InputError, match=r"its budget, 500steps, is not in seconds or joules: it has no steps to reuse"
    ):
        check_planned(plain, CONFIG, where=OLD)


class Measured(Mortal):
    """A job that has measured the batches of its architectures, and nothing else."""

    def result(self, kind: type[Any]) -> Any:
        return Timed({}, dict.fromkeys(self.job.config.archs, "batch_tokens 2000"))


class Measuring(Mortals):
    """Measures batches at once, and trains as `Mortals` do."""

    def start(self, job: Job, threads: int) -> None:
        if job.kind != "time":
            super().start(job, threads)
            return
        put_job(job)
        self.active.append(Measured(job, died=False))


def started(session: Session) -> list[Job]:
    """The trials and runs that were started."""
    assert isinstance(session.executor, Measuring)
    return session.executor.started


def settled(
    tmp_path: Path,
    config: CompareConfig,
    old: Results,
    plan: BudgetPlan | None = None,
    sizes: dict[str, list[int]] | None = None,
) -> Session:
    """A comparison that has taken the steps of an earlier one."""
    plan = plan or divide(config, 60.0, "seconds")
    session = Session(config, tmp_path, Display(quiet=True), plan=plan, executor=Measuring(dict.fromkeys(range(5), 0)))
    session.search = Search(config, {arch: own[0] for arch, own in (sizes or {}).items()}, sizes or {})
    session.settle_steps(_prepared(data=old.data), old, OLD)
    return session


def test_with_the_steps_of_an_earlier_comparison_every_length_is_one_that_is_trained(tmp_path: Path) -> None:
    """By hand: 2 seeds search with 2 · 12 s, a quarter each; of 5 seeds it would be 5 · 12 s, 15 s each."""
    old = earlier()
    config = replace(CONFIG, seeds=5)
    assert (old.budget.search_each, divide(config, 60.0, "seconds").search_each) == ("6s", "15s")
    session = settled(tmp_path, config, old)
    plan = session.plan
    assert plan.steps == old.budget.steps
    assert session._trial("gru", SearchCandidate(None, 1.0)).budget == "600steps"  # 6 s of 10 ms
    assert (plan.search_each, plan.final_each, len(plan.seeds)) == ("6s", "48s", 5)
    assert "15s" not in plan.explained
    assert "the steps of an earlier comparison with 60s for each run" in plan.explained
    assert "6s each, " in plan.explained
    assert "for 5 seeds of each architecture, have 48s each" in plan.explained
    rates = [Rate(1e-3, 0.5, "done")] * 4  # 4 · 6 s for 5 runs
    results = replace(old, budget=plan, architectures=[Architecture("gru", {}, rates=rates)])
    assert training_each(results) == "48 s of training each after 4.8 s of search"
    assert lengths(results) == ("6 s", "48 s", "144 s")


def test_with_as_many_seeds_the_plan_is_that_of_the_earlier_comparison(tmp_path: Path) -> None:
    old = earlier()
    assert settled(tmp_path, CONFIG, old).plan == old.budget


def test_an_architecture_that_joins_has_the_steps_of_the_earlier_comparison(tmp_path: Path) -> None:
    """The others of it have theirs already and are not measured again."""
    old = earlier()
    begun = replace(old.budget, steps=old.budget.steps[:1])
    session = settled(tmp_path, CONFIG, old, begun)
    assert session.plan == old.budget
    assert session.measured == ["gru", "lstm"]


def unmeasurable(old: Results) -> Results:
    """The same comparison, of which the LSTM could not be measured."""
    runs = [Run("gru", 0, "done"), Run("lstm", 0, "failed", error="step 1: out of memory")]
    return replace(old, budget=replace(old.budget, steps=old.budget.steps[:1]), runs=runs)


def test_an_architecture_that_could_not_be_measured_fails_again_with_the_plan_of_its_comparison(tmp_path: Path) -> None:
    old = unmeasurable(earlier())
    check_planned(old, CONFIG, where=OLD)
    session = settled(tmp_path, CONFIG, old)
    session.train(_prepared(data=old.data))
    assert session.measured == ["gru"]
    assert [planned.arch for planned in session.plan.steps] == ["gru"]
    failed = [(outcome.job.arch, outcome.job.seed) for outcome in session.outcomes if outcome.failure is not None]
    assert failed == [("lstm", 0), ("lstm", 1)]
    assert session.outcomes[0].failure == Failure(
        "failed", "old/results.json has no steps of it: step 1: out of memory", 2
    )
    with pytest.raises(InputError, match=r"old/results\.json: no architecture could be measured: it has no steps"):
        check_planned(replace(old, budget=replace(old.budget, steps=[])), CONFIG, where=OLD)


@pytest.mark.parametrize("continued", [False, True])
def test_a_size_without_steps_has_no_trial(tmp_path: Path, continued: bool) -> None:
    """It would be as long as the clock says, in another number of steps each time."""
    config = replace(CONFIG, archs=("gru",), sizes=2)
    plan = divide(config, 60.0, "seconds")
    old = earlier(replace(config, archs=("gru", "lstm")))
    steps = [replace(old.budget.steps[0], parameters=5000)]
    old = replace(old, budget=replace(plan, steps=steps), architectures=old.architectures[:1])
    session = settled(tmp_path, config, old, old.budget if continued else plan, {"gru": [5000, 20_000]})
    assert session.measured == ["gru"]
    session.train(_prepared(data=old.data, presets={"gru": 5000}))
    ended = {outcome.job.parameters: outcome.failure for outcome in session.search.trials["gru"]}
    assert ended[5000] is None
    assert ended[20_000] is not None
    assert {job.parameters for job in started(session)} == {5000}
    assert {job.budget for job in started(session) if job.kind == "run"} == {"4800steps"}


def test_a_comparison_that_continues_takes_no_trials_of_another_length(tmp_path: Path) -> None:
    old = earlier()
    config = replace(CONFIG, seeds=5)
    begun = replace(divide(config, 60.0, "seconds"), steps=old.budget.steps[:1])
    message = r"old/results.json: its trials and runs have 6s and 48s, those of the .* continues 15s and 48s: leave out"
    with pytest.raises(InputError, match=message):
        settled(tmp_path, config, old, begun)
    assert settled(tmp_path, CONFIG, old, replace(old.budget, steps=begun.steps)).plan == old.budget
