#!/usr/bin/env bash
# nltk 3.10.4: the probabilities of KneserNeyInterpolated sum to more than 1 after the beginning of a sentence.
#
# In contexts shorter than the longest, Kneser-Ney counts how many different words precede an n-gram, and the mass that
# the discount takes away must be counted in the same way. nltk (lm/smoothing.py) multiplies the discount by the number
# of words that follow the context in the text instead. The numbers agree where every pair has a predecessor; a pair
# with the first `<s>` of the padding has none. With a discount of 0.75 the sum is 1.09 for 200 random sentences, and
# 1.38 for three. The lowest order also gives `<s>` a probability, although it is never a next word.
#
# Why a good guess is wrong: the other models of nltk.lm sum to 1 in every context, and this one does in all others. In
# a trigram model the first two words of every sentence score too well, and perplexity, by which models are compared, is
# too low.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile nltk==3.10.4
"$folder/venv/bin/python" - <<'PY'
import random
import sys

from nltk.lm import AbsoluteDiscountingInterpolated, KneserNeyInterpolated, WittenBellInterpolated
from nltk.lm.preprocessing import padded_everygram_pipeline

random.seed(0)
texts = {
    "200 random sentences": [random.choices("abcdefgh", k=random.randint(3, 9)) for _ in range(200)],
    "3 sentences": [list("abcab"), list("bcd"), list("aca")],
}
contexts = [("<s>",), ("<s>", "<s>"), ("a",), ("a", "b")]
sums = {}
for name, text in texts.items():
    for kind in (KneserNeyInterpolated, AbsoluteDiscountingInterpolated, WittenBellInterpolated):
        options = {} if kind is WittenBellInterpolated else {"discount": 0.75}
        model = kind(order=3, **options)
        model.fit(*padded_everygram_pipeline(3, text))
        for context in contexts:
            sums[name, kind, context] = sum(model.score(word, context) for word in model.vocab)
        shown = ", ".join(f"{' '.join(context)} {sums[name, kind, context]:.3f}" for context in contexts)
        print(f"{name}, {kind.__name__}: sum of the probabilities after {shown}")
start = [sums.pop((name, KneserNeyInterpolated, ("<s>",))) for name in texts]
padded = [sums.pop((name, KneserNeyInterpolated, ("<s>", "<s>"))) for name in texts]
sys.exit(not (min(start) > 1.05 and all(abs(total - 1) < 1e-6 for total in sums.values())))
PY
