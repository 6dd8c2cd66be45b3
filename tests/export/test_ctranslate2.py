"""Exports to CTranslate2: the engine computes what we compute, or the export is refused in one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.tokens.tokenizer import SPECIALS
from sightline.export import FORMATS, export
from sightline.export.ctranslate2 import save, unsuited
from sightline.export.ctranslate2_check import check as check_export
from sightline.export.ctranslate2_check import generator_error, translator_error
from sightline.export.transformer_spec import LONGEST, decoder_spec, encoder_decoder_spec, stacks, unlike
from sightline.models.encoder_decoder import EncoderDecoderConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.layers import LayersConfig
from sightline.models.transformer import TransformerConfig
from sightline.parts.image_patches import ImagePatches
from sightline.parts.token_embedding import Tokens
from sightline.tasks.language.config import TextTokenizerConfig
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.table import TASKS
from sightline.tasks.translation.task import TranslationTask
from tests.tasks.translation import small

FORM = FORMATS["ctranslate2"]
NAMES = [*SPECIALS, *(f"t{number}" for number in range(len(SPECIALS), 37))]
CLOSE = 1e-5  # of log-probabilities
SIZES: dict[str, Any] = {"d_model": 24, "heads": 4, "layers": 2, "dropout": 0.0}

# Options of layers that the engine has.
SAME: dict[str, dict[str, Any]] = {
    "no positions": {"positions": "none"},
    "rotary": {"positions": "rotary"},
    "rotary, odd heads": {"positions": "rotary", "options": {"softmax": {"d_head": 5}}},
    "sinusoidal": {"positions": "none", "input_positions": "sinusoidal"},
    "learned": {"positions": "none", "input_positions": "learned"},
    "layer norm": {"norm": "layer"},
    "layer norm after": {"norm": "layer", "order": "post"},
    "rms norm after": {"norm": "rms", "order": "post"},
    "relu": {"activation": "relu"},
    "swiglu": {"activation": "swiglu", "d_feed_forward": 17},
    "one key head": {"options": {"softmax": {"key_heads": 1}}},
    "two key heads, their size": {"options": {"softmax": {"key_heads": 2, "d_head": 3}}},
    "no biases": {"options": {"softmax": {"bias": False}}},
    "rms of queries": {"norm": "rms", "options": {"softmax": {"qk_norm": "rms"}}},
    "layer norm of queries": {"norm": "layer", "options": {"softmax": {"qk_norm": "layer"}}},
    "odd width": {"d_model": 25, "heads": 5},
}
OF_DECODERS: dict[str, dict[str, Any]] = {
    **SAME,
    "alibi": {"positions": "alibi"},
    "alibi of three heads": {"positions": "alibi", "heads": 3},
    "untied": {"tie": False},
}
OF_TRANSFORMERS: dict[str, dict[str, Any]] = {
    "paper": {"positions": "sinusoidal", "order": "post", "tie": "all"},
    "untied": {"positions": "learned", "tie": "none"},
    "unscaled": {"positions": "none", "scale_embedding": False},
}

# Options that it does not have, with a part of the reason.
OTHER: dict[str, tuple[dict[str, Any], str]] = {
    "window": ({"mixers": ("window",)}, "has window"),
    "recurrence": ({"mixers": ("softmax", "gru")}, "has gru"),
    "convolution": ({"convolution": 3}, "one over 3"),
    "no feed-forward": ({"d_feed_forward": 0}, "feed-forward"),
    "sinusoidal in each layer": ({"positions": "sinusoidal"}, "adds sinusoidal positions in each layer"),
    "learned in each layer": ({"positions": "learned"}, "adds learned positions in each layer"),
    "two kinds of positions": ({"positions": "rotary", "input_positions": "learned"}, "rotary and learned"),
    "softcap": ({"options": {"softmax": {"softcap": 5.0}}}, "softcap"),
    "two epsilons": ({"norm": "layer", "options": {"softmax": {"qk_norm": "rms"}}}, "one epsilon"),
    "kept heads": ({"options": {"softmax": {"kept": [0, 2]}}}, "are removed"),
    "rotary, heads of one number": ({"options": {"softmax": {"d_head": 1}}}, "have one number"),
}


def lively(model: Any) -> Any:
    """The model with biases and norms that are not at their first values."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5)
    return model.eval()


