#!/usr/bin/env bash
# sacrebleu 2.6.0: an empty line for a missing second reference raises BLEU and TER; None leaves both as they are.
#
# README and docstring say that '' or None marks a missing reference. Only None is left out (metrics/base.py); '' is a
# reference of no words. BLEU takes the length of the closest reference, and 0 is the closest for a translation shorter
# than half of the real one, so a system that leaves words out escapes the brevity penalty (48.5 instead of 42.4 below).
# TER divides by the mean length of the references, which 0 lowers (47 instead of 29). chrF alone stays.
#
# Why a good guess is wrong: the documentation says so and shows '' in its example, the signature says nrefs:var either
# way, and an empty line is the only way to leave a reference out of a file, so the command line is affected. The two
# errors go in opposite directions: one makes a system look better, the other worse.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile sacrebleu==2.6.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import subprocess
import sys
import tempfile
from pathlib import Path

from sacrebleu.metrics import BLEU, CHRF, TER

hypotheses = ["the cat sat on the mat", "a dog ran", "he reads a long book", "no"]
first = ["the cat sat on a mat", "a dog ran away", "he reads a book", "no thank you"]
ways = {"one reference": [first], "'' as second": [first, [""] * 4], "None as second": [first, [None] * 4]}
scores = {}
for metric in (BLEU(effective_order=True), CHRF(), TER()):
    name = type(metric).__name__
    scores[name] = [round(metric.corpus_score(hypotheses, references).score, 1) for references in ways.values()]
    print(f"{name}: " + ", ".join(f"{way} {score}" for way, score in zip(ways, scores[name])))
outputs = {}
with tempfile.TemporaryDirectory() as folder:
    for name, lines in {"hypotheses": hypotheses, "first": first, "second": [""] * 4}.items():
        (Path(folder) / name).write_text("\n".join(lines) + "\n")
    for metric in ("bleu", "ter"):
        for references in (["first"], ["first", "second"]):
            command = [sys.executable, "-m", "sacrebleu", *references, "-i", "hypotheses", "-m", metric, "-b"]
            output = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
            outputs.setdefault(metric, []).append(float(output))
        print(f"command line, {metric}: one reference {outputs[metric][0]}, with a file of empty lines {outputs[metric][1]}")
none_right = all(score[0] == score[2] for score in scores.values())
raised = all(scores[name][1] > scores[name][0] + 3 for name in ("BLEU", "TER"))
sys.exit(not (none_right and raised and all(after > before + 3 for before, after in outputs.values())))
PY
