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
    *,
    valid: str | None = None,
    test: str | None = None,
    source_column: str | None = None,
    target_column: str | None = None,
    lowercase: bool = False,
    skip_bad: bool = False,
    data_seed: int = 0,
    json: bool = False,
) -> None:
    """Show how data would be read and divided, and which rows look wrong, with their lines.

    Args:
        path: A file of pairs (.tsv, .csv, .jsonl, .parquet, each also .gz), two parallel files a,b, or builtin:dates.
        valid: Validation data; without it a tenth of the data is kept apart.
        test: Test data; without it a tenth of the data is kept apart.
        source_column: The column of the source, where it is not named source.
        target_column: The column of the target, where it is not named target.
        lowercase: Lower-case all texts.
        skip_bad: Count and report bad rows instead of stopping at the first.
        data_seed: Decides which tenth is kept apart.
        json: Print one JSON object with `schema_version`.
    """
    from sightline.data import describe as description

    found = description.describe(
        path,
        valid=valid,
        test=test,
        source_column=source_column,
        target_column=target_column,
        lowercase=lowercase,
        skip_bad=skip_bad,
        seed=data_seed,
    )
    if json:
        from json import dumps

        print(dumps({"schema_version": 1, **found}, ensure_ascii=False))
    else:
        print("\n".join(description.as_text(found)))


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

    from sightline.data.read import Pairs, load_corpus
    from sightline.data.write import write_pairs

    corpus = load_corpus(path)
    chosen = [corpus.train, corpus.valid, corpus.test] if part == "all" else [getattr(corpus, part)]
    pairs = Pairs([text for one in chosen for text in one.sources], [text for one in chosen for text in one.targets])
    write_pairs(pairs, out, overwrite=overwrite)
    print(f"sightline: {len(pairs.sources):,} pairs in {out}", file=sys.stderr)
