"""Attention maps of an architecture while it generates, read from its probes."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor

from sightline.core.probe import Probe
from sightline.data.batches import on_device
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.inspect.record import POOLED, attention_probes, recorded_attention
from sightline.lab.map_results import ArchitectureMaps, AttentionMap
from sightline.tasks.texts_out.task import TextsOutTask

MOST_HEADS_CELLS = 20_000  # over all heads of one probe; above this only their mean is kept


Over = Literal["source", "source itself", "output itself"]


@final
class Recorded(NamedTuple):
    """Attention weights recorded at a probe."""

    over: Over
    weights: Tensor  # (B, H, T, S) or (B, T, S); S is M for attention to a memory


def attention_examples(task: TextsOutTask[Any, Any, Any, Any], sources: list[str]) -> list[int]:
    """Three test sources: one of median length, one with many non-Latin letters, and a long one.

    Only sources of 4 to 48 pieces qualify, so that their maps are readable; the result may be shorter than three.
    """
    lengths = task.trained.sources_of(task.trained.part_of(sources)).positions
    readable = [i for i, length in enumerate(lengths) if 4 <= length <= 48]
    if not readable:
        return []
    by_length = sorted(readable, key=lambda i: (lengths[i], i))
    middle = by_length[len(by_length) // 2]
    near = [i for i in readable if lengths[i] <= lengths[middle] + 4]
    foreign = max(near, key=lambda i: (sum(char > "\u02ff" for char in sources[i]), -i))
    return list(dict.fromkeys([middle, foreign, by_length[len(by_length) * 9 // 10]]))


@torch.no_grad()
def attention_maps(task: TextsOutTask[Any, Any, Any, Any], source: str) -> ArchitectureMaps:
    """Attention maps of the model when fed its own prediction (teacher forcing), including the end token.

    Row t shows the weights used to generate piece t. `maps` is empty for an architecture without attention.
    """
    prediction = task.predict([source])[0]
    output_ids = task.tokenizers.target.encode(prediction)
    inputs, mask = task.trained.sources_of(task.trained.part_of([source])).batch([0])
    inputs, mask = on_device(inputs, mask, task.device)
    target_ids = torch.tensor([[Tokenizer.BOS, *output_ids]], device=task.device)  # (1, T)
    task.model.eval()
    with recorded_attention(task.model) as weights:
        task.model(inputs, mask, target_ids)
    probes = attention_probes(task.model)
    recorded = [
        Recorded(_over(name, probes[name]), one.float().cpu())
        for name, one in weights.items()
        if probes[name].shape != POOLED
    ]
    totals = Counter(one.over for one in recorded)
    counts: Counter[Over] = Counter()
    maps = []
    for one in recorded:
        counts[one.over] += 1
        maps.append(_map(one, counts[one.over], totals[one.over]))
    return ArchitectureMaps(task.arch, task.tokenizers.target.pieces([*output_ids, Tokenizer.EOS]), prediction, maps)


def _over(name: str, probe: Probe) -> Over:
    if name.startswith("encoder"):
        return "source itself"
    return "source" if probe.shape.endswith("M") else "output itself"


def _map(recorded: Recorded, number: int, total: int) -> AttentionMap:
    kind = {"source": "attention", "source itself": "encoder", "output itself": "decoder"}[recorded.over]
    heads = recorded.weights[0] if recorded.weights.dim() == 4 else recorded.weights  # (H, T, S)
    keep = recorded.over == "source" and len(heads) > 1 and heads.numel() <= MOST_HEADS_CELLS
    return AttentionMap(
        name=f"{kind}, layer {number}" if total > 1 else kind,
        over=recorded.over,
        weights=_rounded(heads.mean(0)),
        heads=[_rounded(head) for head in heads] if keep else [],
    )


def _rounded(weights: Tensor) -> list[list[float]]:
    return [[round(weight, 3) for weight in row] for row in weights.tolist()]
