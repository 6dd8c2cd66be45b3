"""`sightline demo`: the whole path on built-in data, in minutes."""

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
    """Compare five architectures on dates as people write them in many languages, to be put into ISO 8601.

    The same as `sightline compare` on builtin:dates with --match params=200k, at the presets' learning rates. Nothing
    is downloaded. On two cores it takes less than seven minutes.

    Args:
        out_dir: Where to; without it a new directory under runs/.
        budget: What each run may use.
        seeds: Runs of each architecture.
        seed: The first seed; the others follow it.
        workers: Runs at a time; the cores are divided among them. Without it one for each core.
        overwrite: Replace the comparison in --out-dir.
        json: Print the results as one JSON object in place of lines.
        quiet: Show no progress.
    """
    from sightline.cli.compare import run
    from sightline.lab.plan import CompareConfig

    config = CompareConfig(
        data="builtin:dates", budget=budget, seeds=seeds, seed=seed, workers=workers, match="params=200k", search=0.0
    )
    run(config, out_dir, name="demo", overwrite=overwrite, json=json, quiet=quiet)
