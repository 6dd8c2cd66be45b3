"""`sightline train`: train one architecture on the user's data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import Parameter

from sightline.cli.architectures import ARCH_HELP
from sightline.cli.formats import PAIRS_HELP
from sightline.cli.plugins import Plugins

if TYPE_CHECKING:
    from sightline.data.corpus import Corpus
    from sightline.tasks.fit import Trained
    from sightline.training.distributed import Team


def train(
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    data: Annotated[
        str | None, Parameter(help=f"Training data: {PAIRS_HELP}. Other tasks read other formats (docs/tasks).")
    ] = None,
    task: str | None = None,
    arch: Annotated[str | None, Parameter(help=ARCH_HELP)] = None,
    out_dir: Annotated[Path | None, Parameter(name=["--out-dir", "-o"])] = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    budget: str | None = None,
    max_steps: int | None = None,
    max_tokens: int | None = None,
    max_time: str | None = None,
    match: str | None = None,
    plugin: Plugins = None,
    valid: str | None = None,
    test: str | None = None,
    limit: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    parallel: str | None = None,
    watch: Annotated[bool, Parameter(negative=())] = False,
    log: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    print_config: bool = False,
    json: bool = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Train one architecture on your data and write a run that `predict` and `eval` read.

    The flags below are the most common keys of the configuration. Every other key is a flag too, with dots between
    levels, such as --optim.lr 3e-4, --model.d-model 256 or --tokenizer.kind bpe. `--print-config` prints all keys with
    their values; the documentation describes them (docs/tasks).

    Args:
        task: Task, e.g. classification or language. Default: detected from the data, otherwise translation.
        out_dir: Directory of the run [default: runs/DATA-ARCH-SEED].
        config: YAML file, such as the config.yaml of a run. Flags override it.
        budget: Training budget: 60s, 5min, 500steps, 2Mtok, 1e15flop or 5kJ. Seconds and joules become a number of
            steps, measured first, so that other work on the machine changes nothing later; 60s-wall follows the clock.
        max_steps: Same as --budget Nsteps.
        max_tokens: Same as --budget Ntok.
        max_time: Same as --budget with a time such as 60s, 5min or 2h.
        match: Scale the widths of the model to a number of parameters (params=2M), of training operations per token
            (flops=1.5M) or to bytes of state after a number of tokens (state=64KB@1024).
        valid: Validation data. Default: split off from --data.
        test: Test data. Default: split off from --data.
        limit: Use only the first N items of each part.
        seed: Seed of the initial weights, the data order and dropout.
        device: auto, cpu, cuda or mps.
        dtype: auto, float32 or bfloat16.
        parallel: ddp or fsdp: how the processes that torchrun starts share the training. Default: ddp.
        watch: Record what attention, gradients and gates do while it trains; `inspect RUN --training` shows it. Changes
            no result, and takes about 5 % more time at most.
        log: Tracker that follows the training besides metrics.jsonl: tensorboard, or FILE.py:CLASS, one of your own.
        resume: Continue from the newest intact checkpoint. Without --config, use the run's own config.yaml.
        overwrite: Replace the run in --out-dir.
        dry_run: Read the data, build the model, show what would be trained; write nothing.
        print_config: Print the resolved configuration as YAML and exit.
        json: Print one JSON object with `schema_version`.
        quiet: Show no progress.
    """
    import os

    from sightline.cli.overrides import parse_overrides
    from sightline.core.errors import InputError
    from sightline.training.distributed import joined

    named = {"task": task, "data": data, "arch": arch, "match": match, "plugin": plugin, "valid": valid, "test": test,
             "limit": limit, "seed": seed, "device": device, "dtype": dtype, "watch": watch or None,
             "parallel": parallel, "budget": _budget(budget, max_steps, max_tokens, max_time)}  # fmt: skip
    flags = {key: value for key, value in named.items() if value is not None}
    free = parse_overrides(overrides)
    if twice := next((key for key in free if key in flags), None):
        raise InputError("specified twice", where=f"--{twice.replace('_', '-')}")
    shown = Shown(dry_run=dry_run, print_config=print_config, json=json, quiet=quiet)
    with joined() as team:
        say = team.first and not quiet and not print_config
        run, directory = _resolved({**flags, **free}, config, out_dir, resume, os.environ, say=say)
        if print_config or dry_run:
            if team.first:
                _show(run, shown)
            return
        _train(run, directory, team, shown, log=log, resume=resume, overwrite=overwrite)


class Shown(NamedTuple):
    """The flags that choose the output."""

    dry_run: bool
    print_config: bool
    json: bool
    quiet: bool


def _resolved(
    flags: dict[str, Any],
    config: Path | None,
    out_dir: Path | None,
    resume: bool,
    environ: Mapping[str, str],
    *,
    say: bool,
) -> tuple[Any, Path]:
    """The configuration of the training, and its directory; `say`: an architecture that was chosen is named."""
    from functools import partial

    from sightline.cli.messages import messages, tell
    from sightline.core.errors import InputError
    from sightline.tasks.located import located
    from sightline.tasks.recipe import resolve_training

    resolving = partial(resolve_training, environ=environ, flags=flags)
    data, line = flags.get("data"), ""
    run: Any = None
    with messages():
        if not resume or config is not None or out_dir is None:
            run, line = resolving(file=config)
        place = out_dir or _usual_place(run)
        own = place / "config.yaml"
        if resume and config is None and own.exists() and (run is None or run.corpus.data):
            run, line = resolving(file=own)
            run = located(run, place) if data is None else run
        elif run is None:
            if data is None:
                raise InputError("no run to resume; start one with --data and --arch", where=place)
            run, line = resolving(file=None)
        if line and say:
            tell(line)
    return run, place


