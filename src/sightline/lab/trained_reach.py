"""Gradient reach of a trained model beside its used reach: the loss where only the last k positions are read.

A gradient says what could matter, the used reach what does: where the loss no longer falls with more context, the model
does not use what is further away, however large its gradient there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sightline.core.modes import evaluating
from sightline.lab.forms import Sampled, TrainedRun, run_form
from sightline.lab.forms.form import RunForm
from sightline.lab.panel_results import Reach
from sightline.models.pruned import keep_heads, kept_heads


def trained_reach(name: str, task: Any, part: Any, sampled: Sampled) -> list[Reach]:
    """The reach of a task's model on a part of data, by each input that it reads.

    Raises:
        InputError: what `RunForm.reach` raises.
    """
    return reach_of(run_form(TrainedRun(name, task, part)), sampled)


def reach_of(form: RunForm, sampled: Sampled) -> list[Reach]:
    """The reach of a run's model.

    Raises:
        InputError: what `RunForm.reach` raises.
    """
    with evaluating(form.model):
        return form.reach(form.model, sampled)


def initial_reach(form: RunForm, sampled: Sampled) -> list[Reach]:
    """The gradients of the same model before its training: with the weights that it then drew from the run's seed.

    Raises:
        InputError: what `RunForm.reach` raises.
    """
    task, model, seed = form.task, form.model, form.run.seed
    kind = type(task)
    _, drawn = kind.draw(task.config, (task.source, task.outputs), kind.Run(settings=task.config).changed(seed=seed))
    keep_heads(drawn, kept_heads(model))
    drawn = drawn.to(next(model.parameters()).device)
    with evaluating(drawn):
        rows = form.reach(drawn, sampled, used=False)
    began = f"{form.name} at initialisation"
    return [replace(row, name=began, trained=False, before=form.name) for row in rows]
