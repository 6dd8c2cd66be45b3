"""What is said of the data of any task before it is trained on."""

from __future__ import annotations

from typing import Any

from sightline.data.labelled.corpus import LabelledData
from sightline.data.labelled.describe import survey_labelled
from sightline.data.media.corpus import MediaCorpus
from sightline.data.media.describe import survey_media
from sightline.data.pairs.corpus import Corpus, read
from sightline.data.pairs.describe import survey_pairs
from sightline.data.series.describe import survey_series
from sightline.data.series.windows import WindowData
from sightline.data.survey import Survey
from sightline.data.text.corpus import TextCorpus
from sightline.data.text.describe import survey_text
from sightline.tasks.table import task_class


def describe(run: Any) -> Survey:
    """The data that a task's configuration names, read and divided as training would, described.

    Raises:
        InputError: what `Task.load_data` raises.
    """
    data = task_class(run.task).load_data(run)
    if isinstance(data, LabelledData):
        return survey_labelled(data)
    if isinstance(data, TextCorpus):
        return survey_text(data)
    if isinstance(data, WindowData):
        return survey_series(data.series)
    if isinstance(data, MediaCorpus):
        return survey_media(data, run.settings.sound.rate_hz)
    if isinstance(data, Corpus):
        corpus = run.corpus
        named = [] if corpus.data.startswith("builtin:") else [corpus.data, corpus.valid, corpus.test]
        columns = {"source_column": corpus.source_column, "target_column": corpus.target_column}
        return survey_pairs(data, [read(file, skip_bad=corpus.skip_bad, **columns) for file in named if file])
    raise TypeError(f"nobody can describe {type(data).__name__}")