@torch.no_grad()
def error(config: Any, directory: Path, exported: Any = None) -> float:
    """How far the engine is from a model of this config, of which it has the export of another one where given."""
    pytest.importorskip("ctranslate2")
    model = lively(config.build(Tokens(len(NAMES)), len(NAMES)))
    exported = exported or config
    if isinstance(config, LanguageModelConfig):
        spec = decoder_spec(model, exported)
        spec.register_vocabulary(NAMES)
        save(spec, directory)
        return generator_error(model, directory, [NAMES])
    spec = encoder_decoder_spec(model, exported)
    spec.register_source_vocabulary(NAMES)
    spec.register_target_vocabulary(NAMES)
    save(spec, directory)
    return translator_error(model, directory, [NAMES, NAMES])


def check(config: Any, directory: Path) -> None:
    assert unlike(stacks(config)) is None
    assert error(config, directory) < CLOSE


@pytest.mark.parametrize("options", OF_DECODERS.values(), ids=OF_DECODERS)
def test_the_engine_computes_what_a_language_model_does(options: dict[str, Any], tmp_path: Path) -> None:
    check(LanguageModelConfig(**SIZES | options), tmp_path)


@pytest.mark.parametrize("options", SAME.values(), ids=SAME)
def test_the_engine_computes_what_an_encoder_decoder_does(options: dict[str, Any], tmp_path: Path) -> None:
    check(EncoderDecoderConfig(**SIZES | options), tmp_path)


@pytest.mark.parametrize("options", OF_TRANSFORMERS.values(), ids=OF_TRANSFORMERS)
def test_the_engine_computes_what_the_transformer_does(options: dict[str, Any], tmp_path: Path) -> None:
    check(TransformerConfig(**SIZES | options), tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"positions": "none"}, {"positions": "alibi"}, {"order": "post"}, {"activation": "relu"}],
    ids=str,
)
def test_a_wrong_option_is_seen(wrong: dict[str, Any], tmp_path: Path) -> None:
    config = LanguageModelConfig(**SIZES)
    with contextlib.suppress(ValueError, AttributeError, RuntimeError):  # it may not even fill the specification
        assert error(config, tmp_path, replace(config, **wrong)) > 100 * CLOSE


def test_an_export_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    config = LanguageModelConfig(**SIZES)
    error(config, tmp_path)
    with pytest.raises(InputError, match="its log-probabilities differ from the model's by"):
        check_export(config.build(Tokens(len(NAMES))), tmp_path, [NAMES])  # other weights


@pytest.mark.parametrize("kind", [LanguageModelConfig, EncoderDecoderConfig])
@pytest.mark.parametrize(("options", "reason"), OTHER.values(), ids=OTHER)
def test_what_the_engine_has_not_is_refused(kind: Any, options: dict[str, Any], reason: str) -> None:
    refusal = unlike(stacks(kind(**SIZES | options)))
    assert refusal is not None
    assert reason in refusal
    assert "\n" not in refusal


def test_alibi_of_an_encoder_is_refused() -> None:
    assert unlike(stacks(EncoderDecoderConfig(**SIZES, positions="alibi"))) == "its encoder has no ALiBi"
    assert unlike(stacks(TransformerConfig(**SIZES, positions="alibi"))) == "its encoder has no ALiBi"


def test_every_option_of_layers_is_exported_or_refused() -> None:
    """A new option, or a new value of one, is met here before it is exported as if it were not there."""
    tried = [*OF_DECODERS.values(), *OF_TRANSFORMERS.values(), *(options for options, _ in OTHER.values())]
    met = {name: {str(options[name]) for options in tried if name in options} for name in choices(LayersConfig)}
    defaults = vars(LanguageModelConfig())
    for name, values in choices(LayersConfig).items():
        assert set(values) == met[name] | {str(defaults[name])}, name
    known = {key for options in tried for key in options.get("options", {}).get("softmax", {})}
    from sightline.mixers.softmax import SoftmaxConfig

    assert known | {"heads", "positions", "causal"} == set(vars(SoftmaxConfig()))


def choices(kind: type) -> dict[str, tuple[str, ...]]:
    """The values of every option that is one of several names."""
    from typing import Literal, get_args, get_origin, get_type_hints

    hints = get_type_hints(kind)
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


def presets() -> Iterator[tuple[str, str]]:
    for name, task in TASKS.items():
        yield from ((name, arch) for arch in task.architectures())


