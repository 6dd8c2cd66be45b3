#!/usr/bin/env bash
# zstandard 0.25.0: a .zst file that was cut short is read up to the cut, without an error.
#
# `zstandard.open(path)` and `ZstdDecompressor().stream_reader(file).read()` return what the complete blocks contain and
# then the end of the file, though the frame has no end and its checksum was never compared. Python's own readers of gzip,
# bzip2 and xz raise EOFError for the same cut, and so does backports.zstd (compression.zstd of Python 3.14).
#
# Why a good guess is wrong: `zstandard.open` is offered as the counterpart of gzip.open, and a frame written by default
# records its length; half of a corpus is then trained on as if it were the whole.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zstandard==0.25.0 backports.zstd==1.8.0
cd "$folder"
venv/bin/python - <<'PY'
import bz2
import gzip
import lzma
import random

import zstandard
from backports import zstd

random.seed(0)
lines = "".join(f"{random.random()}\n" for _ in range(40_000)).encode()
writers = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstandard": lambda content: zstandard.ZstdCompressor(write_checksum=True).compress(content),
    "backports.zstd": zstd.compress,
}
readers = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open, "zstandard": zstandard.open, "backports.zstd": zstd.open}
seen = {}
for name, write in writers.items():
    whole = write(lines)
    with open(name, "wb") as file:
        file.write(whole[: len(whole) // 2])
    try:
        with readers[name](name, "rb") as file:
            seen[name] = f"{100 * len(file.read()) / len(lines):.0f} % of the lines, no error"
    except EOFError:
        seen[name] = "EOFError"
for name, outcome in seen.items():
    print(f"{name:15} {outcome}")
silent = [name for name, outcome in seen.items() if "no error" in outcome]
assert silent == ["zstandard"], silent
PY
