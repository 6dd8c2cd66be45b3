"""The flags that `sightline compare`, `ladder` and `scale` share, each with its help, and what they make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, final

from cyclopts import Parameter

from sightline.cli.flag_groups import flag_group
from sightline.cli.formats import PAIRS_HELP

if TYPE_CHECKING:
    from sightline.lab.plan import CompareConfig

SEARCH_HELP = "Fraction of the budget spent on the learning-rate search; 0 uses the presets' rates."
TESTED_HELP = "Maximum number of test items."
CLUSTER_HELP = (
    "Run on the nodes of a Ray cluster: HOST:PORT, or auto for the one of this machine. They must share --out-dir and "
    "the data. Needs `pip install 'sightline[ray]'`."
)

DataPlace = Annotated[
    str, Parameter(help=f"Data as `sightline train` reads it: {PAIRS_HELP}, or the format of another task.")
]
TaskName = Annotated[
    str | None,
    Parameter(help="Task, e.g. classification or language. Default: detected from the data, otherwise translation."),
]
Archs = Annotated[
    str | None,
    Parameter(
        help="Comma-separated names of architectures; `sightline train --help` lists them. Default: a small set that "
        "is common for the task."
    ),
]
OutDir = Annotated[
    Path | None,
    Parameter(name=["--out-dir", "-o"], help="Output directory. Default: a new directory under runs/."),
]
SearchShare = Annotated[float, Parameter(help=SEARCH_HELP)]
Tested = Annotated[int, Parameter(help=TESTED_HELP)]
Margin = Annotated[
    float | None,
    Parameter(
        help=(
            "Differences up to this much, in the unit of the metric, are practically the same. Default: 1 point of "
            "percentages, 0.5 of BLEU and chrF, 0.01 of AUROC, 1 % of the best value of errors and losses."
        )
    ),
]
Limit = Annotated[int | None, Parameter(help="Use only the first N items of each part.")]
Seed = Annotated[int, Parameter(help="First seed; the others are the numbers after it.")]
Workers = Annotated[
    int | None, Parameter(help="Number of parallel runs, which share the cores. Default: one per core.")
]
Cluster = Annotated[str | None, Parameter(help=CLUSTER_HELP)]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or mps.")]
Json = Annotated[bool, Parameter(help="Print the results as one JSON object instead of a table.")]
Quiet = Annotated[bool, Parameter(name=["--quiet", "-q"], help="Show no progress.")]


@final
@flag_group
@dataclass(frozen=True)
class RunFlags:
    """Keys of `CompareConfig`: how all runs are trained.

    Args:
        rates: Number of learning rates that the search tries, including the preset's; one more where the largest or the
            smallest is the best. The best has the lowest validation loss, whatever --metric decides. Of more than
            three the best third is tried again, three times as long.
        dtype: auto, float32 or bfloat16.
        log: Tracker that follows every training besides metrics.jsonl: tensorboard, or FILE.py:CLASS.
    """

    rates: int = 3
    seed: Seed = 0
    workers: Workers = None
    device: Device = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    log: str | None = None


@final
@flag_group
@dataclass(frozen=True)
class DataFlags:
    """Keys of the task's configuration: what is read, and how.

    Args:
        valid: Validation data. Default: split off from the data.
        test: Test data. Default: split off from the data.
        lowercase: Convert all text to lower case.
        tokens: Tokenizer: auto, char, bpe or unigram.
        vocabulary: Vocabulary size of bpe and unigram; for translation, of each language.
    """

    valid: str | None = None
    test: str | None = None
    limit: Limit = None
    lowercase: bool = False
    tokens: str | None = None
    vocabulary: int | None = None


def check_exclusive(
    *,
    out_dir: Path | None,
    resume: bool,
    overwrite: bool,
    what: str,
    budget: str | None = None,
    plan: Path | None = None,
) -> None:
    """Refuse flags that contradict each other; `what` is in the output directory.

    Raises:
        InputError: "--budget and --plan are mutually exclusive"; "--resume: needs --out-dir, the directory of the
            comparison to continue".
    """
    from sightline.core.errors import InputError

    if budget is not None and plan is not None:
        raise InputError("--budget and --plan are mutually exclusive")
    if resume and overwrite:
        raise InputError("--resume and --overwrite are mutually exclusive")
    if resume and out_dir is None:
        raise InputError(f"needs --out-dir, the directory of the {what} to continue", where="--resume")


def settings_of(
    overrides: Sequence[str], *, tokens: str | None = None, vocabulary: int | None = None, **own: Any
) -> dict[str, Any]:
    """The keys of the task's configuration that were given, by flags of their own or by others.

    Raises:
        InputError: "--limit: specified twice".
    """
    from sightline.cli.overrides import parse_overrides
    from sightline.core.errors import InputError

    named = {**own, "tokenizer.kind": tokens, "tokenizer.size": vocabulary}
    settings = {key: value for key, value in named.items() if value is not None and value is not False}
    free = parse_overrides(overrides)
    if twice := next((key for key in free if key in settings), None):
        raise InputError("specified twice", where=f"--{twice.replace('_', '-')}")
    return {**settings, **free}


def comparison_of(data: str, task: str | None, runs: RunFlags, archs: str | None = None, **keys: Any) -> CompareConfig:
    """The comparison that the shared flags ask for, with the task's usual architectures; `keys` of `CompareConfig`.

    Raises:
        InputError: the data cannot be read; what `CompareConfig` and `check_used` raise.
    """
    from sightline.cli.messages import messages
    from sightline.lab.plan import CompareConfig, check_used
    from sightline.tasks.defaults import compared
    from sightline.tasks.infer import task_for
    from sightline.training.trackers import absolute

    with messages():
        task = task or task_for(data)
    names = compared(task) if archs is None else tuple(name.strip() for name in archs.split(",") if name.strip())
    shared: dict[str, Any] = {**vars(runs), "log": absolute(runs.log)}
    config = CompareConfig(task=task, data=data, archs=names, **shared, **keys)
    check_used(config)
    return config
