"""`sightline data`: describe a data set, and write built-in data to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from sightline.cli.formats import OUTPUT_HELP
from sightline.core.digits import number_of

data = App(name="data", help_format="plaintext")


@data.command
def describe(
    path: str,
    /,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    task: str | None = None,
    valid: str | None = None,
    test: str | None = None,
    picture: Path | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Show how data is read and split, and list suspicious items with their line numbers or names.

    Every key that describes the data is a flag, as with `sightline train`: --source-column, --lowercase, --skip-bad.

    Args:
        path: Data as in `sightline train --data`: a file, two parallel files a,b, a folder, or builtin:dates.
        task: Task, e.g. classification or language. Default: detected from the data, otherwise translation.
        valid: Validation data. Default: split off from the data.
        test: Test data. Default: split off from the data.
        picture: Draw the lengths, labels or series to this file (.svg or .png).
        overwrite: Replace an existing picture.
        json: Print one JSON object with `schema_version`.
    """
    from sightline.cli.messages import messages, print_json
    from sightline.cli.overrides import parse_overrides
    from sightline.core.errors import InputError
    from sightline.tasks.recipe import resolve_run
    from sightline.tasks.table import task_class

    if picture is not None and picture.suffix not in (".svg", ".png"):
        raise InputError(f"expected a file name ending in .svg or .png, found {picture.name!r}", where="--picture")
    if picture is not None and picture.exists() and not overwrite:
        raise InputError("already exists; use --overwrite to replace it", where=picture)
    named = {"task": task, "data": path, "valid": valid, "test": test, **parse_overrides(overrides)}
    flags = {key: value for key, value in named.items() if value is not None}
    with messages():
        run = resolve_run(file=None, environ={}, flags=flags)
        survey = task_class(run.task).survey(run)
    if picture is not None:
        from sightline.report.survey import save_survey

        save_survey(survey, picture)
    if json:
        print_json({"schema_version": 2, **survey.to_dict()})
    else:
        from sightline.report.text import visible

        print("\n".join(visible(line) for line in survey.lines()))


@data.command
def export(
    path: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help=OUTPUT_HELP)],
    part: Literal["train", "valid", "test", "all"] = "all",
    overwrite: bool = False,
) -> None:
    """Write pairs, such as built-in data, to a file.

    Args:
        path: Data as in `sightline data describe`.
        part: Part to write; all writes the parts one after another.
        overwrite: Replace an existing file.
    """
    from sightline.cli.messages import tell
    from sightline.core.errors import InputError
    from sightline.data.pairs.corpus import Pairs, load_corpus
    from sightline.data.pairs.write import write_pairs
    from sightline.tasks.infer import DEFAULT, task_for

    if path.startswith("builtin:") and (task := task_for(path)) != DEFAULT:
        raise InputError(f"is data for {task}; only pairs of texts are written to files", where=path)
    corpus = load_corpus(path)
    chosen = [corpus.train, corpus.valid, corpus.test] if part == "all" else [getattr(corpus, part)]
    pairs = Pairs([text for one in chosen for text in one.sources], [text for one in chosen for text in one.targets])
    write_pairs(pairs, out, overwrite=overwrite)
    tell(f"{number_of(len(pairs.sources), 'pair')} in {out}")
