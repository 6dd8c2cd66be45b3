"""Times of day of a zone whose clocks change."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from sightline.core.errors import InputError

_APART = 12 * 3_600 * 1_000_000  # microseconds between the hours of two changes, at the least


class Zone(NamedTuple):
    """A zone such as Europe/Berlin, for times of the `series` (N,); None = they are all of one."""

    name: str
    series: np.ndarray | None = None


class Utc(NamedTuple):
    """Times of day in UTC.

    unclear: (N,) bool, times that do not exist in the zone, or twice without the rows saying which is meant
    by_order: the number of times that exist twice and that the order of rows tells apart
    """

    values: np.ndarray
    unclear: np.ndarray
    by_order: int


def check_zone(name: str | None) -> None:
    """Raises `InputError` for a zone that does not exist."""
    try:
        ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        raise InputError(
            f"unknown zone {name!r}: expected UTC or a name such as Europe/Berlin", where="--time-zone"
        ) from None


def in_utc(local: np.ndarray, zone: Zone) -> Utc:
    """Microseconds (N,) of the zone's clocks as those of UTC.

    Clocks that are put back show an hour twice. Where the rows of a series go through it twice, each time in order, the
    first time is before the change.
    """
    import polars as pl

    naive = pl.Series(local).cast(pl.Datetime("us"))
    first, second = (
        naive.dt.replace_time_zone(zone.name, ambiguous=which, non_existent="null").to_physical()
        for which in ("earliest", "latest")
    )
    unclear = first.is_null().to_numpy().copy()
    values, later = (times.fill_null(0).to_numpy().copy() for times in (first, second))
    twice = np.flatnonzero(values != later)
    for rows in _passes(local, twice, zone.series):
        back = np.flatnonzero(np.diff(local[rows]) <= 0)
        if len(back) == 1:
            values[rows[back[0] + 1 :]] = later[rows[back[0] + 1 :]]
        else:
            unclear[rows] = True
    return Utc(values, unclear, len(twice) - int(unclear[twice].sum()))


def _passes(local: np.ndarray, twice: np.ndarray, series: np.ndarray | None) -> list[np.ndarray]:
    """The rows `twice`, in their order, by series and by the change of clocks that they are near."""
    if not len(twice):
        return []
    times = np.unique(local[twice])
    change = np.cumsum(np.diff(times, prepend=times[0]) > _APART)[np.searchsorted(times, local[twice])]
    names = (
        np.zeros(len(twice), int) if series is None else np.unique(series[twice].astype(str), return_inverse=True)[1]
    )
    keys = names * (change.max() + 1) + change
    return [twice[keys == key] for key in np.unique(keys)]
