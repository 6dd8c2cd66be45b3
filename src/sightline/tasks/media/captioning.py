"""Picture to text: what is to be seen."""

from __future__ import annotations

from sightline.data.media.corpus import MediaCorpus
from sightline.tasks.media.config import MediaTextRun
from sightline.tasks.media.task import MediaTextTask


class CaptioningTask(MediaTextTask):
    """Describes pictures, read as patches or pixel by pixel."""

    name = "captioning"
    pipeline = "image-to-text"
    default_sources = ("source:image",)

    @classmethod
    def primary_metric(cls, data: MediaCorpus, run: MediaTextRun) -> str:
        """Exact match where most targets are single words, BLEU elsewhere."""
        single = sum(len(target.split()) <= 1 for target in data.train.targets)
        return "exact_match" if 2 * single > len(data.train) else "bleu"
