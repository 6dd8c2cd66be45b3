"""Sound to text: what is said, in letters."""

from __future__ import annotations

from sightline.data.media.audio import AudioOptions
from sightline.data.media.corpus import MediaCorpus, MediaPart
from sightline.tasks.media.config import MediaTextRun
from sightline.tasks.media.task import MediaTextTask


class TranscriptionTask(MediaTextTask):
    """Transcribes sounds, read as log-mel frames; judged by the character error rate."""

    name = "transcription"
    pipeline = "automatic-speech-recognition"
    default_sources = ("source:audio",)
    length_of = "length (ms)"

    @classmethod
    def metrics(cls, data: MediaCorpus, run: MediaTextRun) -> tuple[str, ...]:
        return tuple(dict.fromkeys(["cer", "wer", *super().metrics(data, run)]))

    @classmethod
    def lengths(cls, part: MediaPart) -> list[int]:
        sound = next((column for column in part.columns if column.kind == "audio"), None)
        if sound is None or sound.store is None or not isinstance(sound.store.options, AudioOptions):
            return []
        rate_hz = sound.store.options.rate_hz
        return [round(1000 * sound.shape(row)[0] / rate_hz) for row in range(len(part))]
