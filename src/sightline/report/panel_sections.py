"""The sections of a bottleneck panel's page, and what each says of how its numbers were measured.

Only what was measured is explained.
"""

from __future__ import annotations

from typing import NamedTuple

from sightline.lab.panel_results import PanelPart, PanelResults

HEADINGS: dict[PanelPart, str] = {
    "reach": "Gradient reach and used reach",
    "serial": "Serial work",
    "growth": "Time and memory",
    "saturation": "Saturation of the softmax",
    "recall": "Memory of the past",
}


class PanelSection(NamedTuple):
    """A section: its key, its heading, and paragraphs below that."""

    key: PanelPart
    heading: str
    notes: list[str]


def panel_sections(results: PanelResults) -> list[PanelSection]:
    """All sections in order."""
    notes: dict[PanelPart, list[str]] = {
        "reach": _reach(results),
        "serial": _serial(results),
        "growth": _growth(results),
        "saturation": _saturation(results),
        "recall": _recall(results),
    }
    return [PanelSection(key, heading, notes[key]) for key, heading in HEADINGS.items()]


def _reach(results: PanelResults) -> list[str]:
    over = {row.over for row in results.reach}
    notes = [
        (
            "How much of position t − k reaches position t, by exact vector-Jacobian products in float64: the output y "
            "by the input x, and the state h by an earlier state. The gain from state to state is the Frobenius norm "
            "over the root of the number of entries of the earlier state, so that it is 1 at k = 0; a cache keeps its "
            "past whole, so that its gain stays at least 1. Lines: medians over sequences. Bands: 95 % intervals of "
            "the median. A gradient says what could matter; for a trained model the loss with its context cut says "
            "what does. At initialisation: the weights that the run's training began with."
        )
    ]
    if "source" in over:
        notes.append(
            "Source: the gradient of all logits of the target, the root mean square over its tokens, by position from "
            "the end of the source, the last one 1. In the same order the source is cut: its last k positions are read."
        )
    if "target" in over:
        notes.append(
            "Target: the gradient of the logits of one token by the tokens before it. Cut, the decoder begins with the "
            "memory of the whole source and reads the last k tokens."
        )
    if "look-back" in over:
        notes.append(
            "Look-back: the gradient of the forecast, the root mean square over its numbers, by step from the end of "
            "the look-back, the last one 1; level and spread of a window are constants. Cut, a window repeats the "
            "oldest of its last k steps in the place of those before. Distances from state to state are in patches."
        )
    if any(row.readers > 1 for row in results.reach):
        notes.append(
            "Where several parts of an encoder read step by step, such as both directions of each layer, each is a "
            "state of its own, with the input that it has; the line is the root mean square over them."
        )
    return notes


def _serial(results: PanelResults) -> list[str]:
    notes = [
        (
            "The longest chain of dependent operations, counted on the executed graph in float64. One call of a "
            "kernel that computes or moves numbers is one operation, a fused attention kernel too; views and "
            "allocations are none, and a prefix scan over n positions counts log₂ n."
        )
    ]
    if any(chain.along != "all" for chain in results.serial):
        notes.append(
            "Encoder-decoders read a source of n positions and write n tokens; by the length of one alone, the other "
            "has 8."
        )
    return [*notes, *_lookback(results)]


def _growth(results: PanelResults) -> list[str]:
    notes = [
        (
            "One row of n positions on this machine. Forward keeps the graph for a backward pass; a training step "
            "adds the gradients of the input and all parameters; prefill gives outputs and state without a graph; "
            "decoding is one step after n positions. Times: medians of rounds in turns, bands from quartile to "
            "quartile. Memory: the largest sum of tensors alive at the same time, without scratch space inside "
            "kernels; for decoding, the state."
        )
    ]
    if _over(results, "source") or results.states:
        notes.append(
            "Encoder-decoders read a source of n positions and write n tokens; a step of decoding continues from both."
        )
    return [*notes, *_lookback(results)]


def _lookback(results: PanelResults) -> list[str]:
    if not _over(results, "look-back") and not any(row.along == "step ahead" for row in results.losses):
        return []
    return ["Forecasters: the whole model, built again with the same sizes for a look-back of n steps."]


def _over(results: PanelResults, over: str) -> bool:
    return any(row.over == over for row in results.reach)


def _saturation(results: PanelResults) -> list[str]:
    untrained = " By d_k: standard normal queries and keys, logits divided by √d_k (scaled) or not."
    planted = any(row.along == "d_k" for row in results.saturation)
    note = (
        "Of each query: the entropy of its weights as a share of that of uniform weights, the largest weight, and "
        "the Frobenius norm of the softmax's Jacobian diag(p) - p pᵀ, which every gradient of the logits passes."
        f"{untrained if planted else ''} Lines: medians over queries. Bands: quartiles."
    )
    return [note]


def _recall(results: PanelResults) -> list[str]:
    notes = []
    if results.recall:
        notes.append(
            "Planted: small models of a short convolution and one layer of the mechanism are trained, in the stated "
            "number of steps, to recall values from earlier in the row. Multi-query recall: pairs of a key and a "
            "value, then each key asks for its value. Copy: values, as many blanks, then the values in order. "
            "Selective copy: the values are at random places among the blanks. Needle: one pair in noise, whose key is "
            "the last position. Stored bits: what the right answers show that the state contains before the first "
            "question, at least (Fano's inequality), per byte of this state, measured. Ceiling: the share of right "
            "answers if a model uses all that it can see and guesses otherwise. Bands: 95 % intervals over test rows."
        )
    if results.contexts:
        notes.append(
            "On text: the loss of a trained model on tokens that end an n-gram which its context has contained before, "
            "and by position, beyond the length that it was trained on too; bands over sequences."
        )
    if results.losses:
        axes = {row.along for row in results.losses}
        text = (
            "Losses are those of the next token of the true target; each point is the mean from after the one before. "
        )
        written = text if "target position" in axes else ""
        ahead = "Errors are in the units in which the model reads the series. " if "step ahead" in axes else ""
        notes.append(f"{written}{ahead}Bands are 95 % intervals over items.")
    return notes
