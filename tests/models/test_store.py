"""Loading trusts nothing: each damaged or hostile file is one line and exit status 2, and costs no memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.data.tokens.tokenizer import TokenizerPair
from sightline.models import ARCHITECTURES
from sightline.models.store import load_model, save_model
from sightline.tasks.load import load
from tests.tasks.translation.small import untrained


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "model"
    untrained("gru").save(directory)
    return directory


@pytest.fixture
def model(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def edit(name: str):
    """A change of a JSON file: the decorated function changes the decoded object."""

    def decorate(change):
        def damage(model: Path) -> None:
            content = json.loads((model / name).read_text())
            change(content)
            (model / name).write_text(json.dumps(content))

        return damage

    return decorate


def config(*path: str, value: object):
    @edit("config.json")
    def change(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


def tensors(change):
    """A change of the tensors, with the hash of config.json made to fit."""

    def damage(model: Path) -> None:
        content = safetensors.torch.load_file(model / "model.safetensors")
        change(content)
        put(model, safetensors.torch.save(content))

    return damage


def put(model: Path, weights: bytes) -> None:
    (model / "model.safetensors").write_bytes(weights)
    config("weights_sha256", value=hashlib.sha256(weights).hexdigest())(model)


def header(change):
    """A change of the header's JSON text, everything else kept."""

    def damage(model: Path) -> None:
        raw = (model / "model.safetensors").read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        text = change(raw[8 : 8 + length])
        put(model, struct.pack("<Q", len(text)) + text + raw[8 + length :])

    return damage


def write(name: str, content: bytes):
    return lambda model: (model / name).write_bytes(content)


def as_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.pkl", "x")
    return stream.getvalue()


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("pickle-was-opened",)


def first_of(content):
    return sorted(content)[0]


def overlapping(text: bytes) -> bytes:
    entries = json.loads(text)
    names = [name for name in entries if name != "__metadata__"]
    entries[names[1]]["data_offsets"] = entries[names[0]]["data_offsets"]
    return json.dumps(entries).encode()


def huge(text: bytes) -> bytes:
    entries = json.loads(text)
    entries[next(name for name in entries if name != "__metadata__")]["shape"] = [2**40, 2**40]
    return json.dumps(entries).encode()


