#!/usr/bin/env bash
# rapidfuzz 3.14.6: sequences of floats or tuples that differ have the edit distance 0, as only the hashes are compared.
#
# Python gives many values the same hash: -1.0 and -2.0, (-1,) and (-2,), 0.5 and 2**60. RapidFuzz treats integers
# apart, but takes a text of one character as its code point, so the tokens ["a"] and [97] are equal. editdistance 0.8.1
# compares hashes too, those of the integers -1 and -2 included; its README says "if object's hash is same, it's same",
# while RapidFuzz asks for hashable elements without a word on it.
#
# Why a good guess is wrong: a hash is only a hint of equality everywhere else in Python (a dictionary compares the
# values as well), and one expects collisions of 64 bits never to happen, but these are fixed. Error rates over
# quantized or pitch values, or over (time, pitch) pairs, come out too low. Number the distinct elements from 0 first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile rapidfuzz==3.14.6 editdistance==0.8.1
"$folder/venv/bin/python" - <<'PY'
import sys

import editdistance
from rapidfuzz.distance import Levenshtein

pairs = {
    "floats": ([-1.0, 2.0], [-2.0, 2.0]),
    "floats far apart": ([0.5, 3.0], [float(2**60), 3.0]),
    "pairs": ([(0, -1), (1, 5)], [(0, -2), (1, 5)]),
    "integers": ([-1, 2], [-2, 2]),
    "text and number": (["a", "b"], [97, 98]),
    "distinct": ([1.0, 2.0], [4.0, 2.0]),
}
seen = {}
for name, (first, second) in pairs.items():
    different = sum(a != b for a, b in zip(first, second))
    seen[name] = Levenshtein.distance(first, second), editdistance.eval(first, second)
    print(f"{name}: {first} and {second}: {different} different, rapidfuzz {seen[name][0]}, editdistance {seen[name][1]}")
zero = all(seen[name] == (0, 0) for name in ("floats", "floats far apart", "pairs"))
sys.exit(not (zero and seen["integers"] == (1, 0) and seen["text and number"] == (0, 2) and seen["distinct"] == (1, 1)))
PY
