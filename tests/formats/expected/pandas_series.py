"""Time series as pandas writes them."""

from tests.formats.cases import Case


def case(file: str, kind: str, first: str, steps: int = 3, *, notes: tuple[str, ...] = (), **keys: str) -> Case:
    """A file with the values 0, 1, 2 and so on from the time `first`."""
    return Case(file, kind, "forecasting", [("", first, [[float(i)] for i in range(steps)])], keys, notes)


ZONE = {"time_zone": "Europe/Berlin"}
CASES = [
    case("hours.csv", "CSV by hours", "2024-02-28 23:00:00", 4),
    case("counted.csv", "CSV with pandas' index", "2024-02-28", 10, notes=("only numbers the rows",)),
    case("milliseconds.csv", "CSV by milliseconds", "2024-01-01 00:00:00", 4),
    case("zone.csv", "CSV with offsets that change", "2024-03-31 00:00:00+01:00", 4, **ZONE),
    case("days-of-a-zone.csv", "CSV with days of 23 hours", "2024-03-30 00:00:00+01:00", 4, **ZONE),
    case("weeks.csv", "CSV by weeks (periods)", "2023-12-25"),
    case("months.csv", "CSV by months (periods)", "2023-11-01"),
    case("quarters.csv", "CSV by quarters (periods)", "2023Q3"),
    case("business-days.csv", "CSV by business days", "2024-02-29", 4, calendar="business"),
    case("business-month-ends.csv", "CSV by the last business days of months", "2024-02-29"),
    case("compact.csv", "CSV with dates as whole numbers", "20240228", 10, notes=("are read as dates",)),
    case("epoch.csv", "CSV with seconds since 1970", "1467378000"),
    case("nanoseconds.csv", "CSV with nanoseconds since 1970", "1467378000000000000"),
    Case("missing.csv", "CSV with holes", "forecasting",
         [("", "2024-01-01", [[0.0, 0.5], [1.0, 0.25], *([i + 2.0, i] for i in range(8))])],
         {"fill": "linear"}, ("1 missing cell filled",)),
    Case("european.csv", "CSV with semicolons and decimal commas", "forecasting",
         [("", "2024-02-28", [[i / 2] for i in range(10)])], notes=("semicolon", "decimal comma")),
    Case("typed.parquet", "parquet with a column of type datetime", "forecasting",
         [("", "2024-02-28 00:00:00", [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])]),
    case("index.parquet", "parquet with an index of times", "2024-02-28 00:00:00"),
]  # fmt: skip
