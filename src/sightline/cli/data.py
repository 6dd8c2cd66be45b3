"""`sightline data`: what a data set holds, and built-in data as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

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
    """Show how data would be read and divided, and what in it looks wrong, with line numbers or names.

    Every key that says which data it is, and how to read it, is a flag as it is of `sightline train`: --source-column,
    --lowercase, --skip-bad.

    Args:
        path: What `sightline train` takes as --data: a file, two parallel files a,b, a folder, builtin:dates.
        task: What the data is for: translation (text to text) where nothing else is said.
        valid: Validation data; without it a part is kept apart.
        test: Test data; without it a part is kept apart.
        picture: Draw lengths, labels or series into this file, .svg or .png.
        overwrite: Replace the picture where it exists.
        json: Print one JSON object with `schema_version`.
    """
    from sightline.cli.overrides import parse_overrides
    from sightline.core.errors import InputError
    from sightline.tasks.recipe import resolve_run
    from sightline.tasks.table import task_class

    if picture is not None and picture.suffix not in (".svg", ".png"):
        raise InputError(f"expected a name that ends in .svg or .png, found {picture.name!r}", where="--picture")
    if picture is not None and picture.exists() and not overwrite:
        raise InputError("exists already; --overwrite replaces it", where=picture)
    named = {"task": task, "data": path, "valid": valid, "test": test, **parse_overrides(overrides)}
    run = resolve_run(file=None, environ={}, flags={key: value for key, value in named.items() if value is not None})
    survey = task_class(run.task).load_data(run).describe()
    if picture is not None:
        from sightline.report.survey import save_survey

        save_survey(survey, picture)
    if json:
        from json import dumps

        print(dumps({"schema_version": 2, **survey.to_dict()}, ensure_ascii=False, allow_nan=False))
    else:
        from sightline.report.text import visible

        print("\n".join(visible(line) for line in survey.lines()))


@data.command
def export(
    path: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    part: Literal["train", "valid", "test", "all"] = "all",
    overwrite: bool = False,
) -> None:
    """Write pairs, built-in ones for example, to a file.

    Args:
        path: What `describe` takes.
        out: The file to write; its name ends in .tsv, .jsonl or .parquet.
        part: Which part; all of them one after the other by default.
        overwrite: Replace the file where it exists.
    """
    import sys

    from sightline.data.pairs.corpus import Pairs, load_corpus
    from sightline.data.pairs.write import write_pairs

    corpus = load_corpus(path)
    chosen = [corpus.train, corpus.valid, corpus.test] if part == "all" else [getattr(corpus, part)]
    pairs = Pairs([text for one in chosen for text in one.sources], [text for one in chosen for text in one.targets])
    write_pairs(pairs, out, overwrite=overwrite)
    print(f"sightline: {len(pairs.sources):,} pairs in {out}", file=sys.stderr)
