"""`sightline generate`: text from a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from sightline.cli.decoding_flags import SamplingFlags, SearchFlags
from sightline.cli.plugins import Plugins


def generate(
    run: Path,
    /,
    *prompts: str,
    prompt_file: Path | None = None,
    max_new_tokens: int | None = None,
    greedy: bool = False,
    sample: bool = False,
    search: SearchFlags = SearchFlags(),
    sampling: SamplingFlags = SamplingFlags(),
    stop: list[str] | None = None,
    num_samples: int = 1,
    draft: str | None = None,
    truncate: Literal["error", "left"] = "error",
    echo: bool = False,
    device: str = "auto",
    plugin: Plugins = None,
    json: bool = False,
) -> None:
    """Continue prompts with a language model, by sampling unless --greedy or --beam is set.

    Without prompts, standard input is one prompt, without its last line break; on a terminal the prompt is empty. A
    single output is printed while it is generated, several outputs when they are complete, each on a new line.

    Args:
        run: Directory of a run, of a model, or of a comparison, whose winner is used.
        prompts: Texts to continue; an empty one starts a document.
        prompt_file: File whose whole content is one prompt.
        max_new_tokens: Maximum number of tokens to add [default: 200].
        greedy: Always take the most likely token.
        sample: Sample each token; the default unless --greedy or --beam is set.
        stop: Stop before this string; can be repeated.
        num_samples: Number of outputs per prompt.
        draft: Source of proposed tokens, which the model checks several at a time: what followed the last tokens where
            they occurred before in the text (ngram), or a smaller model, given as the directory of its run. Changes
            only the time; with a model, also the outputs of a seed.
        truncate: How to handle a prompt that is too long for the model: fail (error) or drop its beginning (left).
        echo: Print each prompt before its output.
        device: auto, cpu, cuda or mps.
        json: Print one JSON object with `schema_version`.
    """
    import sys

    from sightline.cli.messages import messages, opened, print_json, tell
    from sightline.cli.stream import harmless, whole_text
    from sightline.core.config import override
    from sightline.core.errors import InputError
    from sightline.core.settings import check_in_range
    from sightline.data.rows.files import open_bytes
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.language.generation import GenerationConfig
    from sightline.tasks.not_files import check_not_files

    if sum((greedy, sample, search.beam > 1)) > 1:
        raise InputError("choose one of --greedy, --sample and --beam")
    sampled = not greedy and search.beam == 1
    settings = sampling.settings(sampled, "sampling: remove --greedy and --beam") | search.settings()
    check_in_range("--max-new-tokens", max_new_tokens, at_least=1)
    if max_new_tokens is not None:
        settings["max_length"] = max_new_tokens
    kind = "none" if draft is None else "ngram" if draft == "ngram" else "model"
    decoding = override(DecodingConfig(), {**settings, "sample": sampled, "draft": kind}, prefix="--")
    try:
        config = GenerationConfig(decoding, num_samples, tuple(stop or ()), truncate)
    except InputError as error:
        flag = {"samples": "--num-samples", "stop": "--stop"}.get(error.where or "")
        raise InputError(str(error).removeprefix(f"{error.where}: "), where=flag) from None
    if prompts and prompt_file is not None:
        raise InputError("pass either prompts or a file", where="--prompt-file")
    check_not_files(prompts, "--prompt-file reads a prompt from a file, standard input any text")
    task = opened(run, device, plugin)
    if not task.continues_prompts:
        raise InputError(
            f"is a {task.name} model; `generate` needs a language model (use `sightline predict`)", where=run
        )
    drafting = _draft(Path(draft), device) if draft is not None and kind == "model" else None
    if prompt_file is not None:
        with open_bytes(prompt_file) as stream:
            prompts = (whole_text(stream, str(prompt_file)),)
    elif not prompts:
        prompts = ("" if sys.stdin.isatty() else whole_text(sys.stdin.buffer, "stdin").removesuffix("\n"),)

    terminal = sys.stdout.isatty()
    shown = harmless if terminal else str

    def show(_: int, text: str) -> None:
        print(shown(text), end="", flush=True)

    single = len(prompts) * num_samples == 1 and not json
    if single and echo:
        show(0, prompts[0])
    with messages():
        outputs = task.continuations(prompts, config, on_text=show if single else None, draft=drafting)
    if json:
        records = [output._asdict() for output in outputs]
        print_json({"schema_version": 1, "arch": task.arch, "generated": records})
    elif single:
        print(flush=True)
    else:
        for output in outputs:
            print(shown((output.prompt if echo else "") + output.text))
    if dropped := max(output.dropped for output in outputs):
        tell(f"dropped the first {dropped} tokens of a prompt (--truncate=left)")


def _draft(run: Path, device: str) -> Any:
    """The model that drafts; raises `InputError` if it is not a language model."""
    from sightline.cli.messages import opened
    from sightline.core.errors import InputError

    task = opened(run, device)
    if not task.continues_prompts:
        raise InputError(f"{run} is a {task.name} model; drafts need a language model, or ngram", where="--draft")
    return task
