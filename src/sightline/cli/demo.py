"""`sightline demo`: a comparison on built-in data, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def demo(
    *,
    out_dir: Annotated[Path | None, Parameter(name=["--out-dir", "-o"])] = None,
    budget: str = "65s",
    seeds: int = 2,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
    json: bool = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"])] = False,
) -> None:
    """Compare five architectures at converting human-written dates of many languages to ISO 8601.

    Same as `sightline compare` on builtin:dates with --match params=200k and --search 0. Downloads nothing. Takes less
    than seven minutes on two cores.

    Args:
        out_dir: Output directory. Default: a new directory under runs/.
        budget: Budget of each run.
        seeds: Number of runs of each architecture.
        seed: First seed; the others are the numbers after it.
        workers: Number of parallel runs, which share the cores. Default: one per core.
        overwrite: Replace the comparison in --out-dir.
        json: Print the results as one JSON object instead of a table.
        quiet: Show no progress.
    """
    from sightline.cli.compare import run
    from sightline.lab.plan import CompareConfig

    config = CompareConfig(
        data="builtin:dates", budget=budget, seeds=seeds, seed=seed, workers=workers, match="params=200k", search=0.0
    )
    run(config, out_dir, name="demo", overwrite=overwrite, json=json, quiet=quiet)
