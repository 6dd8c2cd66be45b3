"""The quality that narrower products cost: a model's metrics in each precision on the same items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, final, get_args

from sightline.core.cpu_clock import CpuClock
from sightline.core.errors import InputError
from sightline.core.metrics import written
from sightline.core.precision import Precision
from sightline.decoding.engine import DecodingConfig
from sightline.tasks.load import Part
from sightline.training.measured import Measured


@final
@dataclass(frozen=True, repr=False)
class PrecisionComparison:
    """The measurements of one model on the same items in several precisions, float32 first.

    same: outputs equal to those in float32, where outputs are texts
    cpu_s: CPU seconds of each measurement, decoding and scoring
    left_out: precisions that this machine cannot compute in, with the reason
    """

    title: str
    measured: dict[Precision, Measured]
    cpu_s: dict[Precision, float]
    same: dict[Precision, int] = field(default_factory=dict)
    left_out: dict[Precision, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The comparison in plain JSON types."""
        return {
            precision: {
                "metrics": measured.metrics,
                "cpu_s": self.cpu_s[precision],
                **({"same_outputs": self.same[precision]} if self.same else {}),
            }
            for precision, measured in self.measured.items()
        }

    def rows(self) -> Iterator[tuple[str, ...]]:
        """A head, each metric in each precision with its difference to float32, equal outputs, CPU seconds."""
        yield "", *self.measured
        first = self.measured["float32"]
        for name, value in first.metrics.items():
            differences = [
                f"{written(name, one.metrics[name])} ({_signed(name, one.metrics[name] - value)})"
                for precision, one in self.measured.items()
                if precision != "float32"
            ]
            yield name, written(name, value), *differences
        if self.same:
            yield "same outputs", *(f"{count:,} of {len(first.outputs):,}" for count in self.same.values())
        yield "CPU seconds", *(f"{seconds:.3g}" for seconds in self.cpu_s.values())

    def __repr__(self) -> str:
        rows = list(self.rows())
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [self.title]
        for first, *others in rows:
            cells = "  ".join(f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
            lines.append(f"  {first:<{widths[0]}}  {cells}".rstrip())
        return "\n".join(lines)


def compare_precisions(task: Any, part: Part, decoding: DecodingConfig) -> PrecisionComparison:
    """Measure the task's model on a part in float32, bf16 and int8."""
    measured: dict[Precision, Measured] = {}
    cpu_s: dict[Precision, float] = {}
    left_out: dict[Precision, str] = {}
    for precision in get_args(Precision):
        clock = CpuClock()
        try:
            measured[precision] = task.measure(part.items, replace(decoding, precision=precision))
        except InputError as error:
            if precision == "float32" or error.where != "--precision":
                raise
            left_out[precision] = str(error)
            continue
        cpu_s[precision] = clock.lap()
    expected = measured["float32"].outputs
    same = {
        precision: sum(a == b for a, b in zip(one.outputs, expected, strict=True))
        for precision, one in measured.items()
        if expected
    }
    title = f"{task.arch} on {part.name}, {part.size:,} {part.unit}, by precision"
    return PrecisionComparison(title, measured, cpu_s, same, left_out)


def _signed(name: str, difference: float) -> str:
    text = written(name, abs(difference))
    return f"{'-' if difference < 0 else '+'}{text}"