CASES = {
    "pickle_for_weights": (write("model.safetensors", pickle.dumps(Bomb())), "a pickle or an archive"),
    "zip_for_weights": (write("model.safetensors", as_zip()), "a pickle or an archive"),
    "gzip_for_weights": (write("model.safetensors", b"\x1f\x8b\x08\x00" + b"\0" * 20), "a pickle or an archive"),
    "text_for_weights": (write("model.safetensors", b"weights, really"), "not a safetensors file"),
    "no_weights": (lambda model: (model / "model.safetensors").unlink(), "model.safetensors: no such file"),
    "directory_for_weights": (
        lambda model: ((model / "model.safetensors").unlink(), (model / "model.safetensors").mkdir()),
        "not a regular file",
    ),
    "pipe_for_weights": (
        lambda model: ((model / "model.safetensors").unlink(), os.mkfifo(model / "model.safetensors")),
        "not a regular file",
    ),
    "header_of_200_MB": (write("model.safetensors", struct.pack("<Q", 200_000_000) + b"{}"), "header too large"),
    "header_of_16_exabytes": (write("model.safetensors", struct.pack("<Q", 2**64 - 1) + b"{}"), "header too large"),
    "header_not_json": (header(lambda text: b"{" * len(text)), "not a whole safetensors file"),
    "header_of_depth_100000": (header(lambda text: b'{"a":' + b"[" * 100_000), "not a whole safetensors file"),
    "overlapping_offsets": (header(overlapping), "not a whole safetensors file"),
    "overflowing_shape": (header(huge), "not a whole safetensors file"),
    "bytes_appended": (
        lambda model: put(model, (model / "model.safetensors").read_bytes() + b"\0" * 8),
        "not a whole safetensors file",
    ),
    "weights_of_another_save": (
        lambda model: (model / "model.safetensors").write_bytes(
            safetensors.torch.save(
                {k: v + 1 for k, v in safetensors.torch.load_file(model / "model.safetensors").items()}
            )
        ),
        "damaged",
    ),
    "missing_tensor": (tensors(lambda content: content.pop(first_of(content))), "is missing"),
    "left_over_tensor": (tensors(lambda content: content.update(extra=torch.zeros(3))), "'extra' has no place"),
    "transposed_tensor": (
        tensors(lambda content: content.update({(k := next(k for k in content if "weight_input" in k)):
                                                content[k].T.contiguous()})),
        "has shape",
    ),
    "half_precision": (
        tensors(lambda content: content.update({k: v.half() for k, v in content.items()})), "is F16, expected F32"
    ),
    "nan": (tensors(lambda content: content[first_of(content)].view(-1)[3:4].fill_(float("nan"))), "NaN or infinity"),
    "infinity": (
        tensors(lambda content: content[first_of(content)].view(-1)[0:1].fill_(float("inf"))), "NaN or infinity"
    ),
    "tensor_name_with_escapes": (
        tensors(lambda content: content.update({"\x1b[31m\nred": content.pop(first_of(content))})), "is missing"
    ),
    "no_config": (lambda model: (model / "config.json").unlink(), "no model here"),
    "empty_config": (write("config.json", b""), "not valid JSON"),
    "config_not_utf8": (write("config.json", b'{"arch": "\xff"}'), "not valid JSON"),
    "config_a_list": (write("config.json", b"[1, 2]"), "not a JSON object"),
    "config_of_depth_100000": (write("config.json", b"[" * 100_000), "not valid JSON"),
    "config_of_2_MB": (write("config.json", b" " * 2_000_000 + b"{}"), "bytes are too many"),
    "config_key_twice": (write("config.json", b'{"arch": "gru", "arch": "rnn"}'), "a key is repeated"),
    "config_nan": (write("config.json", b'{"format": NaN}'), "NaN is not JSON"),
    "config_huge_integer": (write("config.json", b'{"format": ' + b"9" * 5000 + b"}"), "not valid JSON"),
    "unknown_key": (config("archh", value="gru"), "archh: unknown key, did you mean 'arch'?"),
    "missing_key": (edit("config.json")(lambda content: content.pop("arch")), "missing key 'arch'"),
    "unknown_architecture": (config("arch", value="bahdanauu"), "did you mean 'bahdanau'?"),
    "class_of_the_standard_library": (config("arch", value="os.system"), "unknown architecture 'os.system'"),
    "architecture_of_megabytes": (config("arch", value="x" * 100_000), "unknown architecture"),
    "another_architecture": (config("arch", value="transformer"), "unknown key"),
    "unknown_model_key": (config("model", "d_modell", value=8), "d_modell: unknown key, did you mean 'd_model'?"),
    "model_value_of_wrong_type": (config("model", "d_model", value="wide"), "expected an integer"),
    "model_value_infinite": (config("model", "dropout", value="1e999"), "expected a finite number"),
    "model_value_out_of_range": (config("model", "dropout", value=7.0), "these sizes make no model"),
    "a_billion_wide": (config("model", "d_model", value=10**9), "model.d_model is 1000000000, but"),
    "a_million_wide": (config("model", "d_model", value=10**6), "model.d_model is 1000000, but"),
    "a_billion_layers": (config("model", "layers", value=10**9), "model.layers is 1000000000, but"),
    "negative_width": (config("model", "d_model", value=-8), "model.d_model is -8"),
    "no_width": (config("model", "d_model", value=0), "these sizes make no model"),
    "another_width": (config("model", "d_model", value=24), "has shape"),
    "another_depth": (config("model", "layers", value=2), "is missing"),
    "a_billion_words": (config("outputs", value=10**9), "outputs is 1000000000, but"),
    "a_billion_letters": (config("source", "vocabulary", value=10**9), "source.vocabulary is 1000000000, but"),
    "another_vocabulary": (config("source", "vocabulary", value=11), "has shape"),
    "another_source": (config("source", "kind", value="token"), "unknown kind 'token', did you mean 'tokens'?"),
    "no_kind_of_source": (config("source", value={"vocabulary": 11}), "unknown kind 'None'"),
    "unknown_key_of_source": (config("source", "vocab", value=9), "vocab: unknown key, did you mean 'vocabulary'?"),
    "another_form": (config("form", value="decoders"), "unknown form 'decoders', did you mean 'decoder'?"),
    "architecture_of_another_form": (config("form", value="decoder"), "config.json"),
    "another_format": (config("format", value=1), "format 1 is unknown"),
    "another_task": (config("task", value="telepathy"), "'telepathy'"),
    "unknown_option": (config("options", "longest", value=9), "longest: unknown key, did you mean 'longest_output'?"),
    "option_out_of_range": (config("options", "longest_output", value=0), "longest_output: must be at least 1"),
    "unknown_setting": (config("options", "settings", "batch_token", value=9), "did you mean 'batch_tokens'?"),
    "architecture_in_settings": (config("options", "settings", "arch", value="rnn"), "unknown key"),
    "no_tokenizer": (lambda model: (model / "tokenizer.json").unlink(), "tokenizer.json"),
    "pipe_for_tokenizer": (
        lambda model: ((model / "tokenizer.json").unlink(), os.mkfifo(model / "tokenizer.json")), "not a regular file"
    ),
    "tokenizer_of_another_model": (
        lambda model: TokenizerPair.train(["abc"], ["x"]).save(model / "tokenizer.json"), "but the model has"
    ),
    "tokenizer_not_json": (write("tokenizer.json", b"{"), "tokenizer.json"),
    "tokenizer_empty": (write("tokenizer.json", b"{}"), "tokenizer.json"),
}  # fmt: skip


