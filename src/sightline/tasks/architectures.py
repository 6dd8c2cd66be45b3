"""Which architectures a task can have: those of its form."""

from __future__ import annotations

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


def check_architecture(arch: str, form: str, task: str = "this task") -> None:
    """Refuse an architecture that is not a preset of the form.

    Raises:
        InputError: "arch: unknown architecture 'lstmm', did you mean 'lstm'?"; "arch: 'dlinear' is a forecaster, which
            maps windows of series to what follows, but translation needs an encoder-decoder, …: rnn, lstm, …".
    """
    known = FORMS[form]
    if arch in known:
        return
    other = next((name for name, presets in FORMS.items() if arch in presets), None)
    if other is not None:
        message = f"{arch!r} is {IN_WORDS[other]}, but {task} needs {IN_WORDS[form]}: {', '.join(known)}"
        raise InputError(message, where="arch")
    raise InputError(f"unknown architecture {arch!r}{suggest(arch, known)}", where="arch")
