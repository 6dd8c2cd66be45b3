"""Tables as pandas writes them."""

from tests.formats.cases import Case

PAIRS = [('say "no"', "nein"), ("line\nbreak", "Zeile\tTab"), ("plain", "schlicht")]
SHUFFLED = [PAIRS[2], PAIRS[0], PAIRS[1]]
NAMED = "the source is 'en', the target is 'de'"
QUOTED = "cells are quoted as in CSV"
CASES = [
    Case("pairs.csv", "CSV with quoted cells", "translation", PAIRS),
    Case("index.csv", "CSV with its index", "translation", PAIRS, notes=("the column '' only numbers the rows", NAMED)),
    Case("european.csv", "CSV with semicolons", "translation", PAIRS, notes=("separated by semicolons", NAMED)),
    Case("pairs.tsv", "TSV with quoted cells", "translation", PAIRS, notes=(QUOTED,)),
    Case("all_quoted.tsv", "TSV with all cells quoted", "translation", PAIRS, notes=(QUOTED, NAMED)),
    Case("pairs.tsv.bz2", "TSV, compressed by bzip2", "translation", PAIRS, notes=(QUOTED,)),
    Case("pairs.csv.xz", "CSV, compressed by xz", "translation", PAIRS),
    Case("records.json", "JSON, an array of objects", "translation", PAIRS, notes=(NAMED,)),
    Case("columns.json", "JSON, an object of columns", "translation", PAIRS, notes=(NAMED,)),
    Case("lines.jsonl", "JSON Lines", "translation", PAIRS, notes=(NAMED,)),
    Case("pairs.parquet", "parquet", "translation", PAIRS, notes=(NAMED,)),
    Case("filtered.parquet", "parquet with its index", "translation", SHUFFLED, notes=("'__index_level_0__'", NAMED)),
    Case("pairs.feather", "Feather", "translation", PAIRS, notes=(NAMED,)),
]