def refusal(name: str, arch: str) -> str | None:
    source = Tokens(11) if TASKS[name].reads_texts else ImagePatches(8, 8, 1, 4)
    return unsuited(TASKS[name].Run.preset(arch).settings.model, source)


def test_only_transformers_that_write_text_from_text_are_exported() -> None:
    refusals = {preset: refusal(*preset) for preset in presets()}
    assert [preset for preset, reason in refusals.items() if reason is None] == [
        ("translation", "transformer"), ("translation", "transformer-2017"), ("language", "transformer")
    ]  # fmt: skip
    assert not any("\n" in reason or reason.endswith(".") for reason in refusals.values() if reason)
    assert refusals["captioning", "transformer"] == (
        "its encoder reads token ids, and that of this model reads image by ImagePatches"
    )


def test_a_model_with_removed_heads_is_refused(tmp_path: Path) -> None:
    task = small.untrained("transformer")
    task.model.decoder.mixer.mixers[1].mixer.keep_heads([0])
    assert "some of this model's are removed" in (FORM.refusal(task) or "")


def test_an_input_beyond_the_table_of_positions_is_an_error(tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    config = LanguageModelConfig(d_model=4, heads=1, layers=1, positions="none", input_positions="sinusoidal")
    spec = decoder_spec(config.build(Tokens(len(NAMES))).eval(), config)
    spec.register_vocabulary(NAMES)
    save(spec, tmp_path)
    engine = ctranslate2.Generator(str(tmp_path), device="cpu", compute_type="float32")
    engine.forward_batch([["t5"] * LONGEST])
    with pytest.raises(RuntimeError, match="position"):
        engine.forward_batch([["t5"] * (LONGEST + 1)])


def readme(directory: Path, monkeypatch: pytest.MonkeyPatch, **instead: str) -> str:
    """The lines of Python in an export's README, with these texts in place of its own, to run where it is."""
    (code,) = re.findall(r"```python\n(.*?)```", (directory / "README.md").read_text(encoding="utf-8"), re.S)
    for old, new in instead.items():
        code, count = re.subn(rf"^{old} = \[.*\]$", f"{old} = {new}".replace("\\", r"\\"), code, flags=re.M)
        assert count == 1
    monkeypatch.chdir(directory)
    return code


@pytest.mark.slow
def test_the_lines_of_the_readme_translate_as_the_model_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ctranslate2")
    preset = TranslationTask.preset("transformer").changed(data="builtin:dates", limit=200, lowercase=True)
    run = preset.changed(model=replace(preset.settings.model, d_model=32))
    task = TranslationTask.build(TranslationTask.load_data(run), run)
    lively(task.model)
    export(task, FORM, tmp_path / "out")
    texts = ["21 March 2025", "1/2/03", "the ½th of Mai – \U0001f600", "x", "Tuesday, 4 November 1997"]
    exec(compile(readme(tmp_path / "out", monkeypatch, texts=repr(texts)), "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == task.predict(texts)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "README.md", "config.json", "model.bin", "source_vocabulary.json", "target_vocabulary.json", "tokenizer.json"
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["byte", "char", "bpe"])
def test_the_lines_of_the_readme_continue_as_the_model_does(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ctranslate2")
    (tmp_path / "text.txt").write_text("Ünder the old oak the owl spoke.\nAnd nobody answered her.\n" * 40)
    preset = LanguageTask.preset("transformer").changed(data=str(tmp_path / "text.txt"))
    tokenizer = TextTokenizerConfig(kind, size=300, lowercase=kind != "byte")  # type: ignore[arg-type]
    run = preset.changed(model=replace(preset.settings.model, d_model=24, layers=1), tokenizer=tokenizer)
    task = LanguageTask.build(LanguageTask.load_data(run), run)
    lively(task.model)
    export(task, FORM, tmp_path / "out")
    prompts = ["Ünder the", "An", "the owl – \U0001f600 "]
    exec(compile(readme(tmp_path / "out", monkeypatch, prompts=repr(prompts)), "README.md", "exec"), {})
    assert capsys.readouterr().out == "".join(f"{text}\n" for text in task.predict(prompts))


def test_an_export_is_refused_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    with pytest.raises(
        InputError,
        match=r"^cannot export to ctranslate2: it has Transformers that write text, and this model is not one$",
    ):
        export(small.untrained("gru"), FORM, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
