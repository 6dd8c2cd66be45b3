"""Transformers as models of CTranslate2 (https://github.com/OpenNMT/CTranslate2), an engine that decodes in C++.

The engine has no computation graph: a model is a specification with weights, which `sightline.export.transformer_spec`
fills. Beside it are the vocabularies, our `tokenizer.json` and a README with the lines that use them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import torch

from sightline.core.files import write_file
from sightline.core.front_end import FrontEndConfig
from sightline.data.tokens.tokenizer import SPECIALS
from sightline.export.ctranslate2_card import decoder_card, encoder_decoder_card
from sightline.export.ctranslate2_check import check
from sightline.export.format import ExportFormat
from sightline.export.transformer_spec import decoder_spec, encoder_decoder_spec, stacks, unlike
from sightline.models.pruned import kept_heads
from sightline.parts.token_embedding import Tokens
from sightline.tasks.task import Task


@final
class CTranslate2(ExportFormat):
    """`model.bin`, `config.json` and vocabularies, as CTranslate2's converters write them."""

    name = "ctranslate2"
    summary = "Transformers that write text, for CTranslate2's engine in C++."
    mark = "model.bin"
    extra = "ctranslate2"
    packages = ("ctranslate2",)

    def refusal(self, task: Task[Any, Any, Any]) -> str | None:
        if kept_heads(task.stored_model):
            return "its layers have equally many heads, and some of this model's are removed"
        return unsuited(task.config.model, task.source)

    @torch.no_grad()
    def write(self, task: Task[Any, Any, Any], directory: Path) -> None:
        trained: Any = task.trained  # type: ignore[attr-defined]
        model = task.stored_model
        if hasattr(model, "encoder"):
            spec = encoder_decoder_spec(model, task.config.model)
            tokenizers = trained.tokenizers
            vocabularies = [vocabulary(tokenizers.source), vocabulary(tokenizers.target)]
            spec.register_source_vocabulary(vocabularies[0])
            spec.register_target_vocabulary(vocabularies[1])
            card = encoder_decoder_card(task, tokenizers, trained.longest_output)
        else:
            spec = decoder_spec(model, task.config.model)
            vocabularies = [vocabulary(trained.tokenizer)]
            spec.register_vocabulary(vocabularies[0])
            card = decoder_card(task, trained.tokenizer)
        save(spec, directory)
        check(model, directory, vocabularies)
        task.save_files(directory)
        write_file(directory / "README.md", card)


def unsuited(config: Any, source: FrontEndConfig) -> str | None:
    """Why models with this config and front end have no export, before one is built; None if they have one."""
    layers = stacks(config)
    if layers is None:
        return "it has Transformers that write text, and this model is not one"
    if not isinstance(source, Tokens):
        return f"its encoder reads token ids, and that of this model reads {source.accepts} by {type(source).__name__}"
    return unlike(layers)


def save(spec: Any, directory: Path) -> None:
    """Write a specification with weights and vocabularies to an existing directory."""
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = SPECIALS[3], SPECIALS[1], SPECIALS[2]
    spec.validate()
    spec.optimize()
    spec.save(str(directory))


def vocabulary(tokenizer: Any) -> list[str]:
    """The name of each token; bytes of a tokenizer without a vocabulary are spelled `<0x41>`."""
    inner = getattr(tokenizer, "inner", tokenizer)
    if inner is None:
        return [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256))]
    return [inner.token(index) for index in range(inner.size)]
