#!/usr/bin/env bash
# compressive-transformer-pytorch 0.4.0: from the first compressed memory on, keys and values are not trained any more.
#
# The reconstruction loss is to leave the attention's own weights alone. For that, the forward pass calls detach_() on
# to_kv.weight (compressive_transformer_pytorch.py, line 269), which for a parameter sets requires_grad to False, for
# good and for the main loss as well, in that pass already. It happens in training mode as soon as something leaves the
# memory, with a memory of one segment in the second one. So the projection to keys and values of every layer with
# memory keeps what it had after the first step.
#
# Why a good guess is wrong: detach, which is meant, returns another tensor; nothing raises an error, as autograd and
# the optimizer pass over what needs no gradient; all other weights train, so the loss falls; short texts train as they
# should; and a checkpoint that is loaded does so again until its first compressed memory. Replace the line.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
install() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile "$@"; }
install torch==2.13.0
install numpy==2.4.6 compressive-transformer-pytorch==0.4.0 mogrifier==0.0.5
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import torch
from compressive_transformer_pytorch import AutoregressiveWrapper, CompressiveTransformer

SEGMENT = 8


def train(segments, steps):
    """How far each projection of a new model moves in each step, on texts of so many segments."""
    torch.manual_seed(0)
    model = AutoregressiveWrapper(CompressiveTransformer(num_tokens=12, dim=32, seq_len=SEGMENT, depth=2, heads=2))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    texts = torch.randint(12, (8, SEGMENT * segments + 1))
    moves = {"to_q": [], "to_kv": []}
    losses = []
    for _ in range(steps):
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        optimizer.zero_grad()
        total = 0
        for loss, auxiliary, _ in model(texts, return_loss=True):
            (loss + auxiliary).backward()
            total += float(loss)
        optimizer.step()
        losses.append(total / segments)
        for name, row in moves.items():
            parts = [(new - before[key]).abs().max() for key, new in model.named_parameters() if name in key]
            row.append(float(max(parts)))
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    return moves, losses, frozen


seen = {}
for segments in (1, 3):
    moves, losses, frozen = seen[segments] = train(segments, 30)
    print(f"texts of {segments} segment(s): loss {losses[0]:.3f} at first, {losses[-1]:.3f} after {len(losses)} steps")
    for name, row in moves.items():
        print(f"  steps in which {name} moved: {sum(move > 0 for move in row)} of {len(row)}")
    print(f"  without requires_grad: {frozen}")
short, long = seen[1], seen[3]
trained = all(min(row) > 0 for row in (*short[0].values(), long[0]["to_q"])) and not short[2]
stopped = max(long[0]["to_kv"][1:]) == 0 and long[1][-1] < long[1][0] - 0.3
names = len(long[2]) == 2 and all(name.endswith("to_kv.weight") for name in long[2])
sys.exit(not (trained and stopped and names))
PY
