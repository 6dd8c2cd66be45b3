"""C10: a GRU does about as well as an LSTM with fewer parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from sightline.lab.claims.claim import Effort
from sightline.lab.claims.contests import Contest, accuracy_task, contest, likelihood_task, paired, standing
from sightline.lab.claims.fitting import NextToken, Recipe
from sightline.lab.claims.numbers import in_words, placed
from sightline.lab.claims.planted import FIRST, date_text, translation
from sightline.lab.claims.results import ClaimNumber, ClaimOutcome, ClaimResult
from sightline.models.match import count_parameters, match_parameters
from sightline.models.recurrent import RecurrentConfig
from sightline.models.recurrent_language_model import RecurrentLanguageModelConfig


class CellSizes(NamedTuple):
    """How much is trained and tested."""

    width: int
    steps: int
    seeds: int
    longest: int


FULL, QUICK = CellSizes(64, 600, 5, 8), CellSizes(48, 300, 2, 6)
LSTM, WIDE, SIZED = "LSTM", "GRU of its width", "GRU of its parameters"


def gru_and_lstm(effort: Effort) -> ClaimResult:
    """Paired differences of GRU and LSTM, at equal width, where a GRU has fewer parameters, and at equal parameters.

    Two tasks: the next character of dates as people write them in four languages (`builtin:dates`, nats per
    character), and the made translation of C7 by an encoder-decoder without attention, whose state must contain the
    sentence (accuracy). All models are trained alike, with the same examples for the same seed.

    Rule: a GRU does about as well on a task if it is practically the same as the LSTM of its width, by two one-sided
    tests against the margin of the metric (1 % of the loss, 1 point of accuracy), or better. A task counts if the best
    model learned it (a loss below 0.7 of that of the characters' frequencies, an accuracy of 0.5). The claim holds if a
    GRU does so on every task that counts. It does not hold if it is worse on every one of them. Otherwise it depends:
    on the task, or not decided by so few runs.
    """
    width, steps, seeds, longest = effort.choose(FULL, QUICK)
    seeds = effort.some_seeds(seeds)
    text, characters = date_text()
    symbols = FIRST + 16
    language = {cell: RecurrentLanguageModelConfig(cell, width, layers=1, dropout=0.0) for cell in ("lstm", "gru")}
    pairs = {cell: RecurrentConfig(cell, width, dropout=0.0) for cell in ("lstm", "gru")}
    parameters, entrants = [], []
    for configs, sizes in ((language, (characters,)), (pairs, (symbols, symbols))):
        count = count_parameters(configs["lstm"], *sizes)
        chosen = {
            LSTM: configs["lstm"],
            WIDE: configs["gru"],
            SIZED: match_parameters(configs["gru"], count, *sizes, grain=1),
        }
        parameters.append({name: count_parameters(config, *sizes) for name, config in chosen.items()})
        entrants.append({name: _builder(config, sizes) for name, config in chosen.items()})
    tasks = [
        likelihood_task("next character of dates", text),
        accuracy_task("translation without attention", translation(longest)),
    ]
    recipe = Recipe(steps)
    contests = [contest(task, each, recipe, seeds, effort.say) for task, each in zip(tasks, entrants)]
    numbers = [number for one in contests for number in one.numbers() + one.differences(LSTM)]
    for task, counts in zip(tasks, parameters):
        numbers += [ClaimNumber(f"{task.name}: parameters, {name}", float(count)) for name, count in counts.items()]
    return ClaimResult(
        *placed(judge, contests),
        numbers=numbers,
        charts=[one.chart() for one in contests],
        conditions=(
            f"one layer, width {width} for LSTM; {steps} steps of {recipe.batch}; {len(seeds)} seeds; "
            f"{effort.conditions()}"
        ),
        limits="Two small tasks, short trainings at one learning rate; no large corpus.",
    )


def _builder(config: RecurrentLanguageModelConfig | RecurrentConfig, sizes: tuple[int, ...]):
    def build() -> nn.Module:
        if isinstance(config, RecurrentLanguageModelConfig):
            return NextToken(config.build(*sizes))
        return config.build(*sizes)

    return build


def judge(contests: Sequence[Contest]) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `gru_and_lstm`, and what was measured in words."""
    standings, parts = [], []
    for one in contests:
        if not one.learned:
            parts.append(f"{one.task} was not learned and does not count")
            continue
        pairs = one.pairs(LSTM)
        standings.append(standing(pairs[WIDE], WIDE))
        wide, sized = (paired(one, pairs[name], name) for name in (WIDE, SIZED))
        parts.append(
            f"{one.task}: GRU less LSTM {in_words(wide, 3)}{wide.unit and ' ' + wide.unit} at equal width "
            f"({standings[-1]}), "
            f"{in_words(sized, 3)} at equal parameters ({standing(pairs[SIZED], SIZED)})"
        )
    summary = "; ".join(parts) + "."
    if not standings:
        return "depends", f"Not decided: {summary}"
    if all(each in ("better", "practically the same") for each in standings):
        return "holds", f"With a quarter fewer recurrent weights a GRU did as well: {summary}"
    if all(each == "worse" for each in standings):
        return "does not hold", f"The GRU did worse: {summary}"
    reason = "not decided by so few runs" if "not decided" in standings else "depends on the task"
    return "depends", f"{reason[0].upper()}{reason[1:]}: {summary}"
