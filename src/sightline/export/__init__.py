"""Trained models in the formats of other programs: `sightline export`. `FORMATS` lists them."""

from sightline.export.format import Format, export
from sightline.export.formats import FORMATS

__all__ = ["FORMATS", "Format", "export"]
