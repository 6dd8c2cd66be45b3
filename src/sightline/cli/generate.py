"""`sightline generate`: text from a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal


def generate(
    run: Path,
    /,
    *prompts: str,
    prompt_file: Path | None = None,
    max_new_tokens: int | None = None,
    greedy: bool = False,
    sample: bool = False,
    beam: int = 1,
    length_penalty: float | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    stop: list[str] | None = None,
    seed: int | None = None,
    num_samples: int = 1,
    batch_size: int | None = None,
    truncate: Literal["error", "left"] = "error",
    echo: bool = False,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Go on from the prompts, from a file, or from standard input where there are none; drawn at random if not said.

    One output of one prompt appears as it is made, several one after another when they are done, each with a line end.
    All of standard input is one prompt, but for a line end at its end; on a terminal the text begins with nothing.

    Args:
        run: A run's directory, or a model's.
        prompts: Texts to go on from; an empty one begins a document.
        prompt_file: A file that is one prompt, all of it.
        max_new_tokens: Most tokens to add [default: 200].
        greedy: Always take the likeliest token.
        sample: Draw each token, which is what happens where neither --greedy nor --beam is given.
        beam: Hypotheses kept; 1 is no search.
        length_penalty: Alpha of ((5 + n) / 6)^alpha, which a hypothesis of n tokens is divided by.
        temperature: Of sampling: below 1 nearer to the likeliest, 0 greedy.
        top_k: Sample among the k likeliest tokens.
        top_p: Sample among the likeliest tokens that together reach this probability.
        min_p: Sample among tokens at least this times as likely as the likeliest.
        repetition_penalty: Divide the logit of tokens already in the prompt or output by this when sampling.
        stop: End the text before this; may be given several times.
        seed: Of sampling.
        num_samples: Outputs for each prompt.
        batch_size: Most outputs made together.
        truncate: What to do with a prompt too long for the model: error, or left, which drops its beginning.
        echo: Print each prompt before its output.
        device: auto, cpu, cuda or mps.
        json: Print one JSON object with `schema_version`.
    """
    import sys

    from sightline.cli.stream import harmless, whole_text
    from sightline.core.errors import InputError
    from sightline.data.rows.files import open_bytes
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.language.generation import GenerationConfig
    from sightline.tasks.language.task import LanguageTask
    from sightline.tasks.load import load
    from sightline.training.environment import resolve_device

    if sum((greedy, sample, beam > 1)) > 1:
        raise InputError("choose one of --greedy, --sample and --beam")
    drawn = not greedy and beam == 1
    sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
                "repetition_penalty": repetition_penalty, "seed": seed}  # fmt: skip
    for name, value in sampling.items():
        if value is not None and not drawn:
            raise InputError("needs sampling: leave out --greedy and --beam", where=f"--{name.replace('_', '-')}")
    if max_new_tokens is not None and max_new_tokens < 1:
        raise InputError(f"must be at least 1, found {max_new_tokens}", where="--max-new-tokens")
    if length_penalty is not None and beam < 2:
        raise InputError("needs --beam 2 or more", where="--length-penalty")
    given: dict[str, Any] = {**sampling, "length_penalty": length_penalty, "max_length": max_new_tokens}
    given |= {"batch_size": batch_size}
    decoding = DecodingConfig(
        beam=beam, sample=drawn, **{key: value for key, value in given.items() if value is not None}
    )
    config = GenerationConfig(decoding, num_samples, tuple(stop or ()), truncate)
    if prompts and prompt_file is not None:
        raise InputError("give prompts or a file, not both", where="--prompt-file")
    task = load(run)
    if not isinstance(task, LanguageTask):
        raise InputError(
            f"holds a model for {task.name}, which goes on from no text: use `sightline predict`", where=run
        )
    task.to(resolve_device(device))
    if prompt_file is not None:
        with open_bytes(prompt_file) as stream:
            prompts = (whole_text(stream, str(prompt_file)),)
    elif not prompts:
        prompts = ("" if sys.stdin.isatty() else whole_text(sys.stdin.buffer, "stdin").removesuffix("\n"),)

    terminal = sys.stdout.isatty()
    shown = harmless if terminal else str

    def appear(_: int, text: str) -> None:
        print(shown(text), end="", flush=True)

    one = len(prompts) * num_samples == 1 and not json
    if one and echo:
        appear(0, prompts[0])
    found = task.generate(prompts, config, on_text=appear if one else None)
    if json:
        from json import dumps

        records = [one._asdict() for one in found]
        print(dumps({"schema_version": 1, "arch": task.arch, "generated": records}, ensure_ascii=False))
    elif one:
        print(flush=True)
    else:
        for output in found:
            print(shown((output.prompt if echo else "") + output.text))
    if dropped := max(output.dropped for output in found):
        print(f"sightline: the first {dropped} tokens of a prompt were dropped: --truncate left", file=sys.stderr)
