"""Sound to text: what is said, in letters."""

from __future__ import annotations

from sightline.data.media import MediaCorpus
from sightline.tasks.media_config import MediaTextRun
from sightline.tasks.media_text import MediaTextTask


class TranscriptionTask(MediaTextTask):
    """Transcribes sounds, read as log-mel frames; judged by the character error rate."""

    name = "transcription"
    default_sources = ("source:audio",)

    @classmethod
    def primary_metric(cls, data: MediaCorpus, run: MediaTextRun) -> str:
        return "cer"
