#!/usr/bin/env bash
# sinkhorn-transformer 0.11.4: without causal=True, what a position reads from the buckets sorted to it are their keys;
# their values are used nowhere.
#
# Each bucket of queries attends to itself and to other buckets, of which the keys and the values are reordered. The
# line for the reordered values takes the reordered keys (sinkhorn_transformer.py, line 344). Values count inside of a
# bucket alone. With a kv_bucket_size that differs from bucket_size, where no position reads its own bucket, the whole
# projection to values has no effect and a gradient of 0. The causal attention and n_sortcut, which have lines of their
# own, use the values.
#
# Why a good guess is wrong: the attention weights are right, the shapes agree, keys are projections of the same tokens,
# so that information passes between the buckets and the model trains. It is the default of SinkhornTransformerLM. Set
# n_sortcut, or causal=True where that is meant.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
install() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile "$@"; }
install torch==2.13.0
install numpy==2.4.6 sinkhorn-transformer==0.11.4 local-attention==1.11.2 \
    axial-positional-embedding==0.3.12 product-key-memory==0.3.0 colt5-attention==0.11.2 einops==0.8.2
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import torch
from sinkhorn_transformer.sinkhorn_transformer import SinkhornAttention, SinkhornCausalAttention, SinkhornSelfAttention

size, buckets = 4, 4
queries, keys, values = torch.randn(3, 1, 2, size * buckets, 8, generator=torch.Generator().manual_seed(0))


def effect(attention, tensors, place):
    """How much another first bucket of one tensor changes the outputs of the other buckets."""
    outputs = []
    for change in (0, 10):
        changed = [tensor.clone() for tensor in tensors]
        changed[place][:, :, :size] += change
        torch.manual_seed(1)
        outputs.append(attention(*changed))
    return float((outputs[1] - outputs[0])[:, :, size:].abs().max())


seen = {}
cases = {
    "two sorted buckets": (SinkhornAttention, {"n_top_buckets": 2}),
    "non_permutative=False": (SinkhornAttention, {"non_permutative": False}),
    "n_sortcut=2": (SinkhornAttention, {"n_sortcut": 2}),
    "causal": (SinkhornCausalAttention, {}),
}
with torch.no_grad():
    for name, (kind, options) in cases.items():
        torch.manual_seed(0)
        attention = kind(size, 16, 8, 2, size * buckets, **options).eval()
        seen[name] = [effect(attention, (queries, keys, values), place) for place in (1, 2)]
        by_keys, by_values = seen[name]
        print(f"{name}: other buckets change by {by_keys:.1f} with other keys, by {by_values:.1f} with other values")

    torch.manual_seed(0)
    attention = SinkhornAttention(size, 16, 8, 2, size * buckets, n_top_buckets=1).eval()
    outputs = attention(queries, keys, values)
    order = attention.sort_net(queries[0], keys[0])
    own_keys, own_values, own_queries = (tensor[0].unflatten(1, (buckets, size)) for tensor in (keys, values, queries))
    sorted_keys, sorted_values = (torch.einsum("buv,bvtd->butd", order, tensor) for tensor in (own_keys, own_values))
    weights = (own_queries @ torch.cat((sorted_keys, own_keys), 2).mT * 8**-0.5).softmax(-1)
    errors = {}
    for name, read in (("values", sorted_values), ("keys", sorted_keys)):
        by_hand = (weights @ torch.cat((read, own_values), 2)).flatten(1, 2)
        errors[name] = float((by_hand - outputs[0]).abs().max())
        print(f"by hand with the {name} of the sorted buckets: off by {errors[name]:.0e}")

gradients = {}
for kv_size in (4, 8):
    torch.manual_seed(0)
    attention = SinkhornSelfAttention(16, size, size * buckets, heads=2, kv_bucket_size=kv_size)
    attention(torch.randn(1, size * buckets, 16)).square().sum().backward()
    to_keys, to_values = (float(rows.norm()) for rows in attention.to_kv.weight.grad.chunk(2))
    gradients[kv_size] = to_values
    print(f"kv_bucket_size {kv_size}: gradient of the projection to keys {to_keys:.2f}, to values {to_values:.2f}")
dead = all(seen[name][0] > 0.1 and seen[name][1] == 0 for name in ("two sorted buckets", "non_permutative=False"))
alive = all(seen[name][1] > 0.1 for name in ("n_sortcut=2", "causal"))
reads_keys = errors["keys"] < 1e-5 < 0.1 < errors["values"]
sys.exit(not (dead and alive and reads_keys and gradients[4] > 0.1 and gradients[8] == 0))
PY
