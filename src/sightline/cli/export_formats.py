"""The formats of `sightline export`, written by docs/generate.py so that `--help` need not import torch."""

from __future__ import annotations

EXPORTS = {
    "onnx": "ONNX graphs, and a runner that needs numpy and onnxruntime alone",
    "torch": "torch.export archives, which torch alone reads",
    "ctranslate2": "Transformers that write text, for CTranslate2's engine in C++",
    "hub": "A repository for the Hugging Face Hub, for any model; nothing is uploaded",
}
TO_HELP = "Format: " + "; ".join(f"{name} ({summary})" for name, summary in EXPORTS.items()) + "."
