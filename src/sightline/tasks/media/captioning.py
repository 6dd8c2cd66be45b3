"""Captions of pictures."""

from __future__ import annotations

from typing import final

from sightline.tasks.media.task import MediaTextTask


@final
class CaptioningTask(MediaTextTask):
    """Describes pictures, read as patches or pixel by pixel."""

    name = "captioning"
    pipeline = "image-to-text"
    default_sources = ("source:image",)
