"""Data sets of GluonTS, and a file of the Monash archive."""

from tests.formats.cases import Case

LINES = "JSON lines, one series each"
MONTHS = [("T1", "1979-11-01", [[1.5], *([i] for i in range(2, 11))]), ("T2", "1980-01-01", [[10.0], [20.0], [30.0]])]
CASES = [
    Case("days/train/data.json.gz", f"{LINES}, gzip", "forecasting",
         [("a", "2024-02-28", [[1.0], [2.0], [3.0]]), ("b", "2024-02-29", [[4.0], [5.0], [6.0]])]),
    Case("hours/train/data.json", f"{LINES}, two channels", "forecasting",
         [("a", "2024-02-28 23:00:00", [[1.0, 3.0], [2.0, 4.0]])]),
    Case("weeks/train/data.json", f"{LINES}, weeks", "forecasting", [("1", "2024-01-01", [[1.0], [2.0]])]),
    Case("quarters/train/data.json", f"{LINES}, quarters with holes", "forecasting",
         [("1", "2023Q4", [[1.0], [2.0], [3.0]])], {"fill": "linear"}),
    Case("years/train/data.json", f"{LINES}, years", "forecasting", [("1", "2023-01-01", [[1.0], [2.0]])]),
    Case("tourism.tsf", "Monash archive", "forecasting", MONTHS, {"fill": "linear"}, ("1 missing cell filled",)),
]  # fmt: skip