def complaint(directory: Path, capsys) -> str:
    """The error of `predict` for the model: one line, and no change of any file."""
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}
    assert main(["predict", str(directory), "12"]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert error.startswith(f"sightline: error: {directory}")
    assert error.rstrip("\n").isprintable()
    assert "Traceback" not in error
    assert len(error) < 600
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == before
    assert not Path("pickle-was-opened").exists()
    return error


@pytest.mark.parametrize(("damage", "message"), CASES.values(), ids=CASES.keys())
def test_a_malformed_model_is_one_line_and_status_2(damage, message, model, capsys, monkeypatch):
    monkeypatch.chdir(model.parent)
    damage(model)
    assert message in complaint(model, capsys)


def boundaries(raw: bytes) -> list[int]:
    """Every length at which a part of a safetensors file ends, and its neighbours."""
    (length,) = struct.unpack("<Q", raw[:8])
    entries = json.loads(raw[8 : 8 + length])
    ends = {8 + length + end for name, entry in entries.items() if name != "__metadata__"
            for end in entry["data_offsets"]}  # fmt: skip
    cuts = {0, 1, 7, 8, 9, 8 + length // 2, 7 + length, 8 + length} | {
        end + step for end in ends for step in (-1, 0, 1)
    }
    return sorted(cut for cut in cuts if cut < len(raw))


def test_weights_cut_off_at_every_boundary_are_refused(model, capsys):
    raw = (model / "model.safetensors").read_bytes()
    cuts = boundaries(raw)
    assert len(cuts) > 30
    for cut in cuts:
        (model / "model.safetensors").write_bytes(raw[:cut])
        complaint(model, capsys)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_json_cut_off_anywhere_is_refused(name, model, capsys):
    raw = (model / name).read_bytes().rstrip()
    for cut in range(0, len(raw), max(1, len(raw) // 15)):
        (model / name).write_bytes(raw[:cut])
        complaint(model, capsys)


def test_a_flipped_byte_anywhere_in_the_weights_is_noticed(model):
    raw = (model / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    for place in [*range(8), *range(8, 8 + length, 29), *range(8 + length, len(raw), len(raw) // 20)]:
        flipped = bytearray(raw)
        flipped[place] ^= 1 << place % 8
        (model / "model.safetensors").write_bytes(flipped)
        with pytest.raises(InputError, match="safetensors") as caught:
            load(model)
        assert "\n" not in str(caught.value)


def test_a_flipped_byte_in_the_config_never_crashes(model):
    raw = (model / "config.json").read_bytes()
    refused = []
    for place in range(0, len(raw), 11):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << place % 8
        (model / "config.json").write_bytes(flipped)
        try:
            load(model)
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 0.5 * len(raw) / 11
    assert not any("\n" in message for message in refused)


@pytest.mark.parametrize("damage", ["a_billion_wide", "a_billion_words", "a_billion_layers", "overflowing_shape"])
def test_claims_of_size_cost_no_memory(damage, model):
    CASES[damage][0](model)
    tracemalloc.start()
    with pytest.raises(InputError):
        load(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_tied_weights_are_in_the_file_once_and_load_tied(arch, tmp_path):
    task = untrained(arch)
    source, target = task.tokenizers.source.size, task.tokenizers.target.size
    save_model(
        tmp_path,
        task.model,
        task.config.model,
        source,
        target,
        form=task.form,
        arch=arch,
        task="test",
        options={"a": [1]},
        card="# card",
    )
    stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert sum(t.numel() for t in stored.values()) == task.parameters
    result = load_model(tmp_path)
    assert (result.arch, result.config, result.task, result.options) == (arch, task.config.model, "test", {"a": [1]})
    assert sum(p.numel() for p in result.model.parameters()) == task.parameters
    for (name, a), b in zip(task.model.state_dict().items(), result.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_loading_draws_nothing_from_the_global_stream(model):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    load(model)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("place", ["nowhere", "file", "empty"])
def test_a_place_without_a_model_is_named(place, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    assert main(["predict", str(tmp_path / place), "12"]) == 2
    expected = {"nowhere": "no such directory", "file": "not a directory", "empty": "no model here: expected"}
    assert expected[place] in capsys.readouterr().err
