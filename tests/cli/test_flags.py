"""Wrong flags of every verb: one line that names the flag, status 2, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightline.cli.app import main

WRONG = {
    "train --seed 1.5": "--seed: expected an integer, found '1.5'",
    "train --seed abc": "--seed: expected an integer, found 'abc'",
    "train --seed": "--seed needs a value",
    "train --seed 1 --seed 2": "parameter --seed specified multiple times.",
    "train --limit 1e5": "--limit: expected an integer, found '1e5'",
    "train --dta pairs.tsv": "--dta: unknown key, did you mean 'data'?",
    "train pairs.tsv": "unexpected argument 'pairs.tsv': pass data with a flag, as in --data pairs.tsv",
    "train -z": "unknown flag '-z'",
    "train --data absent.tsv --arch gru": "absent.tsv: no such file",
    "train --data pairs.tsv --arch grru": "unknown architecture 'grru', did you mean 'gru'?",
    "train --data pairs.tsv --arch gru --budget 60x": "--budget: unknown unit 'x' in '60x'",
    "train --data pairs.tsv --arch gru --budget -3s": "--budget",
    "train --data pairs.tsv --arch gru --budget 3s --max-steps 3": "--budget and --max-steps are mutually exclusive",
    "train --data pairs.tsv --arch gru --max-time 3steps": "--max-time: expected a time",
    "train --data pairs.tsv --arch gru --optim.lrr 3": "--optim.lrr: unknown key, did you mean 'lr'?",
    "train --data pairs.tsv --arch gru --optim.lr fast": "--optim.lr: expected a number, found 'fast'",
    "train --data pairs.tsv --arch gru --optim.lr=-1": "--optim.lr: must be positive",
    "train --data pairs.tsv --arch gru --dtype int8": "--dtype: expected one of auto, float32, bfloat16, found 'int8'",
    "train --data pairs.tsv --arch gru --match params=many": "--match: expected params=2M, flops=1.5M",
    "train --config absent.yaml": "absent.yaml: no such file",
    "train --config wrong.yaml": "wrong.yaml: optim.lrr: unknown key, did you mean 'lr'?",
    "predict": "RUN needs a value",
    "predict absent x": "absent: no such directory",
    "predict . x": ".: no model here",
    "predict . x --beam one": "--beam: expected an integer, found 'one'",
    "predict . x --beam 0": "--beam: must be at least 1",
    "predict . x --temperature 0.5": "--temperature: requires --sample",
    "predict . x --sample --temperature nan": "--temperature: expected a number, found 'nan'",
    "predict . x --bem 3": "unknown option: --bem. Did you mean --beam?",
    "eval": "RUN needs a value",
    "eval absent": "absent: no such directory",
    "eval . --part tset": "--part",
    "eval . --limit 3.5": "--limit: expected an integer, found '3.5'",
    "compare": "--data needs a value",
    "compare --data absent.tsv": "absent.tsv: no such file",
    "compare --data pairs.tsv --archs gru,grru": "unknown architecture 'grru', did you mean 'gru'?",
    "compare --data pairs.tsv --archs ,": "--archs: ",
    "compare --data pairs.tsv --seeds 0": "--seeds",
    "compare --data pairs.tsv --seeds two": "--seeds: expected an integer, found 'two'",
    "compare --data pairs.tsv --budget soon": "--budget: expected an amount with a unit",
    "compare --data pairs.tsv --search 2": "--search",
    "compare --data pairs.tsv --match 2M": "match: expected params=2M, flops=1.5M",
    "compare --data pairs.tsv --tokens words": "--tokenizer.kind: expected one of auto, char, bpe",
    "compare --data pairs.tsv --arch gru": "--arch: unknown flag, did you mean '--archs'?",
    "compare --data pairs.tsv --keep 3": "--keep: a comparison deletes the checkpoints of its runs",
    "compare --data pairs.tsv --max-steps 3": "--max-steps: unknown key",
    "compare --data pairs.tsv --validations 0": "--validations: must be at least 1, found 0",
    "ladder pairs.tsv --until-decided": "--until-decided: does not apply to a ladder: seeds are added until one",
    "ladder pairs.tsv --archs gru": "--archs: does not apply to a ladder: its architectures are the rungs",
    "ladder pairs.tsv --limit 3 --tokenizer.kind bpe --tokens char": "--tokenizer.kind: specified twice",
    "ladder pairs.tsv --limit 0.5": "--limit: expected an integer, found '0.5'",
    "ladder --data pairs.tsv --limit 0.5": "--limit: expected an integer, found '0.5'",
    "ladder pairs.tsv --resume": "--resume: needs --out-dir, the directory of the ladder to continue",
    "ladder pairs.tsv --plan x --budget 3s": "--budget and --plan are mutually exclusive",
    "compare --data pairs.tsv --resume --overwrite -o x": "--resume and --overwrite are mutually exclusive",
    "scale --data pairs.tsv --seed abc": "--seed: expected an integer, found 'abc'",
    "train --task classification --front-end.filters 3": "--front-end.filters: requires --front-end=character_cnn",
    "train --task classification --front-end pixels --front-end.filters 3": "pixels has no such key; requires",
    "demo --budget 3parsecs": "--budget: unknown unit 'parsecs'",
    "demo --seeds many": "--seeds: expected an integer, found 'many'",
    "data describ pairs.tsv": "unknown command 'describ', did you mean 'describe'?",
    "data describe": "PATH needs a value",
    "data describe absent.csv": "absent.csv: no such file",
    "data describe pairs.tsv --source-column 9": "column",
    "data describe builtin:dats": "unknown built-in data 'dats', did you mean 'dates'?",
    "data export pairs.tsv": "--out needs a value",
    "data export pairs.tsv --out pairs.doc": "pairs.doc: the name must end in",
    "compare --data builtin:digit": "builtin: unknown built-in data 'digit', did you mean 'digits'?",
    "data export builtin:digits --out x.csv": "builtin:digits: is data for classification; only pairs of texts are",
    "data export pairs.tsv --out pairs.tsv": "pairs.tsv: already exists; use --overwrite to replace it",
    "bench --pairs 0": "--pairs: must be at least 1, found 0",
    "bench --threads 1.5": "--threads: expected an integer, found '1.5'",
    "bench --only windw": "--only: unknown scenario or family 'windw', did you mean 'window'?",
    "bench --device abacus": "--device: must be auto, cpu, cuda or mps, found 'abacus'",
    "certify nope": "unknown mechanism 'nope'",
    "certify lstm --law nope": "unknown law 'nope'",
    "certify absent:Config": "no module 'absent'",
    "certify os:Config": "module os has no 'Config'",
    "certify --lw x": "unknown option: --lw. Did you mean --law?",
}


SLOW = ("compare --data", "demo")  # they start a process that imports torch


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of all commands, so that those that start processes share them: see `kept_workers`."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "pairs.tsv").write_text("".join(f"a{i}\tb{i}\n" for i in range(30)))
    (folder / "wrong.yaml").write_text("data: pairs.tsv\noptim: {lrr: 1}\n")
    return folder


@pytest.mark.parametrize(
    "command", [pytest.param(line, marks=pytest.mark.slow) if line.startswith(SLOW) else line for line in WRONG]
)
def test_a_wrong_flag_is_named_and_nothing_is_written(command, here, monkeypatch, capsys):
    monkeypatch.chdir(here)
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *progress, error = err.splitlines()
    assert error.startswith("sightline: error: ")
    assert WRONG[command] in error
    assert all(line.strip().startswith("preparing") for line in progress)  # a slow machine prints more of them
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before
    assert sorted(before) == ["pairs.tsv", "wrong.yaml"]
