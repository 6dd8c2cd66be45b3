"""`sightline predict`: outputs of a trained model, one line per input except for tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter

from sightline.cli.decoding_flags import OutputFlags, SamplingFlags, SearchFlags
from sightline.cli.plugins import Plugins

WAY = "write texts as arguments, give a table of them with --data, or write any text, one per line, on standard input"
CHUNK = 2000  # rows of a table that are answered at a time


def predict(
    run: Path,
    /,
    *inputs: str,
    data: Path | None = None,
    source_column: str | None = None,
    header: Annotated[bool | None, Parameter(negative="--no-header")] = None,
    base: Path | None = None,
    search: SearchFlags = SearchFlags(),
    written: OutputFlags = OutputFlags(),
    sample: bool = False,
    sampling: SamplingFlags = SamplingFlags(),
    device: str = "auto",
    plugin: Plugins = None,
    figures: Path | None = None,
    json: bool = False,
) -> None:
    """Run a trained model on the inputs, on the rows of a table, or else on standard input line by line.

    Outputs go to standard output in order, one line per input. An empty input gives an empty line; no input at all is
    an error. Each line is answered as it arrives, so that another program can talk to `predict`. An input is a text, or
    the path of a file if the model reads files.

    Args:
        run: Directory of a run, of a model, or of a comparison, whose winner is used.
        inputs: Texts, or paths if the model reads files. A text that looks like the name of a file is an error; on
            standard input any text is one.
        data: Table with an input in each row, in any format that `sightline train` reads; it needs no labels or
            targets.
        source_column: Column of the inputs in the table; several are comma-separated. Default: as in training.
        header: Whether the first row of the table names its columns. Default: detected.
        base: Folder that paths in the table are relative to. Default: the table's own.
        sample: Sample the output instead of searching for the most likely one.
        device: auto, cpu, cuda or mps.
        figures: For forecasts: write an SVG figure of each series to this directory.
        json: Print one JSON object with `schema_version` instead of lines.
    """
    import sys
    from itertools import chain

    from sightline.cli.messages import messages, opened, print_json, tell
    from sightline.cli.stream import Stream, arriving, shown
    from sightline.core.config import override
    from sightline.core.errors import InputError
    from sightline.data.inputs import InputTable
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.not_files import check_not_files

    settings = sampling.settings(sample, "--sample") | search.settings() | written.settings()
    decoding = override(DecodingConfig(), {**settings, "sample": sample}, prefix="--")
    task = opened(run, device, plugin)
    if not task.accepts_decoding and (settings or sample):
        raise InputError(f"{task.name} does not decode sequences: remove --beam, --sample and other decoding flags")
    if figures is not None and not task.draws_answers:
        raise InputError(f"predict draws no figures for {task.name}", where="--figures")

    terminal = sys.stdout.isatty()
    if task.reads_texts:
        check_not_files(inputs, WAY)
    records, first, cut, noted = [], 0, 0, set()
    if data is not None:
        if inputs:
            raise InputError("inputs and a table are mutually exclusive", where="--data")
        with messages():
            rows = task.table_inputs(InputTable(data, source_column, header, base))
        chunks = (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
    else:
        for flag, value in (("source-column", source_column), ("header", header), ("base", base)):
            if value is not None:
                raise InputError("requires --data", where=f"--{flag}")
        chunks = iter([list(inputs)] if inputs else arriving(cast(Stream, sys.stdin.buffer)))
    if (begin := next(chunks, None)) is None:
        if data is not None:
            raise InputError("has no rows", where=data)
        raise InputError("no input: give inputs after the run, or one per line on standard input", where="stdin")
    for lines in chain([begin], chunks):
        with messages():
            outputs = task.answer(lines, decoding if task.accepts_decoding else None, first=first)
        first += len(task.filled(lines))
        cut += sum(not output.complete for output in outputs)
        notes = dict.fromkeys(note for output in outputs for note in output.notes if note not in noted)
        noted.update(notes)
        for note in notes:
            tell(shown(note, terminal=sys.stderr.isatty()))
        if json or figures is not None:
            records += [output.record for output in outputs]
        if not json:
            for output in outputs:
                for line in output.text.split("\n") if task.answers_lines else [output.text]:
                    print(shown(line, terminal=terminal))
            sys.stdout.flush()
    if figures is not None:
        from sightline.report.forecasts import save_forecasts

        with messages():
            paths = save_forecasts(records, figures)
        for path in paths:
            tell(str(path))
    if json:
        print_json({"schema_version": 1, "task": task.name, "arch": task.arch, "predictions": records})
    if cut:
        tell(f"{cut} of {first} outputs were truncated; increase --max-length")
