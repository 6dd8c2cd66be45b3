#!/usr/bin/env bash
# nltk 3.10.4: LEPOR multiplies by up to e where hypothesis and reference differ in length, aligns a repeated word with
# the farthest of its places, and tokenizes the caller's references in place.
#
# The penalty of the paper is exp(1 - r / c) for a hypothesis of c words shorter than the r of its reference, and
# exp(1 - c / r) for a longer one: 1 or less. length_penalty (translate/lepor.py) has the two ratios the other way
# round, both below 1, so that it is 1 or more, and makes up for what precision and recall take off: eight words too
# many after eight right ones score 0.96 instead of 0.21. alignment keeps a place of a word when its distance is larger
# than the "minimum" so far, which begins at 0: the farthest place, or the first word if every distance is 0. So a text
# with repeated words, compared with itself, has less than 1. sentence_lepor writes the tokens into the caller's list.
#
# Why a good guess is wrong: texts of one length without repetitions are right; the names say penalty and min_distance;
# and the other factors lower what is too high, so that hardly a score exceeds 1. References that are scored for a
# second system are lists of tokens by then, at which a tokenizer stops.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile click==8.5.1 defusedxml==0.7.1 \
    joblib==1.6.0 nltk==3.10.4 regex==2026.11.19 tqdm==4.70.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import math
import sys

from nltk.translate.lepor import length_penalty, sentence_lepor


def score(reference, hypothesis):
    return sentence_lepor([reference], hypothesis, tokenizer=str.split)[0]


def penalty_of_paper(reference, hypothesis):
    r, c = len(reference), len(hypothesis)
    return math.exp(1 - max(r / c, c / r))


reference = "the committee approves a new budget for schools"
hypotheses = {
    "the same": reference,
    "one word too many": f"{reference} uh",
    "three words too many": f"{reference} uh uh uh",
    "three words too few": "the committee approves a new",
    "eight words too many": f"{reference} {'uh ' * 8}".strip(),
}
scores, penalties = {}, {}
for name, hypothesis in hypotheses.items():
    words = reference.split(), hypothesis.split()
    penalties[name] = length_penalty(*words), penalty_of_paper(*words)
    scores[name] = score(reference, hypothesis)
    right = scores[name] / penalties[name][0] * penalties[name][1]
    print(
        f"{name}: LEPOR {scores[name]:.3f} with a penalty of {penalties[name][0]:.3f}; "
        f"{right:.3f} with the paper's {penalties[name][1]:.3f}"
    )
rewarded = min(scores["one word too many"], scores["three words too many"]) > 0.98
inverse = all(abs(math.log(ours)) > 0.1 and ours > 1 > paper for ours, paper in list(penalties.values())[1:])

repeated = "the price of oil and the price of gas rose and the price of coal fell"
itself = score(repeated, repeated)
print(f"a text with repeated words, compared with itself: {itself:.3f}")

references = [reference]
first = sentence_lepor(references, reference, tokenizer=lambda text: text.split())
print(f"references after a call: {references}")
try:
    second = sentence_lepor(references, reference, tokenizer=lambda text: text.split())
except AttributeError as error:
    second = str(error)
print(f"the same call again: {second}")
changed = references == [reference.split()] and abs(first[0] - 1) < 1e-9 and isinstance(second, str)
sys.exit(not (abs(scores["the same"] - 1) < 1e-9 and rewarded and inverse and itself < 0.7 and changed))
PY
