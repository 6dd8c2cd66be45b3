"""Tables as pandas writes them."""

import bz2
import lzma

import pandas

VERSION = f"pandas {pandas.__version__}"
PAIRS = pandas.DataFrame({"source": ['say "no"', "line\nbreak", "plain"], "target": ["nein", "Zeile\tTab", "schlicht"]})
NAMED = PAIRS.rename(columns={"source": "en", "target": "de"})

FILES = {
    "pairs.csv": lambda path: PAIRS.to_csv(path, index=False),
    "index.csv": NAMED.to_csv,
    "european.csv": lambda path: NAMED.to_csv(path, index=False, sep=";", decimal=","),
    "pairs.tsv": lambda path: PAIRS.to_csv(path, index=False, sep="\t"),
    "all_quoted.tsv": lambda path: NAMED.to_csv(path, index=False, sep="\t", quoting=1),
    "pairs.tsv.bz2": lambda path: path.write_bytes(bz2.compress(PAIRS.to_csv(index=False, sep="\t").encode())),
    "pairs.csv.xz": lambda path: path.write_bytes(lzma.compress(PAIRS.to_csv(index=False).encode())),
    "records.json": lambda path: NAMED.to_json(path, orient="records"),
    "columns.json": NAMED.to_json,
    "lines.jsonl": lambda path: NAMED.to_json(path, orient="records", lines=True),
    "pairs.parquet": NAMED.to_parquet,
    "filtered.parquet": NAMED.iloc[[2, 0, 1]].to_parquet,
    "pairs.feather": NAMED.to_feather,
}
