"""`sightline train`: one architecture on the user's data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from sightline.tasks.fit import Trained
    from sightline.tasks.task import Dataset


def train(
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    data: str | None = None,
    task: str | None = None,
    arch: str | None = None,
    out_dir: Annotated[Path | None, Parameter(name=["--out-dir", "-o"])] = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    budget: str | None = None,
    max_steps: int | None = None,
    max_tokens: int | None = None,
    max_time: str | None = None,
    match: str | None = None,
    valid: str | None = None,
    test: str | None = None,
    limit: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    print_config: bool = False,
    json: bool = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Train one architecture on your data, and leave a run that `predict` and `eval` read.

    Every other key of the configuration is a flag as well, levels joined by dots, such as --optim.lr 3e-4,
    --model.d_model 256 or --tokenizer.kind bpe; --print-config shows them all.

    Args:
        data: A file of pairs (tsv, csv, jsonl, parquet, .gz), two parallel files a,b, or builtin:dates; other tasks
            read other things, see docs/tasks.
        task: What the model is for: translation (text to text) where nothing else is said.
        arch: rnn, lstm, gru, bahdanau, luong, transformer, transformer-2017, hybrid, or a mechanism in a Transformer's
            place: window, block_sparse, linear, lru, retention, gated_linear, min_gru, min_lstm or gated_delta.
        out_dir: The run's directory [default: runs/DATA-ARCH-SEED].
        config: A YAML file, such as a run's config.yaml; flags win over it.
        budget: How long to train: 60s, 5min, 500steps, 2Mtok or 1e15flop.
        max_steps: The same as --budget Nsteps.
        max_tokens: The same as --budget Ntok.
        max_time: The same as --budget, in time: 60s, 5min, 2h.
        match: Scale the model's widths to a number of parameters: params=2M.
        valid: Validation pairs, where they are not to be split from the data.
        test: Test pairs, likewise.
        limit: Use only the first so many pairs of each part.
        seed: Decides initial weights, order and dropout.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32 or bfloat16.
        resume: Go on from the newest checkpoint that verifies; without --config, by the run's own config.yaml.
        overwrite: Begin anew where a run stands.
        dry_run: Read the data, build the model, show what would be trained, and write nothing.
        print_config: Print the resolved configuration as YAML, and do nothing else.
        json: Print one JSON object with `schema_version`.
        quiet: No progress.
    """
    import os
    import sys

    from sightline.cli.messages import messages
    from sightline.cli.overrides import parse_overrides
    from sightline.core.config import to_yaml
    from sightline.core.errors import InputError
    from sightline.tasks.fit import train_run
    from sightline.tasks.recipe import check_same_run, resolve_run
    from sightline.tasks.table import task_class
    from sightline.training.progress import reporting
    from sightline.training.rundir import check_run

    named = {"task": task, "data": data, "arch": arch, "match": match, "valid": valid, "test": test, "limit": limit,
             "seed": seed, "device": device, "dtype": dtype,
             "budget": _budget(budget, max_steps, max_tokens, max_time)}  # fmt: skip
    flags = {key: value for key, value in named.items() if value is not None}
    free = parse_overrides(overrides)
    if twice := next((key for key in free if key in flags), None):
        raise InputError("given twice", where=f"--{twice}")
    if resume and config is None and out_dir is not None:
        config = out_dir / "config.yaml" if (out_dir / "config.yaml").exists() else None
        if config is None and data is None:
            raise InputError("no run here to resume; begin one with --data and --arch", where=out_dir)
    run = resolve_run(file=config, environ=os.environ, flags={**flags, **free})
    if print_config:
        print(to_yaml(run), end="")
        return
    kind = task_class(run.task)
    place = out_dir or Path("runs", f"{_stem(run.corpus.data)}-{run.settings.arch}-{run.training.seed}")
    if not dry_run:
        check_run(place, resume=resume, overwrite=overwrite)
    read = kind.load_data(run)
    for note in read.notes:
        print(f"sightline: {read.name}: {note}", file=sys.stderr)
    if dry_run:
        _print(_planned(run, read), as_json=json)
        return
    if resume:  # before the model is built, which may take long
        check_same_run(place, run, read)
    counted = kind.counted.split()[-1]
    with messages(quiet=quiet), reporting(run.training.metric, counted=counted, quiet=quiet) as on_progress:
        how = {"resume": resume, "overwrite": overwrite, "on_progress": on_progress}
        done = train_run(kind.build(read, run), read, place, run, **how)
    _print(_outcome(place, done), as_json=json)


def _planned(run: Any, data: Dataset) -> dict[str, Any]:
    """What `--dry-run` tells."""
    from sightline.tasks.table import task_class

    task = task_class(run.task).build(data, run)
    return {
        "run": None,
        "task": run.task,
        "arch": run.settings.arch,
        "status": "dry run: nothing was written",
        "parameters": task.parameters,
        "budget": run.training.budget,
        task.unit: data.sizes,
        **task.describe(data),
    }


def _outcome(place: Path, done: Trained[Any]) -> dict[str, Any]:
    """What a training ended with; metrics are the best validation's."""
    result = done.training
    counted = ("event", "steps", "tokens", "seconds", "flops", "best")
    best = [r for r in result.history if r["event"] == "valid" and r["steps"] == result.best_step]
    return {
        "run": str(place),
        "task": done.task.name,
        "arch": done.task.arch,
        "status": result.status,
        "parameters": done.task.parameters,
        "steps": result.steps,
        done.task.counted.split()[-1]: result.tokens,
        "seconds": result.seconds,
        "flops": result.flops,
        "best_step": result.best_step,
        "metrics": {name: value for name, value in best[-1].items() if name not in counted} if best else {},
    }


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps({"schema_version": 1, **facts}, ensure_ascii=False))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_number(part)}" for key, part in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(_number, value))
        if value not in (None, ""):
            print(f"{name.replace('_', ' '):<18} {_number(value)}")


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _budget(budget: str | None, steps: int | None, tokens: int | None, time: str | None) -> str | None:
    from sightline.core.errors import InputError
    from sightline.training.budget import Budget

    given = {"--budget": budget, "--max-steps": steps, "--max-tokens": tokens, "--max-time": time}
    flags = [flag for flag, value in given.items() if value is not None]
    if len(flags) > 1:
        raise InputError(f"{' and '.join(flags)} exclude each other")
    if time is not None and Budget.parse(time, where="--max-time").unit != "seconds":
        raise InputError(f"expected a time such as 60s, 5min or 2h, found {time!r}", where="--max-time")
    if steps is not None:
        return f"{steps}steps"
    return f"{tokens}tok" if tokens is not None else budget or time


def _stem(data: str) -> str:
    """A directory's name for the data: `pairs` for `in/pairs.tsv.gz`, `dates` for `builtin:dates`."""
    name = Path(data.split(",")[0].removeprefix("builtin:").split("?")[0]).name
    return name.split(".")[0] or "data"
