"""`FORMATS`: the formats of `sightline export`, by name. A format is one file beside this one and one line here."""

from __future__ import annotations

from sightline.export.ctranslate2 import CTranslate2
from sightline.export.format import ExportFormat
from sightline.export.hub import Hub
from sightline.export.onnx import Onnx
from sightline.export.torch_archive import TorchArchive

FORMATS: dict[str, ExportFormat] = {form.name: form for form in (Onnx(), TorchArchive(), CTranslate2(), Hub())}
