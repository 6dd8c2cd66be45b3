"""The keys that the configuration of every training has, whatever its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from sightline.core.errors import InputError
from sightline.training.state import TrainConfig

P = TypeVar("P")


@dataclass(frozen=True)
class RunConfig(TrainConfig):
    """All of a training in one flat configuration, as config.yaml and the flags of `sightline train` spell it.

    A task's own `Run` adds the keys `arch` and `model`, its settings, and its data's keys, so that a file, the
    environment and flags need no levels. `match` scales the model's widths to a number of parameters: `params=2M`.

    Data: the dataclass among the bases of a task's `Run` whose fields say which data it is
    """

    Data: ClassVar[type]

    task: str = "translation"
    match: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_match(self.match)

    @property
    def training(self) -> TrainConfig:
        """How to train."""
        return part_of(TrainConfig, self)

    @classmethod
    def data_keys(cls) -> tuple[str, ...]:
        """The keys that say which data it is."""
        return tuple(field.name for field in fields(cls.Data))

    @property
    def parameters(self) -> int | None:
        """The parameter count that `match` asks for."""
        return parse_match(self.match)


def part_of(cls: type[P], whole: Any) -> P:
    """The fields of `whole` that `cls`, one of its bases, has."""
    return cls(**{field.name: getattr(whole, field.name) for field in fields(cls)})  # type: ignore[arg-type]


def values_of(config: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are."""
    return {field.name: getattr(config, field.name) for field in fields(config)}


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
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
