#!/usr/bin/env bash
# torch 2.13.0: torch.compile benchmarks the guards of every graph that it compiles, even when nothing is logged.
#
# After each compilation dynamo calls profile_guard_manager, which flushes the caches and times the guards for a debug
# message and a metric. With a cheap backend this one call takes a fifth to a third of compiling a small function, more
# than any other function in the profile. No option of torch._dynamo.config turns it off.
#
# Why a good guess is wrong: a slow compilation is expected to be slow in tracing or in the backend; a measurement for
# a log is expected to run only when the log is on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import cProfile
import pstats
import sys

import torch

torch.compile(lambda x: x + 1, backend="eager")(torch.ones(3))  # imports and first-call costs
compiled = torch.compile(lambda x, y: (x @ y).relu().sum() + x.sin().mean(), backend="eager")
profile = cProfile.Profile()
profile.runcall(compiled, torch.randn(8, 8), torch.randn(8, 8))
stats = pstats.Stats(profile)
timed = [value for (_, _, name), value in stats.stats.items() if "profile_guard_manager" in name]
calls, seconds = sum(value[1] for value in timed), sum(value[2] for value in timed)
share = seconds / stats.total_tt
print(f"compiling took {stats.total_tt:.3f} s, of which timing guards {seconds:.3f} s ({share:.0%}), {calls} call")
sys.exit(not (calls and share > 0.05))
PY
