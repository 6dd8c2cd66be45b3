"""`sightline eval`: how good a trained model is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal


def eval(
    run: Path,
    /,
    *,
    data: str | None = None,
    part: Literal["train", "valid", "test"] = "test",
    source_column: str | None = None,
    target_column: str | None = None,
    limit: int | None = None,
    lowercase: bool = False,
    beam: int = 1,
    length_penalty: float | None = None,
    max_length: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """Measure a model on the test part of the data that it was trained on, or on another file.

    Exact match, BLEU and chrF (sacreBLEU) are of decoded outputs; loss (nats per token), perplexity and token accuracy
    of the reference under the model.

    Args:
        run: A run's directory, or a model's.
        data: A file of pairs, all of which are used, two parallel files a,b, or builtin:dates.
        part: Which part of a run's or of built-in data.
        source_column: The column of the source, where the file's are not named source and target.
        target_column: The column of the target.
        limit: Use only the first so many pairs.
        lowercase: Lower-case the file's texts.
        beam: Hypotheses kept; 1 is greedy decoding.
        length_penalty: Alpha of ((5 + n) / 6)^alpha, which a hypothesis of n tokens is divided by.
        max_length: Most tokens of an output.
        batch_size: Most texts decoded together.
        device: auto, cpu, cuda or mps.
        json: Print one JSON object with `schema_version`.
    """
    import sys

    from sightline.core.errors import InputError
    from sightline.decoding.engine import DecodingConfig
    from sightline.tasks.load import load, part_of_data, part_of_run
    from sightline.training.environment import resolve_device

    if limit is not None and limit < 1:
        raise InputError(f"must be at least 1, found {limit}", where="--limit")
    if length_penalty is not None and beam < 2:
        raise InputError("needs --beam 2 or more", where="--length-penalty")
    given: dict[str, Any] = {"length_penalty": length_penalty, "max_length": max_length, "batch_size": batch_size}
    decoding = DecodingConfig(beam=beam, **{name: value for name, value in given.items() if value is not None})
    task = load(run).to(resolve_device(device))
    if data is None:
        if source_column or target_column or lowercase:
            raise InputError("needs --data", where="--lowercase" if lowercase else "--source-column, --target-column")
        measured = part_of_run(run, part, limit)
        if measured.sha256 and measured.sha256 not in task.data:
            print(f"sightline: {measured.name} is not what it was when the model was trained", file=sys.stderr)
    else:
        columns = {"source_column": source_column, "target_column": target_column}
        measured = part_of_data(data, part, **columns, limit=limit, lowercase=lowercase)
    found = task.evaluate(measured.pairs, decoding)
    count = len(found.items)
    if json:
        from json import dumps
        from math import isfinite

        metrics = {name: value if isfinite(value) else None for name, value in found.metrics.items()}
        print(dumps({"schema_version": 1, "arch": task.arch, "data": measured.name, "pairs": count,
                     "metrics": metrics, "signatures": found.signatures}, ensure_ascii=False))  # fmt: skip
        return
    print(f"{task.arch} on {measured.name}, {count:,} pairs")
    for name, value in found.metrics.items():
        print(f"  {name:<15} {value:10.4f}  {found.signatures.get(name, '')}".rstrip())
