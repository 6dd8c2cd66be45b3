"""Flags for any key of the configuration that a command does not declare, with dots between levels."""

from __future__ import annotations

from collections.abc import Sequence


def parse_overrides(tokens: Sequence[str]) -> dict[str, str]:
    """`("--optim.lr", "3e-4", "--tokenizer.shared")` as `{"optim.lr": "3e-4", "tokenizer.shared": "true"}`.

    `--no-header` is `--header false`.

    Raises:
        InputError: "unexpected argument 'pairs.tsv': pass data with a flag, as in --data pairs.tsv"; "--optim.lr:
            specified twice".
    """
    from sightline.core.errors import InputError

    overrides: dict[str, str] = {}
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if not token.startswith("--") or token == "--":
            if token.startswith("-") and token != "-":
                raise InputError(f"unknown flag {token!r}")
            raise InputError(f"unexpected argument {token!r}: pass data with a flag, as in --data {token}")
        name, equals, value = token[2:].partition("=")
        if not equals:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        if name.startswith("no-") and value == "true":
            name, value = name.removeprefix("no-"), "false"
        key = name.replace("-", "_")
        if key in overrides:
            raise InputError("specified twice", where=f"--{name}")
        overrides[key] = value
    return overrides
