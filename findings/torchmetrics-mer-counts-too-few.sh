#!/usr/bin/env bash
# torchmetrics 1.9.0: MER, WIL and WIP are wrong where a sentence has a word too many and one too few.
#
# All three count hits in the alignment of the two texts. torchmetrics (functional/text/mer.py, wil.py, wip.py) takes the
# longer of both lengths for the length of the alignment, and that less the edit distance for the hits. An alignment with a
# deletion and an insertion is longer, so MER and WIL come out too high and WIP too low. jiwer counts the alignment; below,
# an own search over all alignments with the fewest errors agrees with it. Reported: issue 3511, open.
#
# Why a good guess is wrong: WER and CER of the same package are exact, the docstring of MatchErrorRate gives the formula
# with hits, and the tests compare with jiwer, but on texts where one length suffices. One word that moves makes the error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 torchmetrics==1.9.0 jiwer==4.0.0
"$folder/venv/bin/python" - <<'PY'
import sys
from functools import cache

import jiwer
from torchmetrics.functional.text import match_error_rate, word_information_lost, word_information_preserved

texts = {
    "a word replaced": ("set the alarm for seven", "set the alarm for eleven"),
    "a word missing": ("set the alarm for seven", "set the alarm seven"),
    "one too few, one too many": ("set the alarm for seven", "please set the alarm seven"),
    "a word moved": ("now set the alarm for seven", "set the alarm for seven now"),
}


def counts(reference, hypothesis):
    """The pairs (errors, hits) of all alignments with the fewest errors."""

    @cache
    def best(i, j):
        if i == len(reference) or j == len(hypothesis):
            return {(len(reference) - i + len(hypothesis) - j, 0)}
        same = reference[i] == hypothesis[j]
        found = {(errors + (not same), hits + same) for errors, hits in best(i + 1, j + 1)}
        found |= {(errors + 1, hits) for errors, hits in best(i + 1, j) | best(i, j + 1)}
        fewest = min(errors for errors, _ in found)
        return {pair for pair in found if pair[0] == fewest}

    return best(0, 0)


wrong = {}
for name, (reference, hypothesis) in texts.items():
    words = reference.split(), hypothesis.split()
    (errors, hits), *others = counts(*words)
    assert not others, "the hits would depend on the alignment"
    share = hits / len(words[0]) * hits / len(words[1])
    truth = errors / (errors + hits), 1 - share, share
    theirs = [
        float(metric(hypothesis, reference))
        for metric in (match_error_rate, word_information_lost, word_information_preserved)
    ]
    peer = jiwer.mer(reference, hypothesis), jiwer.wil(reference, hypothesis), jiwer.wip(reference, hypothesis)
    assert all(abs(a - b) < 1e-6 for a, b in zip(peer, truth))
    wrong[name] = [abs(a - b) for a, b in zip(theirs, truth)]
    for metric, a, b in zip(("MER", "WIL", "WIP"), theirs, truth):
        print(f"{name}: {metric} {a:.3f} in torchmetrics, {b:.3f} by the alignment and in jiwer")
right = [wrong.pop(name) for name in ("a word replaced", "a word missing")]
sys.exit(not (max(map(max, right)) < 1e-6 and min(map(min, wrong.values())) > 0.04))
PY
