"""The factors that the study varies, by group of data sets, and the configurations that they make.

A configuration is a set of options of different factors; without any it is the default when the study began. Its name,
such as "dropout 0.3 + rate 0.002", is the same in every group, so that an option can be ranked over all data sets.
`SHIPPED` has the package's defaults after the study, with the architecture that `sightline train` takes without --arch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from sightline.core.config import encode
from sightline.core.errors import InputError
from sightline.tasks.defaults import default_arch
from sightline.tasks.recipe import resolve_run
from study_data import DATA_SETS, DataSet

DEFAULT = "default"
STUDY = "2026-11"  # part of each key: results belong to the package's defaults of that time
ARCHITECTURE = "architecture"  # a factor; its options are names of architectures
DEFAULTS = "defaults"  # a factor; its option is the study's name after the defaults have changed
KINDS = {"texts": "text", "series": "series", "pictures": "image", "sounds": "audio"}  # of labelled items, by group
ITEMS = {"valid": 500, "test": 1000}  # most items that a trained model is measured on

Options = Mapping[str, Mapping[str, Any]]


def _values(key: str, *values: Any) -> dict[str, dict[str, Any]]:
    return {str(value): {key: value} for value in values}


def _archs(*names: str) -> dict[str, dict[str, Any]]:
    return _values("arch", *names)


COMMON: dict[str, Options] = {
    "rate": _values("optim.lr", 0.001, 0.002, 0.008),
    "warm-up": _values("optim.warmup", 0.05),
    "dropout": _values("model.dropout", 0.0, 0.3),
    "width": _values("model.d_model", 128),
    "depth": _values("model.layers", 1),
}
SMOOTHING: Options = _values("label_smoothing", 0.1)
LARGER_BATCH: Options = _values("batch_size", 64)
SPEC_AUGMENT: Options = {"none": {"sound.augment.bands": 0, "sound.augment.stretches": 0}}
SOUND_STRIDE: Options = _values("sound.stride", 8)

GROUPS: dict[str, dict[str, Options]] = {
    "texts": {
        **COMMON,
        ARCHITECTURE: _archs("bilstm_attention", "gated_linear"),
        "tokens": {
            "char": {"text.kind": "char"},
            "bpe 2000": {"text.kind": "bpe", "text.size": 2000},
            "all words": {"text.min_count": 1},
        },
        "epochs": _values("most_epochs", 4, 8),
        "best by": {"accuracy": {"metric": "accuracy"}},
        "dropout": _values("model.dropout", 0.0, 0.3, 0.5),
        "front end": {
            "character cnn": {"front_end.name": "character_cnn"},
            "hashed n-grams": {"front_end.name": "hashed_ngrams"},
        },
        "batch": LARGER_BATCH,
        "smoothing": SMOOTHING,
    },
    "series": {
        **COMMON,
        ARCHITECTURE: _archs("gru", "gated_linear"),
        "patch": _values("series.patch", 2, 4),
        "batch": LARGER_BATCH,
        "smoothing": SMOOTHING,
    },
    "pictures": {
        **COMMON,
        ARCHITECTURE: _archs("gru", "gated_linear"),
        "patches": {
            **_values("picture.patch", 2, 4),
            "4, convolutions": {"picture.patch": 4, "picture.stem": "convolution"},
        },
        "augmentation": {"shift 1": {"shift_pixels": 1}},
        "batch": LARGER_BATCH,
        "smoothing": SMOOTHING,
    },
    "sounds": {
        **COMMON,
        ARCHITECTURE: _archs("gru", "gated_linear"),
        "augmentation": SPEC_AUGMENT,
        "stride": SOUND_STRIDE,
        "batch": LARGER_BATCH,
        "smoothing": SMOOTHING,
    },
    "speech": {
        **COMMON,
        ARCHITECTURE: _archs("gru", "bahdanau"),
        "augmentation": SPEC_AUGMENT,
        "stride": SOUND_STRIDE,
        "batch": _values("batch_tokens", 2048),
        "smoothing": SMOOTHING,
    },
    "captions": {
        **COMMON,
        ARCHITECTURE: _archs("gru", "bahdanau"),
        "stem": _values("picture.stem", "convolution"),
        "batch": _values("batch_tokens", 2048),
        "smoothing": SMOOTHING,
    },
    "pairs": {
        **COMMON,
        ARCHITECTURE: _archs("gru", "bahdanau"),
        "tied": {"all": {"model.tie": "all", "tokenizer.shared": True}},
        "tokens": {
            f"bpe {size}": {"tokenizer.kind": "bpe", "tokenizer.size": size} for size in (500, 4000)
        },
        "batch": _values("batch_tokens", 2048),
        "smoothing": SMOOTHING,
    },
    "running text": {
        **COMMON,
        ARCHITECTURE: _archs("lstm", "gated_linear"),
        "tokens": {f"bpe {size}": {"tokenizer.kind": "bpe", "tokenizer.size": size} for size in (500, 2000)},
        "context": _values("context", 64),
        "depth": _values("model.layers", 2),
        "batch": _values("batch_tokens", 1024),
    },
    "forecasts": {
        **COMMON,
        ARCHITECTURE: _archs("dlinear", "nlinear", "lstm"),
        "patch": _values("model.patch", 8, 24),
        "channels": _values("model.channels", "mixed"),
        "batch": _values("batch_size", 32),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Configuration:
    """Options of different factors, `((factor, option), …)` in the order of their names; none: the first default."""

    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return " + ".join(f"{factor} {option}" for factor, option in self.options) or DEFAULT

    def with_options(self, other: Configuration) -> Configuration | None:
        """Both together; None where they have a factor in common."""
        joined = tuple(sorted({*self.options, *other.options}))
        factors = {factor for factor, _ in joined}
        return Configuration(joined) if len(factors) == len(self.options) + len(other.options) else None

    def keys(self, group: str) -> dict[str, Any]:
        """The keys that differ from the default."""
        changed = {"arch": shipped_arch(group)} if self.study != STUDY else {}
        for factor, option in self.options:
            if factor == ARCHITECTURE:
                changed["arch"] = option
            elif factor != DEFAULTS:
                changed |= GROUPS[group][factor][option]
        return changed

    @property
    def study(self) -> str:
        """The study's name when the package had the defaults that it builds on."""
        return dict(self.options).get(DEFAULTS, STUDY)


