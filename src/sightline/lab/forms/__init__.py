"""Trained runs under measurement: a file for each form of a model, and the table of them."""

from __future__ import annotations

from sightline.core.errors import InputError
from sightline.lab.forms.decoder import DecoderForm
from sightline.lab.forms.encoder import EncoderForm
from sightline.lab.forms.encoder_decoder import EncoderDecoderForm
from sightline.lab.forms.forecaster import ForecasterForm
from sightline.lab.forms.form import Lacks, Past, RunForm, Sampled, TrainedRun

RUN_FORMS: dict[str, type[RunForm]] = {
    "decoder": DecoderForm,
    "encoder": EncoderForm,
    "encoder-decoder": EncoderDecoderForm,
    "forecaster": ForecasterForm,
}


def run_form(run: TrainedRun, lacks: Lacks = lambda what, reason: None) -> RunForm:
    """The run under measurement, by the form of its model.

    Raises:
        InputError: "runs/x: models of the form 'graph' are not measured".
    """
    kind = RUN_FORMS.get(run.task.form)
    if kind is None:
        raise InputError(f"models of the form {run.task.form!r} are not measured", where=run.name)
    return kind(run, lacks)


__all__ = ["RUN_FORMS", "Lacks", "Past", "RunForm", "Sampled", "TrainedRun", "run_form"]
