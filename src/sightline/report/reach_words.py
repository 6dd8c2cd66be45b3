"""The words of a page for distances and cuts of a model's input: its own sequence, a source, a target, a look-back."""

from __future__ import annotations

from typing import NamedTuple

from sightline.lab.panel_results import Reach, ReachOver


class ReachWords(NamedTuple):
    """The words for gradients over some inputs, and for what is left where these are cut.

    over: the inputs; ending: of the names of files; from_end: whether distances count from a fixed end, the last
        position 1
    gradient, cut: titles of figures; distance, norm, read: labels of axes
    kept: before the numbers of positions of all runs that give the loss of all, in a sentence
    quantity: what is measured where inputs are cut
    """

    over: tuple[ReachOver, ...]
    ending: str
    from_end: bool
    gradient: str
    distance: str
    norm: str
    cut: str
    read: str
    kept: str = ""
    quantity: str = "loss"


REACHED = (
    ReachWords(
        ("sequence", "memory"),
        "",
        False,
        "Gradient of the output by its input, by distance",
        "distance k",
        "norm of ∂y(t)/∂x(t−k)",
        "Loss where only the last k positions are read",
        "positions read",
    ),
    ReachWords(
        ("source",),
        "-source",
        True,
        "Gradient of the whole output by the source, by position from its end",
        "position of the source, from its end",
        "norm of ∂y/∂x",
        "Loss where only the last k positions of the source are read",
        "positions of the source read",
        "Positions at the end of the source that give the loss of the whole source",
    ),
    ReachWords(
        ("target",),
        "-target",
        False,
        "Gradient of the output by the target before it, by distance",
        "distance k",
        "norm of ∂y(t)/∂x(t−k)",
        "Loss where only the last k tokens of the target are read",
        "tokens of the target read",
        "Tokens of the target, back from each token, that give the loss of the whole target",
    ),
    ReachWords(
        ("look-back",),
        "-lookback",
        True,
        "Gradient of the forecast by the look-back, by lag",
        "step of the look-back, from its end",
        "norm of ∂ŷ/∂x",
        "Error where only the last k steps are read",
        "steps read",
        "Steps at the end of the look-back that give the error of the whole look-back",
        "error",
    ),
)
WORDS_OF = {over: words for words in REACHED for over in words.over}
SIDES = {"source": "encoder", "target": "decoder"}


def state_name(reach: Reach) -> str:
    """The name of what has a state: of an encoder-decoder with the side."""
    return f"{reach.name}, {SIDES[reach.over]}" if reach.over in SIDES else reach.name
