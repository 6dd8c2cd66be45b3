"""Tables as PostgreSQL's COPY writes them."""

from tests.formats.cases import Case

PAIRS = [('say "no"', "nein"), ("line\nbreak", "Zeile\tTab"), ("back\\slash", "plain")]
COLUMNS = {"source_column": "en", "target_column": "de"}
ESCAPES = "backslashes are escapes"
CASES = [
    Case("copy.tsv", "COPY as text", "translation", PAIRS, notes=(ESCAPES, "no header")),
    Case("copy_header.tsv", "COPY as text with a header", "translation", PAIRS, COLUMNS, notes=(ESCAPES,)),
    Case("copy.csv", "COPY as CSV", "translation", PAIRS, COLUMNS),
]
