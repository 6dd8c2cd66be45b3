"""Trained models in the formats of other programs: `sightline export`. `FORMATS` lists them."""

from sightline.export.format import ExportFormat, export
from sightline.export.formats import FORMATS

__all__ = ["FORMATS", "ExportFormat", "export"]
