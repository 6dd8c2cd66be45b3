"""The factors that the study varies, by group of data sets, and the configurations that they make.

A configuration is a set of options of different factors; without any it is today's default. Its name, such as
"dropout 0.3 + rate 0.002", is the same in every group, so that an option can be ranked over all data sets.
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
from sightline.tasks.recipe import resolve_run
from study_data import DATA_SETS, DataSet

DEFAULT = "default"
ITEMS = {"valid": 500, "test": 1000}  # most items that a trained model is measured on

Options = Mapping[str, Mapping[str, Any]]


def _values(key: str, *values: Any) -> dict[str, dict[str, Any]]:
    return {str(value): {key: value} for value in values}


def _archs(*names: str) -> dict[str, dict[str, Any]]:
    return _values("arch", *names)


COMMON: dict[str, Options] = {
    "rate": _values("optim.lr", 0.0005, 0.001, 0.002, 0.004, 0.008),
    "warm-up": _values("optim.warmup", 0.05, 0.1, 0.2, 0.4),
    "dropout": _values("model.dropout", 0.0, 0.1, 0.2, 0.3, 0.5),
    "width": _values("model.d_model", 32, 64, 128, 192),
    "depth": _values("model.layers", 1, 2, 3),
    "weight decay": _values("optim.weight_decay", 0.0, 0.01, 0.1),
}
ITEM_BATCH: Options = _values("batch_size", 8, 16, 64, 128)
SMOOTHING: Options = _values("label_smoothing", 0.05, 0.1)
POOLING: Options = _values("model.pooling", "last", "cls", "additive")
SPEC_AUGMENT: Options = {
    "none": {"sound.augment.bands": 0, "sound.augment.stretches": 0},
    "wide": {"sound.augment.band_width": 12, "sound.augment.stretch_share": 0.3},
}
SOUND_STRIDE: Options = _values("sound.stride", 2, 8)
TEXTS_OUT: dict[str, Options] = {
    "architecture": _archs("gru", "lstm", "bahdanau", "gated_linear"),
    "smoothing": SMOOTHING,
    "tied": _values("model.tie", "none"),
}

GROUPS: dict[str, dict[str, Options]] = {
    "texts": {
        **COMMON,
        "architecture": _archs("lstm", "gru", "bilstm_attention", "gated_linear", "min_gru"),
        "tokens": {
            "char": {"text.kind": "char"},
            **{f"bpe {size}": {"text.kind": "bpe", "text.size": size} for size in (500, 2000, 8000)},
            "all words": {"text.min_count": 1},
        },
        "front end": {
            "character cnn": {"front_end.name": "character_cnn"},
            "hashed n-grams": {"front_end.name": "hashed_ngrams"},
        },
        "batch": ITEM_BATCH,
        "smoothing": SMOOTHING,
        "pooling": POOLING,
    },
    "series": {
        **COMMON,
        "architecture": _archs("lstm", "gru", "gated_linear", "min_gru"),
        "patch": _values("series.patch", 2, 4),
        "batch": ITEM_BATCH,
        "smoothing": SMOOTHING,
        "pooling": POOLING,
    },
    "pictures": {
        **COMMON,
        "architecture": _archs("lstm", "gru", "gated_linear"),
        "patches": {
            **_values("picture.patch", 2, 4),
            "4, convolutions": {"picture.patch": 4, "picture.stem": "convolution"},
        },
        "augmentation": {"shift 1": {"shift_pixels": 1}, "shift 2": {"shift_pixels": 2}},
        "batch": ITEM_BATCH,
        "smoothing": SMOOTHING,
        "pooling": POOLING,
    },
    "sounds": {
        **COMMON,
        "architecture": _archs("lstm", "gru", "gated_linear"),
        "augmentation": SPEC_AUGMENT,
        "stride": SOUND_STRIDE,
        "batch": ITEM_BATCH,
        "smoothing": SMOOTHING,
        "pooling": POOLING,
    },
    "speech": {
        **COMMON,
        **TEXTS_OUT,
        "augmentation": SPEC_AUGMENT,
        "stride": SOUND_STRIDE,
        "batch": _values("batch_tokens", 512, 2048, 4096),
    },
    "captions": {
        **COMMON,
        **TEXTS_OUT,
        "stem": _values("picture.stem", "convolution"),
        "batch": _values("batch_tokens", 512, 2048),
    },
    "pairs": {
        **COMMON,
        **TEXTS_OUT,
        "tied": {
            **_values("model.tie", "none"),
            "all": {"model.tie": "all", "tokenizer.shared": True},
        },
        "tokens": {
            f"bpe {size}": {"tokenizer.kind": "bpe", "tokenizer.size": size} for size in (500, 2000, 8000)
        },
        "batch": _values("batch_tokens", 512, 1536, 3072),
    },
    "running text": {
        **COMMON,
        "architecture": _archs("lstm", "gru", "gated_linear", "min_gru"),
        "tokens": {
            "char": {"tokenizer.kind": "char"},
            **{f"bpe {size}": {"tokenizer.kind": "bpe", "tokenizer.size": size} for size in (500, 2000)},
        },
        "context": _values("context", 64, 256),
        "tied": _values("model.tie", False),
        "batch": _values("batch_tokens", 512, 1024, 4096),
    },
    "forecasts": {
        **COMMON,
        "architecture": _archs("dlinear", "nlinear", "lstm", "gru", "gated_linear"),
        "patch": _values("model.patch", 8, 24),
        "channels": _values("model.channels", "mixed"),
        "batch": _values("batch_size", 16, 32, 128),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Configuration:
    """Options of different factors, `((factor, option), …)` in the order of their names; none: today's default."""

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
        changed: dict[str, Any] = {}
        for factor, option in self.options:
            changed |= GROUPS[group][factor][option]
        return changed


@cache
def single_options(group: str) -> tuple[Configuration, ...]:
    """A configuration for each option of each factor that is not the default already."""
    data = next(one for one in DATA_SETS.values() if one.group == group)
    default = StudyRun(data, Configuration(), 60).resolved()
    every = [Configuration(((factor, option),)) for factor, options in GROUPS[group].items() for option in options]
    return tuple(one for one in every if StudyRun(data, one, 60).resolved() != default)


def pairs_of(best: Sequence[Configuration]) -> list[Configuration]:
    """All pairs of options of different factors."""
    both = (first.with_options(second) for first, second in combinations(best, 2))
    return [pair for pair in both if pair is not None]


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
        """A hash of all that decides the result. A changed default of the package makes it another run."""
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
    decides: list[Any] = [run.data.name, run.data.metric, ITEMS]
    decides += ["baselines", dict(run.data.keys)] if run.is_baselines else [run.budget_s, run.resolved()]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _is_valid(run: StudyRun) -> bool:
    try:
        run.resolved()
    except InputError:
        return False
    return True
