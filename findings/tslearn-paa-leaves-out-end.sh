#!/usr/bin/env bash
# tslearn 0.10.0: PAA and SAX leave out the end of a series whose length does not divide by the number of segments.
#
# A segment has length // n_segments points (piecewise.py), and what is left after the last is used nowhere: of 11 points in
# 6 segments the last 5, of 100 in 51 the last 49. Two series that differ only there have the distance 0, and
# inverse_transform gives 0 for those points. SymbolicAggregateApproximation and OneD_SymbolicAggregateApproximation do the
# same. PAA as published divides such points between segments, as the check in NumPy below does.
#
# Why a good guess is wrong: PAA promises segments of equal size over the whole series, the documentation does not say
# otherwise, the result has the shape that was asked for, and where the numbers divide, it is exact. Resample to a multiple
# of the segments first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 tslearn==0.10.0
"$folder/venv/bin/python" - <<'PY'
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
from tslearn.piecewise import PiecewiseAggregateApproximation, SymbolicAggregateApproximation


def published(series, segments):
    """The means over equal parts of the series, points on a border divided between both sides."""
    return np.repeat(series, segments).reshape(segments, -1).mean(1)


random = np.random.default_rng(0)
seen = {}
for length, segments in ((12, 6), (11, 6), (7, 3), (100, 51)):
    series = random.normal(size=length).cumsum() + 5
    changed = series.copy()
    changed[length // segments * segments :] += 100
    pair = np.stack([series, changed])[..., None]
    paa = PiecewiseAggregateApproximation(segments)
    means = paa.fit_transform(pair)
    symbols = SymbolicAggregateApproximation(segments, 8).fit_transform(pair)
    error = np.abs(means[0, :, 0] - published(series, segments)).max()
    distance = paa.distance(pair[0], pair[1])
    zeros = int((paa.inverse_transform(means)[0] == 0).sum())
    seen[length] = error, distance, zeros, bool((symbols[0] == symbols[1]).all())
    unused = length - length // segments * segments
    print(
        f"{length} points, {segments} segments: off by {error:.2f}; with 100 more at the last {unused} points distance "
        f"{distance:.0f}, the same symbols: {seen[length][3]}; inverse has {zeros} zeros"
    )
whole = seen.pop(12)
sys.exit(not (whole[0] < 1e-9 and whole[2] == 0 and all(e > 0.1 and d == 0 and z > 0 and s for e, d, z, s in seen.values())))
PY
