"""`sightline predict`: outputs of a trained model, a line for a line where they are no tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast


def predict(
    run: Path,
    /,
    *inputs: str,
    beam: int = 1,
    length_penalty: float | None = None,
    sample: bool = False,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    max_length: int | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    figures: Path | None = None,
    json: bool = False,
) -> None:
    """Answer the inputs, or standard input line by line where there are none.

    Outputs go to standard output in order, one line each; an empty text gives an empty line. Lines are answered as they
    arrive, so that another program may talk to it. An input is a text, or a file's path for a model that reads files.

    Args:
        run: A run's directory, or a model's.
        inputs: Texts, or paths.
        beam: Hypotheses kept; 1 is greedy decoding.
        length_penalty: Alpha of ((5 + n) / 6)^alpha, which a hypothesis of n tokens is divided by.
        sample: Draw the output instead of searching for the likeliest.
        temperature: Of sampling: below 1 nearer to the likeliest, 0 greedy.
        top_k: Sample among the k likeliest tokens.
        top_p: Sample among the likeliest tokens that together reach this probability.
        min_p: Sample among tokens at least this times as likely as the likeliest.
        repetition_penalty: Divide the logit of tokens already in the output by this when sampling.
        max_length: Most tokens of an output.
        seed: Of sampling.
        batch_size: Most lines decoded together.
        device: auto, cpu, cuda or mps.
        figures: Of forecasts, a directory to write a figure of each series into, as SVG.
        json: Print one JSON object with `schema_version` in place of lines.
    """
    import sys

    from sightline.cli.stream import Stream, arriving, shown
    from sightline.core.errors import InputError
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.load import load
    from sightline.training.environment import resolve_device

    searching = {"length_penalty": length_penalty}
    sampling = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
    }
    for needs, missing, options in (("--sample", not sample, sampling), ("--beam 2 or more", beam < 2, searching)):
        for name, value in options.items():
            if value is not None and missing:
                raise InputError(f"needs {needs}", where=f"--{name.replace('_', '-')}")
    given: dict[str, Any] = {**searching, **sampling, "max_length": max_length, "batch_size": batch_size}
    given = {name: value for name, value in given.items() if value is not None}
    decoding = DecodingConfig(beam=beam, sample=sample, **given)
    task = load(run).to(resolve_device(device))
    if not task.accepts_decoding and (given or sample or beam != 1):
        raise InputError(
            f"{task.name} decodes no sequences: leave out --beam, --sample and the other flags of decoding"
        )
    if figures is not None and task.name != "forecasting":
        raise InputError(f"there are figures of forecasts, not of {task.name}", where="--figures")

    terminal = sys.stdout.isatty()
    records, first, cut = [], 0, 0
    for lines in [list(inputs)] if inputs else arriving(cast(Stream, sys.stdin.buffer)):
        found = task.answer(lines, decoding if task.accepts_decoding else None, first=first)
        first += len(lines)
        cut += sum(not output.complete for output in found)
        if json or figures is not None:
            records += [output.record for output in found]
        if not json:
            for output in found:
                for line in output.text.split("\n") if task.answers_lines else [output.text]:
                    print(shown(line, terminal=terminal))
            sys.stdout.flush()
    if figures is not None:
        from sightline.report.forecasts import save_forecasts

        for path in save_forecasts(records, figures):
            print(f"sightline: {path}", file=sys.stderr)
    if json:
        from json import dumps

        print(
            dumps(
                {"schema_version": 1, "task": task.name, "arch": task.arch, "predictions": records}, ensure_ascii=False
            )
        )
    if cut:
        print(f"sightline: {cut} of {first} outputs were cut off: --max-length allows longer ones", file=sys.stderr)
