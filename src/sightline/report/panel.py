"""One self-contained HTML page from the results of a bottleneck panel. Runs no model, imports no torch."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from sightline.lab.panel_results import PanelResults
from sightline.report.frame import PageSection, environment_rows, render_page, write_page
from sightline.report.panel_figures import TITLES, panel_drawings
from sightline.report.panel_text import cost_rows, crossover_text, exponent, findings
from sightline.report.recall_panel import recall_rows, token_rows
from sightline.report.text import names_of

PAGE = "panel.html"


SECTIONS = (
    PageSection(
        "reach",
        "Gradient reach and used reach",
        "How much of position t − k reaches position t, by exact vector-Jacobian products in float64: the output y "
        "by the input x, and the state h by an earlier state. The gain from state to state is the Frobenius norm "
        "over the root of the number of entries of the earlier state, so that it is 1 at k = 0; a cache keeps its "
        "past whole, so that its gain stays at least 1. Lines: medians over sequences. Bands: 95 % intervals of "
        "the median. A gradient says what could matter; for a trained model the loss with its context cut says "
        "what does. At initialisation: the weights that the run's training began with.",
    ),
    PageSection(
        "serial",
        "Serial work",
        "The longest chain of dependent operations, counted on the executed graph in float64. One call of a "
        "kernel that computes or moves numbers is one operation, a fused attention kernel too; views and "
        "allocations are none, and a prefix scan over n positions counts log₂ n.",
    ),
    PageSection(
        "growth",
        "Time and memory",
        "One row of n positions on this machine. Forward keeps the graph for a backward pass; a training step "
        "adds the gradients of the input and all parameters; prefill gives outputs and state without a graph; "
        "decoding is one step after n positions. Times: medians of rounds in turns, bands from quartile to "
        "quartile. Memory: the largest sum of tensors alive at the same time, without scratch space inside "
        "kernels; for decoding, the state.",
    ),
    PageSection(
        "saturation",
        "Saturation of the softmax",
        "Of each query: the entropy of its weights as a share of that of uniform weights, the largest weight, and "
        "the Frobenius norm of the softmax's Jacobian diag(p) - p pᵀ, which every gradient of the logits passes. "
        "By d_k: standard normal queries and keys, logits divided by √d_k (scaled) or not. Lines: medians over "
        "queries. Bands: quartiles.",
    ),
    PageSection(
        "recall",
        "Memory of the past",
        "Planted: small models of a short convolution and one layer of the mechanism are trained, in the stated number "
        "of steps, to give back values that a row has shown. Multi-query recall: pairs of a key and a value, then each "
        "key asks for its value. Copy: values, as many blanks, then the values in order. Selective copy: the values "
        "are at random places among the blanks. Needle: one pair in noise, whose key is the last position. Stored "
        "bits: what the right answers show that the state contains before the first question, at least (Fano's "
        "inequality), per byte of this state, measured. Ceiling: the answers that a model can see, guessing the "
        "others. Bands: 95 % intervals over test rows. On text: the loss of a trained model on tokens that end an "
        "n-gram which its context has contained before, and by position, beyond the length that it was trained on too; "
        "bands over sequences.",
    ),
)


def write_panel(results: PanelResults, directory: Path) -> Path:
    """Write `panel.html`, and the figures as PNG and SVG, to `directory`; return the path of the page."""
    drawings = [drawing for part in panel_drawings(results).values() for drawing in part]
    return write_page(directory, PAGE, render_panel(results, linked=True), drawings)


def render_panel(results: PanelResults, *, linked: bool = False) -> str:
    """The page as HTML; linked: whether panel.json is beside the page, for a link to it."""
    drawings = panel_drawings(results)
    took = ", ".join(f"{part} {seconds:g} s" for part, seconds in results.seconds.items())
    return render_page(
        "panel.html.j2",
        "panel.json",
        results,
        [drawing for part in drawings.values() for drawing in part],
        linked=linked,
        names=names_of(results.names),
        findings=findings(results),
        sections=[part for part in SECTIONS if part.key in drawings],
        figures=drawings,
        rows=cost_rows(results),
        growth_at={(cost.name, cost.phase): at for at, cost in enumerate(results.growth)},
        serial_at={chain.name: at for at, chain in enumerate(results.serial) if chain.phase == "forward"},
        reach_at={reach.name: at for at, reach in enumerate(results.reach)},
        recalled=recall_rows(results),
        tokens=token_rows(results),
        phases=TITLES,
        crossovers=[(at, crossover_text(one)) for at, one in enumerate(results.crossovers) if one.checked],
        predicted=[(at, crossover_text(one)) for at, one in enumerate(results.crossovers) if not one.checked],
        exponent=exponent,
        median=median,
        environment=[*environment_rows(results.environment), ("time of each part", took)],
    )
