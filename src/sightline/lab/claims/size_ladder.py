"""C18: the loss of a Transformer and of an LSTM over a ladder of sizes."""

from __future__ import annotations

from typing import NamedTuple

from sightline.lab.claims.claim import Effort
from sightline.lab.claims.numbers import curve_through, estimated, in_words, placed
from sightline.lab.claims.results import ClaimChart, ClaimNumber, ClaimOutcome, ClaimResult
from sightline.lab.plan import CompareConfig
from sightline.lab.progress import Display
from sightline.lab.scaling import ScaleConfig, scale
from sightline.lab.scaling_results import ScaleResults

ATTENTION, RECURRENCE = "transformer", "lstm"


class LadderSizes(NamedTuple):
    """Tokens of each run, models from `smallest` parameters on, each twice as large, and seeds; `limit`: documents."""

    tokens: int
    smallest: int
    sizes: int
    held_out: int
    seeds: int
    limit: int | None


FULL = LadderSizes(300_000, 50_000, 5, 1, 2, None)
QUICK = LadderSizes(40_000, 50_000, 3, 0, 2, 60)


def size_ladder(effort: Effort) -> ClaimResult:
    """C18: L(N) = A·N^(−α) (Kaplan et al. 2020, eq. 1.1) of both architectures at equal tokens; see `lab.scaling`.

    Language models of the source code of Python's standard library (`builtin:stdlib`), all sizes at the same number of
    tokens.

    Rule: by the pair of exponents along parameters, whose difference has an interval over seeds and test items. The
    claim holds if the Transformer's loss falls faster with size: the interval of the difference lies above 0 and they
    are not practically the same (a model ten times as large gains less than 1 % of the loss from the difference). It
    does not hold if they are practically the same, or the LSTM's falls faster. Otherwise it depends: not decided.
    """
    sizes = effort.choose(FULL, QUICK)
    comparison = CompareConfig(
        task="language",
        data="builtin:stdlib",
        archs=(RECURRENCE, ATTENTION),
        budget=f"{sizes.tokens}tok",
        seeds=len(effort.some_seeds(sizes.seeds)),
        seed=effort.seed,
        search=0.0 if effort.quick else 0.2,
        device=effort.devices[-1],
        settings={"tokenizer.kind": "byte"} | ({} if sizes.limit is None else {"limit": sizes.limit}),
    )
    config = ScaleConfig(comparison, smallest=sizes.smallest, sizes=sizes.sizes, held_out=sizes.held_out)
    display = Display(quiet=True)
    results = scale(config, effort.directory / "sizes", overwrite=True, display=display, say=effort.say)
    return ClaimResult(
        *placed(judge, results),
        numbers=_numbers(results),
        charts=[_chart(results)],
        conditions=f"source code, {config.targets[0]:,} to {config.targets[-1]:,} parameters, {sizes.tokens:,} tokens "
        f"for each run, {comparison.seeds} seeds; {effort.conditions()}",
        limits="A small range of sizes, and far fewer tokens than such studies use; equal tokens, not equal time.",
    )


def judge(results: ScaleResults) -> tuple[ClaimOutcome, str]:
    """The outcome by the rule of `size_ladder`, and what was measured in words."""
    pair = results.pair(ATTENTION, RECURRENCE)
    if pair is None:
        return "depends", "Not decided: one of the two has no law of its loss."
    laws = {arch: results.law(arch) for arch in (ATTENTION, RECURRENCE)}
    exponents = ", ".join(
        f"{arch} {in_words(estimated(_exponent_name(arch), law.law.exponent), 3)}"
        for arch, law in laws.items()
        if law is not None and law.law is not None
    )
    pair_name = f"{pair.first} less {pair.second}"
    text = (
        f"Exponents of the loss along parameters: {exponents}; {pair_name} "
        f"{in_words(estimated(_exponent_name(pair_name), pair.difference), 3)}."
    )
    if pair.outcome == "falls faster":
        return ("holds" if pair.first == ATTENTION else "does not hold"), text
    if pair.outcome == "practically the same":
        return "does not hold", f"Practically the same. {text}"
    return "depends", f"Not decided. {text}"


def _exponent_name(of: str) -> str:
    return f"{of}: exponent"


def _numbers(results: ScaleResults) -> list[ClaimNumber]:
    numbers = []
    for arch in results.archs:
        law = results.law(arch)
        for what, estimate in (
            ("exponent", None if law is None or law.law is None else law.law.exponent),
            ("exponent of the larger half less that of the smaller", None if law is None else law.bend),
        ):
            if estimate is not None:
                numbers.append(estimated(f"{arch}: {what}", estimate, n=len(results.seeds)))
    if (pair := results.pair(ATTENTION, RECURRENCE)) is not None:
        numbers.append(estimated(_exponent_name(f"{pair.first} less {pair.second}"), pair.difference))
    return numbers + [
        estimated(f"{check.arch}: error of the prediction at {check.parameters:,} parameters", check.error)
        for check in results.held_out
    ]


def _chart(results: ScaleResults) -> ClaimChart:
    curves = []
    for arch in results.archs:
        losses = {p.parameters: p.loss for p in results.points if p.arch == arch and p.loss is not None}
        curves.append(curve_through(arch, [estimated("", loss) for loss in losses.values()], list(losses)))
    unit = results.data.loss_unit
    return ClaimChart(
        "Test loss by size", "parameters", f"{results.metric} ({unit})" if unit else results.metric, curves,
        log_x=True, log_y=True,
    )  # fmt: skip
