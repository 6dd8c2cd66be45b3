"""C3: the time of a Transformer beside that of an LSTM with as many parameters, by length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sightline.core.digits import number_of
from sightline.core.sourced import sourced
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import initialised
from sightline.lab.claims.numbers import in_words, of_number, placed
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.claims.times import (
    DEVICES,
    TimedCall,
    crossover_numbers,
    crossover_words,
    lower_end,
    on,
    paired_ratio,
    time_curve,
    upper_end,
    without_gpu,
)
from sightline.lab.crossover import check_crossover, measured_ratio, predict
from sightline.lab.growth import Timing, measure_costs
from sightline.lab.mechanism import BuiltModule, Mechanism
from sightline.lab.panel_results import Crossover, Phase, PhaseCost
from sightline.models import LANGUAGE_MODELS, match_parameters

TOKENS = 64  # of the embeddings, which are not measured
HEADLINE = 512
FRACTION = 0.5
BATCHES = (1, 16)
PHASES: dict[Phase, str] = {"forward": "a forward pass", "training": "a training step"}

Headline = tuple[Phase, int, str]  # phase, batch, device


def transformer_and_lstm(effort: Effort) -> ClaimResult:
    """C3: the time of a Transformer over that of an LSTM at 512 positions and equal parameters.

    Rule: a fraction is at most half. The claim holds if the Transformer's time is at most half of the LSTM's (the upper
    end of the interval) for a forward pass and for a training step, with one row and with 16, on every device that was
    measured. It does not hold if it is more than half in all of them (the lower end). Otherwise it depends, on the
    phase, the number of rows or the device.
    """
    parameters = effort.choose(1_000_000, 300_000)
    lengths = effort.choose((64, 128, 256, 512, 1024, 2048, 4096, 8192), (64, 128, 256, 512, 1024))
    models = {name: layers_of(name, parameters, effort.seed) for name in ("transformer", "lstm")}
    ratios: dict[Headline, ClaimNumber] = {}
    costs: dict[str, list[PhaseCost]] = {}
    crossings: list[tuple[str, Crossover]] = []
    for device in effort.devices:
        timing = Timing(effort.choose(11, 7), longest_s=effort.choose(3.0, 0.5), device=device)
        for batch in BATCHES:
            for phase in PHASES:
                effort.say(f"C3: {phase} of {number_of(batch, 'row')} on {DEVICES[device]}")
                ours, theirs = (TimedCall(model, phase, HEADLINE) for model in models.values())
                name = f"Transformer / LSTM at {HEADLINE}, {phase}, {batch} row{'s' if batch > 1 else ''}{on(device)}"
                ratios[phase, batch, device] = paired_ratio(name, ours, theirs, replace(timing, batch=batch))
        costs[device] = measure_costs(list(models.values()), lengths, timing, list(PHASES), effort.say)
        for prediction in predict(costs[device]):
            effort.say(f"C3: check of the crossover at {prediction.length:.0f}")
            crossings.append((device, check_crossover(prediction, models, measured_ratio(timing))))
    outcome, text = placed(judge, ratios)
    if crossings:
        text += f" Crossover: {'; '.join(placed(crossover_words, one, device) for device, one in crossings)}."
    return ClaimResult(
        outcome,
        text,
        numbers=[*ratios.values(), *(number for d, one in crossings for number in crossover_numbers(one, d))],
        charts=[
            ClaimChart(
                f"Time of {words}, one row",
                "positions n",
                "milliseconds",
                [time_curve(f"{c.name}{on(d)}", c) for d, each in costs.items() for c in each if c.phase == phase],
                log_x=True,
                log_y=True,
            )
            for phase, words in PHASES.items()
        ],
        conditions=f"two layers each, about {parameters:,} parameters without embeddings and head "
        f"({', '.join(f'{m.name} {m.d_model} wide' for m in models.values())}), float32, no dropout; "
        f"{effort.conditions()}",
        limits=without_gpu(
            effort,
            "One size of model; larger models and more rows use a wide device better. Times of whole batches "
            "without padding.",
        ),
    )


def layers_of(name: str, parameters: int, seed: int) -> Mechanism:
    """The layers of a language model with about this many parameters; each build is a copy."""
    config = match_parameters(replace(LANGUAGE_MODELS[name], dropout=0.0), parameters, TOKENS)
    with initialised(seed):
        return Mechanism(name, BuiltModule(config.build(TOKENS).mixer), config.d_model)


def judge(ratios: Mapping[Headline, ClaimNumber]) -> tuple[ClaimOutcome, str]:
    """The outcome, and what was measured in words."""
    small = {key: upper_end(one) <= FRACTION for key, one in ratios.items()}
    large = {key: lower_end(one) > FRACTION for key, one in ratios.items()}
    parts = [
        f"{PHASES[phase]} of {of_number(one.name, str(batch), 'name')} row{'s' if batch > 1 else ''} on "
        f"{DEVICES[device]} {in_words(one)}"
        for (phase, batch, device), one in ratios.items()
    ]
    positions = of_number(next(iter(ratios.values())).name, str(HEADLINE), "name")
    text = f"At {positions} positions and equal parameters the Transformer takes, as a share of the LSTM's time: "
    text += "; ".join(parts) + "."
    if all(small.values()):
        return "holds", text
    if all(large.values()):
        return "does not hold", text
    within = [part for part, is_small in zip(parts, small.values(), strict=True) if is_small]
    few = sourced(str(len(within)), *(("numbers", one.name) for one in ratios.values()), how="derived")
    all_of = sourced(str(len(parts)), *(("numbers", one.name) for one in ratios.values()), how="count")
    return "depends", f"{text} It is a fraction, at most half, in {few} of {all_of} of these."
