"""The results of `check_mixer` and `check_front_end`."""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from typing import Any, final

from sightline.core.errors import CheckFailed


def describe(config: Any) -> str:
    """The options of a config that differ from their defaults, `d_hidden=5 reset=before`; `default` where none does."""
    options = []
    for field in fields(config):
        value = getattr(config, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if value != default:
            options.append(f"{field.name}={value}")
    return " ".join(options) or "default"


@final
@dataclass(frozen=True)
class LawResult:
    """The result of one law: `passed` None means that the law does not apply to this form, and `detail` says why.

    `error` and `tolerance` are those of the comparison nearest to its tolerance, or furthest beyond it.
    """

    law: str
    passed: bool | None
    error: float
    tolerance: float
    detail: str
    seconds: float

    def __str__(self) -> str:
        if self.passed is None:
            return f"{self.law}: n/a, {self.detail}"
        verdict = "holds" if self.passed else "FAILS"
        if not self.tolerance and self.error in (0.0, 1.0, math.inf):  # a plain yes or no
            return f"{self.law}: {verdict}: {self.detail}"
        return f"{self.law}: {verdict}, {self.error:.1e} against {self.tolerance:.0e} ({self.detail})"


@final
@dataclass(frozen=True)
class Report:
    """The laws over one configuration."""

    config: Any
    d_model: int
    results: tuple[LawResult, ...]

    @property
    def passed(self) -> bool:
        return all(result.passed is not False for result in self.results)

    @property
    def failures(self) -> tuple[LawResult, ...]:
        return tuple(result for result in self.results if result.passed is False)

    def raise_for_failures(self) -> None:
        """Raise `CheckFailed` naming every law that does not hold."""
        if self.failures:
            raise CheckFailed(f"{self.config}: " + "; ".join(map(str, self.failures)))

    def __str__(self) -> str:
        return "\n".join([f"{self.config}, d_model = {self.d_model}", *(f"  {result}" for result in self.results)])
