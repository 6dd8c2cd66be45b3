"""What an architecture attends to while it writes, read off its probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.probe import Probe
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.lab.results import ArchitectureMaps, AttentionMap
from sightline.tasks.translation.task import TranslationTask

MOST_HEADS_CELLS = 20_000  # of all heads of one probe together; above it only their mean is kept


Over = Literal["source", "source itself", "output itself"]


class Seen(NamedTuple):
    """Attention weights that passed a probe."""

    over: Over
    weights: Tensor  # (B, H, T, S) or (B, T, S), S being M where a memory is attended to


@contextmanager
def attached(model: nn.Module) -> Iterator[dict[str, Seen]]:
    """Whatever passes the model's probes of attention weights (last axis M or S), by the probe's path in the model.

    Several calls of one probe, as of a decoder that goes step by step, are joined along the queries.
    """
    seen: dict[str, Seen] = {}
    handles = []
    for name, module in model.named_modules():
        if not isinstance(module, Probe) or module.shape.split()[-1:] not in (["M"], ["S"]):
            continue
        over: Over = "source" if module.shape.endswith("M") else "output itself"
        if name.startswith("encoder"):
            over = "source itself"

        def hook(_m: nn.Module, _i: tuple[Tensor, ...], weights: Tensor, name: str = name, over: Over = over) -> None:
            weights = weights.detach().float().cpu()
            if name in seen:
                weights = torch.cat([seen[name].weights, weights], -2)
            seen[name] = Seen(over, weights)

        handles.append(module.register_forward_hook(hook))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def attention_examples(task: TranslationTask, sources: list[str]) -> list[int]:
    """Three test sources to look at: of the middle length, one of those with the most foreign letters, and a long one.

    Only sources of 4 to 48 pieces are taken, so that a map can be read; fewer where there are no others.
    """
    lengths = [len(ids) for ids in task.tokenizers.source.encode_batch(sources)]
    fit = [i for i, length in enumerate(lengths) if 4 <= length <= 48]
    if not fit:
        return []
    by_length = sorted(fit, key=lambda i: (lengths[i], i))
    middle = by_length[len(by_length) // 2]
    near = [i for i in fit if lengths[i] <= lengths[middle] + 4]
    foreign = max(near, key=lambda i: (sum(char > "\u02ff" for char in sources[i]), -i))
    return list(dict.fromkeys([middle, foreign, by_length[len(by_length) * 9 // 10]]))


@torch.no_grad()
def attention_maps(task: TranslationTask, source: str) -> ArchitectureMaps:
    """The maps of the task's model while it is fed its own prediction (teacher forcing), the end token included.

    Row t shows what was attended to in writing piece t. `maps` is empty where the architecture attends to nothing.
    """
    prediction = task.predict([source])[0]
    output_ids = task.tokenizers.target.encode(prediction)
    read = torch.tensor([task.tokenizers.source.encode(source)], device=task.device)  # (1, M)
    fed = torch.tensor([[Tokenizer.BOS, *output_ids]], device=task.device)  # (1, T)
    task.model.eval()
    with attached(task.model) as seen:
        task.model(read, torch.ones_like(read, dtype=torch.bool), fed)
    totals = Counter(found.over for found in seen.values())
    counts: Counter[Over] = Counter()
    maps = []
    for found in seen.values():
        counts[found.over] += 1
        maps.append(_map(found, counts[found.over], totals[found.over]))
    return ArchitectureMaps(task.arch, task.tokenizers.target.pieces([*output_ids, Tokenizer.EOS]), prediction, maps)


def _map(found: Seen, number: int, total: int) -> AttentionMap:
    kind = {"source": "attention", "source itself": "encoder", "output itself": "decoder"}[found.over]
    heads = found.weights[0] if found.weights.dim() == 4 else found.weights  # (H, T, S)
    keep = found.over == "source" and len(heads) > 1 and heads.numel() <= MOST_HEADS_CELLS
    return AttentionMap(
        name=f"{kind}, layer {number}" if total > 1 else kind,
        over=found.over,
        weights=_rounded(heads.mean(0)),
        heads=[_rounded(head) for head in heads] if keep else [],
    )


def _rounded(weights: Tensor) -> list[list[float]]:
    return [[round(weight, 3) for weight in row] for row in weights.tolist()]