SHIPPED = Configuration(((DEFAULTS, "2026-12"),))


def shipped_arch(group: str) -> str:
    """The architecture that `sightline train` takes for data of the group."""
    data = next(one for one in DATA_SETS.values() if one.group == group)
    return default_arch(data.task, KINDS.get(group, ""), lambda: data.items).arch


@cache
def single_options(group: str) -> tuple[Configuration, ...]:
    """A configuration for each option of each factor that is not the default already."""
    data = next(one for one in DATA_SETS.values() if one.group == group)
    default = StudyRun(data, Configuration(), 60).resolved()
    every = [Configuration(((factor, option),)) for factor, options in GROUPS[group].items() for option in options]
    return tuple(one for one in every if StudyRun(data, one, 60).resolved() != default)


def joined_options(best: Sequence[Configuration]) -> list[Configuration]:
    """All pairs of options of different factors, and all of them together: of a factor, the first."""
    pairs = (first.with_options(second) for first, second in combinations(best, 2))
    every = Configuration()
    for one in best:
        every = every.with_options(one) or every
    return list(dict.fromkeys([*(pair for pair in pairs if pair is not None), every]))


@dataclass(frozen=True)
class StudyRun:
    """One training of the study: `budget_s` seconds of its own; 0 for the baselines of the data set."""

    data: DataSet
    configuration: Configuration
    budget_s: int
    seed: int = 0

    @property
    def is_baselines(self) -> bool:
        return self.budget_s == 0

    def flags(self, reading: Mapping[str, Any]) -> dict[str, Any]:
        """Keys of the training by dotted name, with `reading` for those of the data."""
        own = {"task": self.data.task, "seed": self.seed, "device": "cpu", "budget": f"{max(self.budget_s, 1)}s"}
        return {**reading, **self.configuration.keys(self.data.group), **own}

    def resolved(self) -> dict[str, Any]:
        """The full configuration with marks for paths.

        Raises:
            InputError: a key that the task or the architecture lacks.
        """
        return encode(resolve_run(file=None, environ={}, flags=self.flags(self.data.keys)))

    @property
    def key(self) -> str:
        """A hash of the study's name and of the keys that the run sets. Another default needs another study's name."""
        return _key(self)

    @property
    def is_valid(self) -> bool:
        """Whether the options fit together: a BiLSTM has no `model.layers`."""
        return _is_valid(self)

    def __str__(self) -> str:
        what = "baselines" if self.is_baselines else f"{self.configuration.name}, {self.budget_s} s, seed {self.seed}"
        return f"{self.data.name}: {what}"


@cache
def _key(run: StudyRun) -> str:
    keys = run.data.keys if run.is_baselines else run.flags(run.data.keys)
    decides = [run.configuration.study, run.data.name, run.data.metric, ITEMS, dict(keys)]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _is_valid(run: StudyRun) -> bool:
    try:
        run.resolved()
    except InputError:
        return False
    return True
