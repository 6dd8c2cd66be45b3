"""Tables as polars writes them."""

from tests.formats.cases import Case

PAIRS = [('sag "nein"', "no"), ("Zeile\nUmbruch", "line\ttab"), ("schlicht", "plain")]
NAMED = "the source is 'de', the target is 'en'"
FIELDS = {"source_column": "translation.en", "target_column": "translation.de"}
CASES = [
    Case("pairs.csv", "CSV with quoted cells", "translation", PAIRS, notes=(NAMED,)),
    Case("pairs.tsv", "TSV with quoted cells", "translation", PAIRS, notes=("cells are quoted as in CSV", NAMED)),
    Case("semicolons.csv", "CSV with semicolons", "translation", PAIRS, notes=("separated by semicolons", NAMED)),
    Case("lines.ndjson", "JSON Lines", "translation", PAIRS, notes=(NAMED,)),
    Case("array.json", "JSON, an array of objects", "translation", PAIRS, notes=(NAMED,)),
    Case("pairs.parquet", "parquet", "translation", PAIRS, notes=(NAMED,)),
    Case("file.arrow", "Arrow", "translation", PAIRS, notes=(NAMED,)),
    Case("stream.arrow", "Arrow, a stream", "translation", PAIRS, notes=(NAMED,)),
    Case("compressed.feather", "Feather, compressed by zstd", "translation", PAIRS, notes=(NAMED,)),
    Case("struct.parquet", "parquet with a struct", "translation", [(b, a) for a, b in PAIRS], FIELDS),
]
