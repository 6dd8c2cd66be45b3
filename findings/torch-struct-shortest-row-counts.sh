#!/usr/bin/env bash
# torch-struct 0.5: in SemiMarkovCRF the shortest row of a batch forbids wide segments to the longer ones;
# to_event ignores lengths; the root option of one DependencyCRF is that of all.
#
# Inside a segment of several positions the scan passes through states that only count. They are opened up to
# torch.min(lengths) - 1 for every row (semimarkov.py, lines 62 to 66), so behind the end of the shortest row the others
# have segments of width 1 only: partition, argmax, marginals and log_prob are those of another model. to_event calls
# to_parts with lengths=None (distributions.py, line 232), so that log_prob counts transitions to the padding, which the
# partition leaves out. DependencyCRF stores multiroot in the class that all of its distributions share (line 385), and
# everything is computed when it is first read.
#
# Why a good guess is wrong: a row of full length needs no mask at all, the lengths are handed over, rows of equal
# lengths and LinearChainCRF's own lengths are right, and the loss that shows it, a positive log probability, is lower.
# The repository has the first repaired since October 2021, but no release has followed the one of February 2021. Use rows of one
# length, mask events by the static to_parts, and read a DependencyCRF before you build the next.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 torch==2.13.0 \
    torch-struct==0.5
"$folder/venv/bin/python" -W ignore - <<'PY'
import itertools
import sys

import torch
from torch_struct import DependencyCRF, LinearChainCRF, SemiMarkovCRF

torch.manual_seed(0)
positions, width, classes = 9, 4, 2
scores = 2 * torch.randn(2, positions - 1, width, classes, classes)


def partition_by_hand(row):
    """log of the sum over all segmentations of one row (N - 1, K, C, C), widths 1 to K - 1."""
    ends = [torch.zeros(classes)]
    for end in range(1, positions):
        widths = range(1, min(width, end + 1))
        ends.append(torch.cat([ends[end - size] + row[end - size, size] for size in widths], dim=1).logsumexp(1))
    return ends[-1].logsumexp(0).item()


by_hand = partition_by_hand(scores[0])
event = SemiMarkovCRF(scores[:1].clone()).argmax[0].detach()
print(f"partition of row 0, all {positions} positions, by hand: {by_hand:.3f}")
seen = {}
for other in (9, 6, 4, 2):
    crf = SemiMarkovCRF(scores.clone(), lengths=torch.tensor([positions, other]))
    best = crf.argmax.detach()
    log_prob = crf.log_prob(torch.stack([event, best[1]])[None])[0, 0].item()
    widths = best[0].nonzero()[:, 1].tolist()
    seen[other] = crf.partition.flatten()[0].item(), log_prob, widths
    print(
        f"row 0 beside a row of {other}: partition {seen[other][0]:.3f}, best segments {widths}, "
        f"log probability of the best when alone {log_prob:.3f}"
    )
alone_is_right = abs(seen[9][0] - by_hand) < 1e-3 and seen[9][1] < 0
mixed = seen[2][0] < seen[4][0] < seen[6][0] < by_hand - 0.5 and seen[2][1] > 0.5 and max(seen[2][2][1:]) == 1
wide = max(seen[9][2][1:]) > 1

lengths = torch.tensor([6, 3])
chain = LinearChainCRF(torch.randn(2, 5, classes, classes), lengths=lengths)
sums = {}
for name, event_of in (("to_event", chain.to_event), ("to_parts", chain.struct.to_parts)):
    tags = [[[0] * 6, list(row) + [0] * 3] for row in itertools.product(range(classes), repeat=3)]
    probabilities = [
        chain.log_prob(event_of(torch.tensor(pair), classes, lengths=lengths)[None])[0, 1].exp() for pair in tags
    ]
    sums[name] = float(sum(probabilities))
    print(f"{name}: the probabilities of all taggings of a row of 3 among 6 sum to {sums[name]:.3f}")
ignored = abs(sums["to_event"] - 1) > 0.1 and abs(sums["to_parts"] - 1) < 1e-3

arcs = torch.randn(1, 4, 4, requires_grad=True)
single, several = (DependencyCRF(arcs, multiroot=value).partition.item() for value in (False, True))
first = DependencyCRF(arcs, multiroot=False)
DependencyCRF(arcs)
later = first.partition.item()
print(f"log partition with one root {single:.3f}, with several {several:.3f}, with one, after another {later:.3f}")
shared = abs(later - several) < 1e-5 < 0.05 < several - single
sys.exit(not (alone_is_right and mixed and wide and ignored and shared))
PY
