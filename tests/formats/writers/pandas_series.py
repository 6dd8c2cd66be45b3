"""Time series as pandas writes them."""

import pandas

VERSION = f"pandas {pandas.__version__}"


def by(index, **columns):
    """A frame with the values 0, 1, 2 and so on, and other columns."""
    return pandas.DataFrame({"v": [float(i) for i in range(len(index))], **columns}, index=index)


def with_column(index, **columns):
    """The same with the times in a column, and pandas' counting index."""
    return by(range(len(index)), when=index, **columns)


RANGE = pandas.date_range
HOURS = RANGE("2024-03-31 00:00", periods=4, freq="h", tz="Europe/Berlin")  # 00:00, 01:00, 03:00, 04:00
FILES = {
    "hours.csv": lambda path: by(RANGE("2024-02-28 23:00", periods=4, freq="h")).to_csv(path),
    "counted.csv": lambda path: with_column(RANGE("2024-02-28", periods=10)).to_csv(path),
    "milliseconds.csv": lambda path: by(RANGE("2024-01-01", periods=4, freq="500ms")).to_csv(path),
    "zone.csv": lambda path: by(HOURS).to_csv(path),
    "days-of-a-zone.csv": lambda path: by(RANGE("2024-03-30", periods=4, tz="Europe/Berlin")).to_csv(path),
    "weeks.csv": lambda path: by(pandas.period_range("2023-12-25", periods=3, freq="W")).to_csv(path),
    "months.csv": lambda path: by(pandas.period_range("2023-11", periods=3, freq="M")).to_csv(path),
    "quarters.csv": lambda path: by(pandas.period_range("2023Q3", periods=3, freq="Q")).to_csv(path),
    "business-days.csv": lambda path: by(pandas.bdate_range("2024-02-29", periods=4)).to_csv(path),
    "business-month-ends.csv": lambda path: by(RANGE("2024-02-01", periods=3, freq="BME")).to_csv(path),
    "compact.csv": lambda path: by(RANGE("2024-02-28", periods=10)).to_csv(path, date_format="%Y%m%d"),
    "epoch.csv": lambda path: by(RANGE("2016-07-01 13:00", periods=3, freq="500ms").astype("int64") / 1e9).to_csv(path),
    "nanoseconds.csv": lambda path: by(RANGE("2016-07-01 13:00", periods=3, freq="h").astype("int64")).to_csv(path),
    "missing.csv": lambda path: by(RANGE("2024-01-01", periods=10), w=[0.5, None, *range(8)]).to_csv(path),
    "european.csv": lambda path: (by(RANGE("2024-02-28", periods=10)) / 2).to_csv(path, sep=";", decimal=","),
    "typed.parquet": lambda path: with_column(RANGE("2024-02-28", periods=3), day=[1, 1, 1]).to_parquet(path),
    "index.parquet": lambda path: by(RANGE("2024-02-28", periods=3)).to_parquet(path),
}
