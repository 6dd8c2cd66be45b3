"""`sightline demo`: a comparison on built-in data, in minutes."""

from __future__ import annotations

from sightline.cli import flags


def demo(
    *,
    out_dir: flags.OutDir = None,
    budget: str = "60s",
    seeds: int = 2,
    seed: flags.Seed = 0,
    workers: flags.Workers = None,
    overwrite: bool = False,
    json: flags.Json = False,
    quiet: flags.Quiet = False,
) -> None:
    """Compare five architectures at converting human-written dates of many languages to ISO 8601.

    Same as `sightline compare` on builtin:dates with --match params=200k, --search 0 and --tokenizer.kind char, so that
    attention maps show single characters. Downloads nothing. Takes less than seven minutes on two cores.

    Args:
        budget: Budget of each run.
        seeds: Number of runs of each architecture.
        overwrite: Replace the comparison in --out-dir.
    """
    from sightline.cli.compare import run
    from sightline.lab.plan import CompareConfig

    config = CompareConfig(
        data="builtin:dates", budget=budget, seeds=seeds, seed=seed, workers=workers, match="params=200k", search=0.0,
        settings={"tokenizer.kind": "char"},
    )  # fmt: skip
    run(config, out_dir, name="demo", overwrite=overwrite, json=json, quiet=quiet)
