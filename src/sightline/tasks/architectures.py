"""The architectures of a task: those of its form."""

from __future__ import annotations

from collections.abc import Mapping

from sightline.core.errors import InputError
from sightline.core.suggest import suggest
from sightline.models import FORMS

# The forms of models in words, for errors.
IN_WORDS = {
    "encoder-decoder": "an encoder-decoder, which reads a source and writes a target",
    "decoder": "a decoder, which sees only what came before",
    "encoder": "an encoder, which sees both sides of every position",
    "forecaster": "a forecaster, which maps windows of series to what follows",
}


def check_architecture(
    arch: str, form: str, task: str = "this task", known: Mapping[str, object] | None = None
) -> None:
    """Refuse an architecture that is not a preset of the form, or not among `known` where a task takes only those.

    Raises:
        InputError: "arch: unknown architecture 'lstmm', did you mean 'lstm'?"; "arch: 'dlinear' is a forecaster, which
            maps windows of series to what follows, but translation needs an encoder-decoder, …: rnn, lstm, …".
    """
    known = FORMS[form] if known is None else known
    if arch in known:
        return
    other = next((name for name, presets in FORMS.items() if arch in presets), None)
    if arch in FORMS[form]:
        raise InputError(f"{arch!r} does not suit {task}: choose one of {', '.join(known)}", where="arch")
    if other is not None:
        message = f"{arch!r} is {IN_WORDS[other]}, but {task} needs {IN_WORDS[form]}: {', '.join(known)}"
        raise InputError(message, where="arch")
    raise InputError(f"unknown architecture {arch!r}{suggest(arch, known)}", where="arch")
