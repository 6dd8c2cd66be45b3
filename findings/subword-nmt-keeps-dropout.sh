#!/usr/bin/env bash
# subword-nmt 0.3.8: after BPE dropout, the same BPE object without dropout returns what dropout split last.
#
# Words are cached so that each is encoded once. With dropout, the cache is not read, but it is written all the same (at
# the end of encode, apply_bpe.py): the random segmentation of a word replaces the right one, and a later call with
# dropout=0 reads it. So validation data that an object segments after an epoch of training data are split as the last
# sentence with each word was. Words that training did not have are right, and so is everything before the first
# dropout.
#
# Why a good guess is wrong: dropout is an argument of the call, 0 by default, and help says "Use this on training data
# only"; the cache is passed over with dropout, which looks like the care that this needs; what comes out is valid
# subwords that join to the right text, and the same in every later call. Keep two objects, or empty cache.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    mock==5.2.0 subword-nmt==0.3.8 tqdm==4.67.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import io
import random
import sys

from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

TEXT = "the newest lowest widest tower shows the lowest newest power of the widest flower in the newest tower"
codes = io.StringIO()
learn_bpe(io.StringIO(f"{TEXT}\n" * 20), codes, 25)


def length(line):
    return len(line.split())


fresh = BPE(codes).process_line(TEXT)
bpe = BPE(codes)
first = bpe.process_line(TEXT)
print(f"before dropout, {length(first)} subwords:\n  {first}")
random.seed(0)
dropped = [bpe.process_line(TEXT, dropout=0.5) for _ in range(3)]
print(f"with dropout 0.5, {', '.join(str(length(line)) for line in dropped)} subwords")
later = [bpe.process_line(TEXT) for _ in range(3)]
print(f"without dropout again, {', '.join(str(length(line)) for line in later)} subwords:\n  {later[0]}")
words = {}
for word in dropped[-1].replace("@@ ", "\0").split():
    words[word.replace("\0", "")] = word.replace("\0", "@@ ")
last = " ".join(words[word] for word in TEXT.split())
print(f"each word as dropout split it last: {last == later[0]}")
bpe.cache.clear()
emptied = bpe.process_line(TEXT)
print(f"with an empty cache, {length(emptied)} subwords")
joined = all(line.replace("@@ ", "") == TEXT for line in (first, *dropped, *later))
kept = len(set(later)) == 1 and later[0] == last and length(later[0]) > 1.5 * length(first)
sys.exit(not (first == fresh == emptied and joined and kept))
PY
