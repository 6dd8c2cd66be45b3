"""Transcription of speech."""

from __future__ import annotations

from typing import final

from sightline.data.media.columns import MediaPart
from sightline.tasks.media.task import MediaTextTask


@final
class TranscriptionTask(MediaTextTask):
    """Transcribes sounds, read as log-mel frames; judged by the character error rate."""

    name = "transcription"
    pipeline = "automatic-speech-recognition"
    default_sources = ("source:audio",)
    length_of = "length (ms)"
    decided_by = ("cer", "wer")

    @classmethod
    def lengths(cls, part: MediaPart) -> list[int]:
        sound = next((column for column in part.columns if column.kind == "audio"), None)
        if sound is None or sound.rate_hz is None:
            return []
        return [round(1000 * sound.shape(row)[0] / sound.rate_hz) for row in range(len(part))]
