"""Tables as PostgreSQL's COPY writes them."""

from tests.formats.cases import Case

PAIRS = [('say "no"', "nein"), ("line\nbreak", "Zeile\tTab"), ("back\\slash", "plain")]
COLUMNS = {"source_column": "en", "target_column": "de"}
STEPS = [[0.0], [1.0], [2.0], [3.0]]
ESCAPES = "backslashes are escapes"
CASES = [
    Case("copy.tsv", "COPY as text", "translation", PAIRS, notes=(ESCAPES, "no header")),
    Case("copy_header.tsv", "COPY as text with a header", "translation", PAIRS, COLUMNS, notes=(ESCAPES,)),
    Case("copy.csv", "COPY as CSV", "translation", PAIRS, COLUMNS),
    Case("zone.csv", "COPY as CSV, times with +02", "forecasting", [("", "2024-07-01 22:00:00+02:00", STEPS)]),
    Case("fine.tsv", "COPY as text, times below the second", "forecasting", [("", "2024-07-01 00:00:00", STEPS)]),
]
