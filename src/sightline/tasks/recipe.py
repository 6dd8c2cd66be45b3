"""All of a training in one flat configuration, as config.yaml and the flags of `sightline train` spell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from sightline.core.config import encode, resolve, to_yaml
from sightline.core.errors import InputError
from sightline.core.yaml12 import read_yaml
from sightline.data.read import Corpus, load_corpus
from sightline.models import ModelConfig
from sightline.tasks.config import TranslationConfig
from sightline.training.environment import environment
from sightline.training.optim import OptimConfig, paper_lr
from sightline.training.state import TrainConfig

P = TypeVar("P")
MAY_CHANGE = {"budget", "validations", "patience", "checkpoint_every_s", "keep", "log_every", "device", "match"}
RATES = {"rnn": 1e-3, "lstm": 3e-3, "gru": 4e-3, "bahdanau": 1e-2, "luong": 4e-3, "transformer": 4e-3}


@dataclass(frozen=True)
class DataConfig:
    """Which pairs to train on; the fields are the arguments of `load_corpus`, `data_seed` its `seed`."""

    data: str = ""
    valid: str | None = None
    test: str | None = None
    source_column: str | None = None
    target_column: str | None = None
    limit: int | None = None
    lowercase: bool = False
    skip_bad: bool = False
    data_seed: int = 0

    def load(self) -> Corpus:
        """The corpus; raises what `load_corpus` raises, and `InputError` where no data is named."""
        if not self.data:
            raise InputError("no data named: give a file, two parallel files a,b, or builtin:dates", where="--data")
        options = {field.name: getattr(self, field.name) for field in fields(DataConfig)}
        return load_corpus(options.pop("data"), seed=options.pop("data_seed"), **options)


@dataclass(frozen=True)
class RunConfig(TrainConfig, TranslationConfig, DataConfig):
    """The keys of data, task and training side by side, so that a file, the environment and flags need no levels.

    `match` scales the model's widths to a number of parameters: `params=2M`.
    """

    match: str | None = None

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        TranslationConfig.__post_init__(self)
        parse_match(self.match)

    @property
    def corpus(self) -> DataConfig:
        return _part(DataConfig, self)

    @property
    def task(self) -> TranslationConfig:
        return _part(TranslationConfig, self)

    @property
    def training(self) -> TrainConfig:
        return _part(TrainConfig, self)

    @property
    def parameters(self) -> int | None:
        """The parameter count that `match` asks for."""
        return parse_match(self.match)


def preset(arch: str) -> RunConfig:
    """What the named architecture is trained with where nothing else is said."""
    task = TranslationConfig.preset(arch)
    values = {field.name: getattr(task, field.name) for field in fields(TranslationConfig)}
    return RunConfig(**values, optim=optim_preset(arch))


def optim_preset(arch: str) -> OptimConfig:
    """The optimizer's settings for an architecture at its preset's size.

    For `transformer-2017` those of the paper, section 5.3; the others' rates were chosen on dates within a minute of
    one core (LOG.md), from few trials; those of `rnn` and `luong` were compared with no other, and the architectures
    that are one mechanism in a Transformer's place have the Transformer's.
    """
    if arch == "transformer-2017":
        return OptimConfig(
            lr=paper_lr(512, 4000),
            beta2=0.98,
            eps=1e-9,
            weight_decay=0.0,
            warmup_steps=4000,
            schedule="inverse_sqrt",
            clip_norm=None,
        )
    return OptimConfig(lr=RATES.get(arch, RATES["transformer"]))


def resolve_run(*, file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> RunConfig:
    """The configuration from all sources: the architecture's preset < file < environment < flags.

    Raises `InputError` for what is wrong in any of them, with its place: `--optim.lrr: unknown key, did you mean 'lr'?`
    """
    arch = flags.get("arch") or environ.get("SIGHTLINE_ARCH")
    if arch is None and file is not None:
        arch = read_yaml(file).get("arch")
    base = preset(str(arch)) if arch is not None else preset(RunConfig.arch)
    return resolve(RunConfig, base=base, file=file, environ=environ, flags=flags)


def run_files(run: RunConfig, corpus: Corpus, model: ModelConfig) -> dict[str, str]:
    """What a run keeps: config.yaml with the sizes as built, and environment.json with the data's hash."""
    sizes = {part: len(getattr(corpus, part).sources) for part in ("train", "valid", "test")}
    facts = {**environment(), "data": {"name": corpus.name, "sha256": corpus.sha256, **sizes}}
    return {
        "config.yaml": to_yaml(replace(run, model=model, match=None)),
        "environment.json": json.dumps(facts, indent=1, ensure_ascii=False) + "\n",
    }


def check_same_run(place: Path, run: RunConfig, corpus: Corpus) -> None:
    """Raises `InputError` where the run at `place` began on other data, or with other settings, than to go on with.

    How long it trains, where, and how often it looks and saves may change: `MAY_CHANGE`.
    """
    try:
        before = json.loads((place / "environment.json").read_text(encoding="utf-8"))["data"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        before = corpus.sha256  # nothing is known of the data: the checkpoint's own checks must do
    if before != corpus.sha256:
        raise InputError(
            f"the data has changed since the run began (sha256 {before[:12]}… then, {corpus.sha256[:12]}… now); "
            "begin anew with --overwrite",
            where=place,
        )
    if not (place / "config.yaml").exists():
        return
    began = _dotted(encode(resolve_run(file=place / "config.yaml", environ={}, flags={})))
    free = MAY_CHANGE | {field.name for field in fields(DataConfig)} | ({"model"} if run.match else set())
    for key, value in _dotted(encode(run)).items():
        if key.split(".")[0] not in free and began.get(key) != value:
            raise InputError(f"was {began.get(key)!r} when the run began, now {value!r}", where=f"--{key}")


def _dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def parse_match(text: str | None) -> int | None:
    """`params=2M` as 2,000,000; raises `InputError` where it is neither that nor None."""
    if text is None:
        return None
    name, _, amount = text.partition("=")
    scale = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9}.get(amount[-1:], 1)
    digits = amount if scale == 1 else amount[:-1]
    try:
        parameters = round(float(digits) * scale)
    except (ValueError, OverflowError):
        parameters = 0
    if name != "params" or parameters < 1:
        raise InputError(f"expected params=NUMBER, such as params=2M, found {text!r}", where="match")
    return parameters


def _part(cls: type[P], whole: RunConfig) -> P:
    return cls(**{field.name: getattr(whole, field.name) for field in fields(cls)})  # type: ignore[arg-type]
