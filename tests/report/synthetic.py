"""Results as a comparison leaves them, made up, with every foreign text passed through a function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sightline.core.metrics import Baseline
from sightline.lab.details import Confusion, Curve, Details, ReliabilityBin
from sightline.lab.map_results import ArchitectureMaps, AttentionExample, AttentionMap
from sightline.lab.results import Architecture, BudgetPlan, Data, Estimate, Example, LengthBin, Pair, Rate, Results, Run

LEVELS = {"rnn": 0.021, "lstm": 0.093, "gru": 0.118, "bahdanau": 0.996, "transformer": 0.964}
SOURCES = [
    ("vendredi 3 mars 2017", "2017-03-03"),
    ("٢٠ نوفمبر ٢٠٢٦", "2026-11-20"),
    ("平成15年7月21日(月)", "2003-07-21"),
    ("Dienstag, 12. Mai 1987", "1987-05-12"),
    ("יום שלישי, 4 ביוני 1974", "1974-06-04"),
    ("sábado, 9 de enero de 1999", "1999-01-09"),
]


def make_results(foreign: Callable[[str], str] = lambda text: text) -> Results:
    """Five architectures with two seeds; one run of the rnn diverged."""
    generator = np.random.default_rng(0)
    architectures, runs = [], []
    for index, (arch, level) in enumerate(LEVELS.items()):
        for seed in (0, 1):
            runs.append(_run(arch, seed, level + float(generator.normal(0, 0.004)), foreign, generator))
        spread = 0.02 * (level * (1 - level)) ** 0.5 + 0.002
        architectures.append(
            Architecture(
                arch=arch,
                metrics={
                    "exact_match": Estimate(level, max(0.0, level - spread), min(1.0, level + spread)),
                    "chrf": Estimate(100 * level**0.3, None, None),
                    "perplexity": Estimate(1.01 + (1 - level), 1.0, 2.2),
                },
                train_s=59.7 + index / 10,
                tokens_per_s=21_000.0 - 3_100 * index,
                parameters=1_980_000 + 4_000 * index,
                peak_memory_bytes=(612 + 30 * index) * 10**6,
                ms=0.21 + 0.17 * index,
                ms_per="token",
                state_bytes=1024 * (index + 1) ** 3,
                state_of="29 source and 10 target tokens in",
                learning_rate=1e-3,
                rates=[Rate(5e-4, 0.4, "done", valid=0.4 * level), Rate(1e-3, 0.31, "done", valid=0.5 * level),
                       Rate(2e-3, None, "diverged")],
                details=_details(level, index, foreign),
                by_length=[min(1.0, level * (1.05 - 0.02 * b * (5 - index))) for b in range(5)],
                finished=1 if arch == "rnn" else 2,
                started=2,
            )
        )  # fmt: skip
    names = sorted(LEVELS, key=lambda name: -LEVELS[name])
    pairs = [
        Pair(a, b, Estimate(LEVELS[a] - LEVELS[b], LEVELS[a] - LEVELS[b] - 0.012, LEVELS[a] - LEVELS[b] + 0.012),
             0.0002 if b != "lstm" else 0.04, 0.002 if b != "lstm" else 0.12, b != "lstm")
        for i, a in enumerate(names) for b in names[i + 1 :]
    ]  # fmt: skip
    return Results(
        command=foreign("sightline compare --data builtin:dates --archs rnn,lstm,gru,bahdanau,transformer"),
        environment={
            "cpu": foreign("Example Processor 3000 @ 2.5 GHz"), "cores": 2, "memory_bytes": 25_000_000_000,
            "python": "3.11.2", "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
        },
        data=Data(foreign("builtin:dates"), "9f" * 32, 20_000, 1_000, 2_000, 1_000, [foreign("a note")],
                  facts={"tokens": foreign("char; vocabulary 312 source, 15 target")}, reads_texts=True),
        budget=BudgetPlan("60s", [0, 1], 0.25, 3, "10s", "45s", "params=2M", 2, 1, foreign(
            "60s per run and 2 seeds make 120s per architecture: 3 trial rates of 10s each, then 45s per seed.")),
        verdict=foreign("bahdanau is best: exact match 99.6 % [99.3–99.9], 3.2 points above transformer "
                        "(95 % interval 2.0–4.4)."),
        architectures=architectures,
        runs=runs,
        pairs=pairs,
        baselines=[
            Baseline(foreign("copy the source"), foreign("the source itself"), {"exact_match": 0.0}),
            Baseline(foreign("nearest training source"), foreign("its target"), {"exact_match": 0.064}),
        ],
        lengths=[LengthBin(6 + 6 * b, 11 + 6 * b, 200) for b in range(5)],
        attention=[_attention(source, target, foreign) for source, target in SOURCES[:3]],
        examples=[
            Example(foreign(source), foreign(target), {
                "rnn": foreign("1999-12-31"), "gru": foreign(target[:-2] + "17"), "lstm": foreign(target[:-2] + "17"),
                "bahdanau": foreign(target), "transformer": foreign(target),
            })
            for source, target in SOURCES
        ],
        warnings=[foreign("a warning")],
    )  # fmt: skip


def _details(level: float, index: int, foreign: Callable[[str], str]) -> Details:
    right = round(100 * level)
    return Details(
        Confusion([foreign("March"), foreign("May")], [[right, 100 - right], [40, 60]]),
        [ReliabilityBin(0.4, 0.6, 0.5, level / 2, 120), ReliabilityBin(0.8, 1.0, 0.9, level, 80)],
        Curve("loss", "position in the context", [1.0, 8.0, 64.0, 512.0], [4.0, 3.0 - index / 4, None, 2.0]),
    )


def _run(arch: str, seed: int, level: float, foreign: Callable[[str], str], generator: np.random.Generator) -> Run:
    if (arch, seed) == ("rnn", 1):
        return Run(arch, seed, "diverged", {}, [], foreign("step 213: the loss is nan (rows 3, 17)"))
    history = [
        {"event": "valid", "steps": 40 * t, "tokens": 9_000 * t, "seconds": 3.0 * t, "flops": 1e9 * t,
         "loss": float(np.exp(-3 * level * t / 20) + generator.normal(0, 0.004)),
         "exact_match": float(level * (1 - np.exp(-t / 5)))}
        for t in range(1, 21)
    ]  # fmt: skip
    metrics = {"exact_match": level, "perplexity": 1.2}
    return Run(arch, seed, "done", metrics, history, None, 59.8, 812, 1_240_000, 3.1e12)


def _attention(source: str, target: str, foreign: Callable[[str], str]) -> AttentionExample:
    pieces, output = list(source), [*target, "</s>"]
    generator = np.random.default_rng(len(source))

    def weights(rows: int, columns: int, sharp: float) -> list[list[float]]:
        scores = generator.normal(0, 1, (rows, columns)) * sharp
        shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        return [[round(float(w), 3) for w in row] for row in shares]

    n, m = len(output), len(pieces)
    heads = [weights(n, m, 2) for _ in range(4)]
    shown = [foreign(piece) for piece in output]
    return AttentionExample(foreign(source), foreign(target), [foreign(p) for p in pieces], [
        ArchitectureMaps("bahdanau", shown, foreign(target),
                         [AttentionMap(foreign("decoder"), "source", weights(n, m, 4))]),
        ArchitectureMaps("transformer", shown, foreign(target[:-1] + "9"), [
            AttentionMap(foreign("decoder layer 1, cross"), "source", weights(n, m, 2), heads),
            AttentionMap(foreign("encoder layer 1"), "source itself", weights(m, m, 2)),
            AttentionMap(foreign("decoder layer 1, self"), "output itself", weights(n, n, 2)),
        ]),
    ])  # fmt: skip