def _usual_place(run: Any) -> Path:
    """The directory of a run where none is named."""
    from sightline.lab.directory import name_of_data

    return Path("runs", f"{name_of_data(run.corpus.data)}-{run.settings.arch}-{run.training.seed}")


def _show(run: Any, shown: Shown) -> None:
    """Print the configuration, or what would be trained."""
    from sightline.core.config import to_yaml

    if shown.print_config:
        print(to_yaml(run), end="")
        return
    _print(_planned(run, _data(run)), as_json=shown.json)


def _data(run: Any, *, notes: bool = True) -> Corpus[Any]:
    """The data; how it was read is printed to stderr."""
    from sightline.cli.messages import tell
    from sightline.tasks.table import task_class

    dataset = task_class(run.task).load_data(run)
    dataset.check()
    for note in dataset.named_notes if notes else ():
        tell(note)
    return dataset


def _train(
    run: Any,
    directory: Path,
    team: Team,
    shown: Shown,
    *,
    log: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Train in this process, and in those of its team; the first process of a node reads the data for all of it."""
    from sightline.cli.messages import messages
    from sightline.tasks.fit import train_beside, train_run
    from sightline.tasks.match import matched
    from sightline.tasks.recipe import check_same_run
    from sightline.tasks.table import task_class
    from sightline.training.progress import reporting
    from sightline.training.rundir import check_run
    from sightline.training.trackers import make_tracker

    kind, dataset = task_class(run.task), None
    trackers = [make_tracker(log)] if log is not None and team.first else []
    quiet = shown.quiet or not team.first
    counted = kind.counted.split()[-1]

    def built() -> Any:
        nonlocal dataset
        if team.first:
            check_run(directory, resume=resume, overwrite=overwrite)
        dataset = _data(run, notes=team.first)
        if resume and team.first:  # before the model is built, which may take long
            check_same_run(directory, run, dataset)
        return kind.build(dataset, matched(kind, dataset, run))

    with messages(quiet=quiet), reporting(counted, quiet=quiet) as on_progress:
        task = team.once_per_node(built)
        if dataset is None:
            train_beside(task, directory, run.training, team, resume=resume)
            return
        options: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "on_progress": on_progress}
        options |= {"team": team, "trackers": trackers}
        if run.training.watch:
            from sightline.lab.watching import watcher

            options["watch"] = watcher(task, dataset.valid)
        trained = train_run(task, dataset, directory, run, **options)
    if team.first:
        _print(_outcome(directory, trained), as_json=shown.json)


def _planned(run: Any, data: Corpus[Any]) -> dict[str, Any]:
    """The facts that `--dry-run` prints."""
    from sightline.tasks.match import matched
    from sightline.tasks.table import task_class

    kind = task_class(run.task)
    task = kind.build(data, matched(kind, data, run))
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


def _outcome(directory: Path, trained: Trained[Any]) -> dict[str, Any]:
    """The facts printed after training; the metrics are those of the best validation."""
    from sightline.tasks.scores import metrics_in

    result = trained.training
    best = [r for r in result.history if r["event"] == "valid" and r["steps"] == result.best_step]
    return {
        "run": str(directory),
        "task": trained.task.name,
        "arch": trained.task.arch,
        "status": result.status,
        "parameters": trained.task.parameters,
        "steps": result.steps,
        trained.task.counted.split()[-1]: result.tokens,
        "seconds": result.seconds,
        "flops": result.flops,
        "best_step": result.best_step,
        "metrics": metrics_in(best[-1]) if best else {},
    }


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    from sightline.cli.messages import print_json
    from sightline.core.metrics import written

    if as_json:
        print_json({"schema_version": 1, **facts})
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            spell = written if name == "metrics" else lambda _, count: _number(count)
            value = ", ".join(f"{key} {spell(key, part)}" for key, part in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(_number, value))
        if value not in (None, ""):
            print(f"{name.replace('_', ' '):<18} {_number(value)}")


def _number(value: Any) -> str:
    from sightline.core.digits import significant

    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else significant(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _budget(budget: str | None, steps: int | None, tokens: int | None, time: str | None) -> str | None:
    from sightline.core.errors import InputError
    from sightline.training.budget import Budget

    values = {"--budget": budget, "--max-steps": steps, "--max-tokens": tokens, "--max-time": time}
    flags = [flag for flag, value in values.items() if value is not None]
    if len(flags) > 1:
        raise InputError(f"{' and '.join(flags)} are mutually exclusive")
    if time is not None and Budget.parse(time, where="--max-time").unit not in ("seconds", "wall"):
        raise InputError(f"expected a time such as 60s, 5min or 2h, found {time!r}", where="--max-time")
    if steps is not None:
        return f"{steps}steps"
    return f"{tokens}tok" if tokens is not None else budget or time
