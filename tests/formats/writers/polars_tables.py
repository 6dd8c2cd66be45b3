"""Tables as polars writes them."""

import polars

VERSION = f"polars {polars.__version__}"
PAIRS = polars.DataFrame({"de": ['sag "nein"', "Zeile\nUmbruch", "schlicht"], "en": ["no", "line\ttab", "plain"]})

FILES = {
    "pairs.csv": PAIRS.write_csv,
    "pairs.tsv": lambda path: PAIRS.write_csv(path, separator="\t"),
    "semicolons.csv": lambda path: PAIRS.write_csv(path, separator=";"),
    "lines.ndjson": PAIRS.write_ndjson,
    "array.json": PAIRS.write_json,
    "pairs.parquet": PAIRS.write_parquet,
    "file.arrow": PAIRS.write_ipc,
    "stream.arrow": PAIRS.write_ipc_stream,
    "compressed.feather": lambda path: PAIRS.write_ipc(path, compression="zstd"),
    "struct.parquet": lambda path: PAIRS.select(translation=polars.struct("de", "en")).write_parquet(path),
}
