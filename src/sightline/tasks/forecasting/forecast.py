"""A forecast with time stamps, series, values and quantiles, as a table or as JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, final

import numpy as np

from sightline.core.digits import number_of
from sightline.core.notebook import html_lines, html_table
from sightline.data.rows.in_memory import frame_like, polars_frame, with_steps
from sightline.data.series.panel import Panel

if TYPE_CHECKING:
    import polars

MOST_SHOWN = 8  # lines of a forecast's rows, the header among them


@final
@dataclass(frozen=True, repr=False)
class Forecast:
    """The next steps of every series of a table, in its own units.

    panel: the series that are forecast
    values: (R, H, C), the forecast of step h of column c of series r
    quantiles: (R, H, C, Q), of the levels `levels`; Q = 0 for a point forecast
    context: how many of the last values `record` tells besides
    left_out: the series that could not be forecast, and why
    """

    panel: Panel
    values: np.ndarray
    quantiles: np.ndarray
    levels: tuple[float, ...] = ()
    context: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """The series, the steps and the first rows."""
        rows = self.csv().splitlines()
        more = ["…"] if len(rows) > MOST_SHOWN else []
        return "\n".join([self.title, *rows[:MOST_SHOWN], *more])

    def _repr_html_(self) -> str:
        head, *rows = csv.reader(io.StringIO(self.csv()))
        more = [["…"] * len(head)] if len(rows) >= MOST_SHOWN else []
        return html_lines([self.title]) + html_table(head, [*rows[: MOST_SHOWN - 1], *more])

    @property
    def title(self) -> str:
        """The number of series and of steps, in a line."""
        series = number_of(self.values.shape[0], "series", "series")
        return f"forecast of {series}, {number_of(self.values.shape[1], 'step')} of {self.panel.grid.every}"

    @property
    def notes(self) -> tuple[str, ...]:
        """For the user, a line each: what was changed in the data, and what is left out."""
        left_out = (f"{name!r} is left out: it has {reason}" for name, reason in self.left_out.items())
        return tuple(f"{self.panel.name}: {note}" for note in (*self.panel.notes, *left_out))

    def times(self, record: int) -> list[str]:
        """The stamps of the steps of one series, as the file writes them."""
        end = self.panel.records[record].end
        return [self.panel.grid.text(end + step) for step in range(self.values.shape[1])]

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row for each series, step and column: time, series, column, value, and a key for each quantile."""
        for record, one in enumerate(self.panel.records):
            for step, time in enumerate(self.times(record)):
                for place, column in enumerate(self.panel.targets):
                    row: dict[str, Any] = {"time": time, "series": one.name, "column": column}
                    row["value"] = float(self.values[record, step, place])
                    quantiles = self.quantiles[record, step, place].tolist()
                    yield row | {f"q{level:g}": value for level, value in zip(self.levels, quantiles, strict=True)}

    def frame(self, like: Any = None, series: str = "series") -> Any:
        """The steps as a frame of the library that made `like`, whose times and names of series have the types of its
        columns, and are its index where they are that of `like`; without it, or like rows of dicts, a frame of polars.

        Columns: the time, the series where they have names, each target under its name, and its quantiles as
        `load_q0.1`.

        series: the name of the column of series
        """
        import polars as pl

        types = with_steps(polars_frame(like)).schema if like is not None else {}
        steps, time = self.values.shape[1], self.panel.time_column
        texts = [text for record in range(len(self.panel.records)) for text in self.times(record)]
        columns: dict[str, list[Any]] = {time: _typed(texts, types.get(time, pl.String()))}
        names = [one.name for one in self.panel.records for _ in range(steps)]
        if any(names):
            columns[series] = pl.Series(names).cast(types.get(series, pl.String())).to_list()
        for place, column in enumerate(self.panel.targets):
            columns[column] = self.values[:, :, place].ravel().tolist()
            for number, level in enumerate(self.levels):
                columns[f"{column}_q{level:g}"] = self.quantiles[:, :, place, number].ravel().tolist()
        return frame_like(columns, like, times=time)

    def csv(self) -> str:
        """The rows as a table with a header, without a column of series where the file has none.

        A number has seven significant digits, and more where the values of the column differ only in later ones.
        """
        digits = dict(zip(self.panel.targets, map(self._digits, range(len(self.panel.targets))), strict=True))
        rows = [
            {name: f"{v:.{digits[row['column']]}g}" if isinstance(v, float) else v for name, v in row.items()}
            for row in self.rows()
        ]
        names = [name for name in rows[0] if name != "series" or any(row["series"] for row in rows)]
        text = io.StringIO()
        writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def _digits(self, column: int) -> int:
        """Significant digits that show a column's steps: seven of its spread, whatever its level."""
        values = np.concatenate([self.values[..., column].ravel(), self.quantiles[:, :, column].ravel()])
        largest, spread = float(np.abs(values).max()), float(np.ptp(values))
        more = math.ceil(math.log10(largest / spread)) if 0 < spread < largest else 0
        return min(7 + more, 16)

    def record(self) -> dict[str, Any]:
        """Plain JSON types: the file, the step, the rows, the last values that were seen, one row each, and the series
        that are left out, if any.
        """
        record = {
            "source": self.panel.name,
            "every": self.panel.grid.every,
            "forecast": list(self.rows()),
            "seen": list(self._seen()),
        }
        left_out = [{"series": name, "reason": reason} for name, reason in self.left_out.items()]
        return {**record, "left_out": left_out} if left_out else record

    def _seen(self) -> Iterator[dict[str, Any]]:
        for one in self.panel.records:
            for step in range(max(0, len(one.values) - self.context), len(one.values)):
                time = self.panel.grid.text(one.start + step)
                for place, column in enumerate(self.panel.targets):
                    yield {"time": time, "series": one.name, "column": column, "value": float(one.values[step, place])}


def _typed(texts: list[str], kind: polars.DataType) -> list[Any]:
    """Times as values of a column's type."""
    import polars as pl

    if kind == pl.String:
        return texts
    if kind.is_numeric():
        whole = pl.Series(texts).cast(pl.Int64, strict=False)  # float64 has no nanoseconds of today
        return (pl.Series(texts).cast(pl.Float64) if whole.null_count() else whole).cast(kind).to_list()
    column = pl.Series([datetime.fromisoformat(text) for text in texts])
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        column = column.dt.convert_time_zone(kind.time_zone)
    return column.cast(kind).to_list()
