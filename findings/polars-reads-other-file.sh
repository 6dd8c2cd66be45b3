#!/usr/bin/env bash
# polars 2.1.0: reading the existing file "run[1].parquet" returns the content of "run1.parquet".
#
# read_* and scan_* of parquet, CSV, JSON lines and IPC expand every path as a pattern, even a pathlib.Path that names
# an existing file. Without a file "run1.parquet" they report "expanded paths were empty". `glob=False` reads the
# right file, but read_ndjson, scan_ndjson and read_ipc do not have it.
#
# Why a good guess is wrong: write_parquet with the same path writes the file of exactly this name, and a path that
# exists is expected to win over a pattern. Files named after a setting, such as "lr=[1].csv", are common.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
cat > "$folder/read.py" <<'PY'
import sys
from pathlib import Path

import polars as pl

folder = Path(sys.argv[1])
kinds = {
    "parquet": (pl.DataFrame.write_parquet, pl.read_parquet),
    "csv": (pl.DataFrame.write_csv, pl.read_csv),
    "jsonl": (pl.DataFrame.write_ndjson, pl.read_ndjson),
    "arrow": (pl.DataFrame.write_ipc, pl.read_ipc),
}
wrong = []
for suffix, (write, read) in kinds.items():
    for stem in ("run1", "run[1]"):
        write(pl.DataFrame({"text": [f"written to {stem}"]}), folder / f"{stem}.{suffix}")
    text = read(folder / f"run[1].{suffix}").item()
    wrong.append(text == "written to run1")
    print(f"{read.__name__} of run[1].{suffix}: {text}")
right = pl.read_parquet(folder / "run[1].parquet", glob=False).item()
print(f"read_parquet of run[1].parquet with glob=False: {right}")
sys.exit(not (all(wrong) and right == "written to run[1]"))
PY
"$folder/venv/bin/python" "$folder/read.py" "$folder"
