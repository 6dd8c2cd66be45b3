#!/usr/bin/env bash
# polars 2.1.0: read_ndjson drops a field without a message if its first 100 rows lack it.
#
# The columns come from the first infer_schema_length (100) rows. A field that appears later is missing from the frame,
# with all its values; scan_ndjson does the same. read_json raises for the same rows ("extra field in struct data").
#
# Why a good guess is wrong: the documentation calls these rows a sample for the types, and a type that the sample does
# not show does raise: 0.5 after 100 integers gives "cannot parse". JSON lines are used because rows may differ, and in
# corpora with optional labels or translations the first 100 rows often lack one. `infer_schema_length=None` keeps all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$folder/venv/bin/python" - <<'PY'
import io
import json
import sys

import polars as pl


def columns(read, data, **options):
    try:
        return read(io.BytesIO(data), **options).lazy().collect().columns
    except pl.exceptions.ComputeError as error:
        return f"ComputeError: {str(error)[:60]}"


rows = [{"text": f"sentence {i}", "score": 0} for i in range(100)]
labelled = [*rows, *({"text": f"sentence {i}", "score": 0, "label": "x"} for i in range(100, 1000))]
lines = "\n".join(map(json.dumps, labelled)).encode()
other = "\n".join(map(json.dumps, [*rows, {"text": "sentence", "score": 0.5}])).encode()
seen = {
    "read_ndjson, 900 of 1000 rows labelled": columns(pl.read_ndjson, lines),
    "scan_ndjson, the same": columns(pl.scan_ndjson, lines),
    "read_ndjson, infer_schema_length=None": columns(pl.read_ndjson, lines, infer_schema_length=None),
    "read_json, the same rows": columns(pl.read_json, json.dumps(labelled).encode()),
    "read_ndjson, a late 0.5": columns(pl.read_ndjson, other),
}
for name, result in seen.items():
    print(f"{name}: {result}")
first, second, everything, array, late = seen.values()
errors = isinstance(array, str) and isinstance(late, str)
sys.exit(not (first == second == ["text", "score"] and everything == ["text", "score", "label"] and errors))
PY
