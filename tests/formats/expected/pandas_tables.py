"""Tables as pandas writes them."""

from tests.formats.cases import Case

PAIRS = [('say "no"', "nein"), ("line\nbreak", "Zeile\tTab"), ("plain", "schlicht")]
CASES = [
    Case("pairs.csv", "CSV with quoted cells", "translation", PAIRS),
]
