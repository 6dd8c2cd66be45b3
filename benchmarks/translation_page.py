"""The section of docs/performance.md about translation training, from the files that `bench_translation.py` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sightline.core.digits import and_joined, number_of, percent

HEAD = """\
## Training of translation

German to English on Multi30k (`make bench-translation`), with the sentences, the tokenizers and the batches of a
training with `sightline train`, beside loops as one writes them with torch in an afternoon. Both sides have the same
weights and, unless a row has batches of random sentences, the same batches; losses and all gradients of peers that
compute the same function are compared first, in float64 and in float32. A step is loss, gradients, clipping and fused
AdamW. In each round every contestant takes one step on one batch, in alternating order, and the next round has another
batch, of which ours counts the operations as it does in a training. Tokens are those of the target without padding, by
{clock}. *Ratio*: tokens per second of our fastest row, divided by those of this row, median of the rounds (quartiles).
*Causal hint*: the target's mask is only named, without its padding, so that torch takes its causal kernel.
*Compiled*: `torch.compile` with dynamic shapes, for Bahdanau's architecture of the step
alone. *Random sentences*: batches of as many sentences as ours have on average, in random order, as loops that know
nothing of lengths make them. `nn.GRUCell` resets after its product, where Bahdanau et al. 2015 and ours reset before:
the model has as many weights and computes another function."""
CLOCK = {True: "processor time of the thread", False: "seconds of the clock"}


def load_translations(directory: Path) -> list[dict[str, Any]]:
    """The results in a directory, one of each processor and number of threads."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("translation-*.json"))]


def translation_section(reports: Sequence[dict[str, Any]]) -> str:
    """The section in Markdown; empty without results."""
    if not reports:
        return ""
    clocks = dict.fromkeys(CLOCK[report["threads"] == 1] for report in reports)
    lines = [HEAD.format(clock=" or ".join(clocks)), ""]
    for report in reports:
        lines += [report["note"], ""] if "note" in report else []
        for result in report["results"]:
            lines += [*_result(report, result), ""]
    return "\n".join(lines).rstrip() + "\n"


def _result(report: dict[str, Any], result: dict[str, Any]) -> Iterator[str]:
    facts = result["environment"]
    commit = (facts["git_commit"] or "unknown")[:7]
    padding = and_joined([f"{percent(share)} ({kind})" for kind, share in result["padding"].items()])
    sizes = " and ".join(f"{size:,}" for size in result["vocabularies"])
    yield (
        f"**{result['architecture']}**, {report['processor']}, {number_of(report['threads'], 'thread')}, torch "
        f"{facts['packages']['torch']}, commit {commit}: {result['parameters']:,} parameters, vocabularies of {sizes}, "
        f"batches of at most {result['batch_tokens']:,} padded tokens, {result['rows_per_batch']:g} sentences on "
        f"average, dropout {result['dropout']:g}, {number_of(result['pairs'], 'round')}. "
        f"Padding of the target: {padding}."
    )
    yield ""
    yield "| model, precision | batches | tokens/s | ratio |"
    yield "|---|---|--:|--:|"
    for row in sorted(result["rows"], key=lambda one: -one["tokens_per_s"]["median"]):
        ratio = "" if row["name"] == result["ours"] else _spread(row["ratio"])
        yield f"| {row['name']} | {row['batches']} | {row['tokens_per_s']['median']:,.0f} | {ratio} |"
    yield ""
    if "ratio" in result:
        verdict = "met" if result["met"] else "missed"
        target = f"target ≥ {result['at_least']:g}, {verdict}"
        yield f"- {result['ours']}: {_spread(result['ratio'])} times {result['best_peer']}; {target}"
    for name, errors in result["differences"].items():
        amounts = and_joined([f"{error:.0e} in {dtype}" for dtype, error in errors.items()])
        yield f"- {name}: loss and gradients differ from ours by at most {amounts}"


def _spread(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} ({ratio['lower']:.2f}–{ratio['upper']:.2f})"
