"""Answers from several sources that are read together, such as a picture and a question."""

from __future__ import annotations

from typing import final

from sightline.tasks.media.task import MediaTextTask


@final
class AnsweringTask(MediaTextTask):
    """Answers a question about a picture, or any other `sources`, which one encoder reads end to end."""

    name = "answering"
    pipeline = "visual-question-answering"
    default_sources = ("image:image", "question:text")
    decided_by = ("exact_match",)
