"""Models in the layout of Hugging Face's hub: kept as they are, checked when they are read, offline unless asked."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import sightline
from sightline.cli.app import main
from sightline.core.errors import EnvironmentFault, InputError
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.table import TASKS
from sightline.tasks.translation.task import TranslationTask
from tests.export.local_hub import COMMIT, local_hub
from tests.export.small import BUILD
from tests.tasks.translation import small

huggingface_hub = pytest.importorskip("huggingface_hub")

INDEX = "model.safetensors.index.json"
TEXTS = ["12", "7", "905"]


def tensors(task: Any) -> dict[str, torch.Tensor]:
    return dict(task.model.state_dict())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("arch", ["gru", "transformer"])
def test_weights_their_dtype_and_their_ties_are_kept(arch: str, dtype: str, tmp_path: Path) -> None:
    task = small.untrained(arch)
    task.model.to(getattr(torch, dtype))
    task.save_pretrained(tmp_path / "model", max_shard_size="20KB")
    again = TranslationTask.from_pretrained(tmp_path / "model")
    assert [name for name, one in tensors(again).items() if one.dtype != getattr(torch, dtype)] == []
    assert all(torch.equal(one, tensors(task)[name]) for name, one in tensors(again).items())
    assert again.parameters == task.parameters
    for first, second in ((task, again), (again, task)):  # what is one tensor in either is one in both
        names = {}
        for name, parameter in first.model.named_parameters(remove_duplicate=False):
            names.setdefault(id(parameter), []).append(name)
        for tied in names.values():
            assert len({id(second.model.get_parameter(name)) for name in tied}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILD)
def test_every_architecture_of_every_task_is_kept(name: str, tmp_path: Path) -> None:
    for arch in TASKS[name].architectures():
        (tmp_path / arch).mkdir()
        task, directory = BUILD[name](arch, tmp_path / arch), tmp_path / arch / "model"
        task.save_pretrained(directory, max_shard_size="2KB")
        again = type(task).from_pretrained(directory)
        assert len(list(directory.glob("*.safetensors"))) > 1 or task.parameters < 512, arch
        assert tensors(again).keys() == tensors(task).keys(), arch
        assert all(torch.equal(one, tensors(task)[key]) for key, one in tensors(again).items()), arch
        assert (again.config, again.source, again.outputs) == (task.config, task.source, task.outputs), arch


@pytest.mark.parametrize("arch", ["gru", "transformer"])
def test_a_model_in_bfloat16_answers_as_it_did(arch: str, tmp_path: Path) -> None:
    task = small.untrained(arch)
    task.model.to(torch.bfloat16)
    task.save(tmp_path / "model")
    again = sightline.load(tmp_path / "model")
    assert next(again.model.parameters()).dtype == torch.bfloat16
    assert again.predict(TEXTS) == task.predict(TEXTS)


def test_a_model_of_several_dtypes_is_not_saved(tmp_path: Path) -> None:
    task = small.untrained("transformer")
    task.model.decoder.to(torch.bfloat16)
    with pytest.raises(InputError, match="tensors of bfloat16 and float32 are not saved: convert the model to one"):
        task.save_pretrained(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_files_that_float32_models_have_are_those_of_earlier_versions(tmp_path: Path) -> None:
    small.untrained("gru").save_pretrained(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "README.md", "config.json", "model.safetensors", "tokenizer.json"
    }  # fmt: skip
    assert not {"dtype", "shards"} & set(json.loads((tmp_path / "model" / "config.json").read_text()))


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sharded") / "model"
    small.untrained("transformer").save_pretrained(directory, max_shard_size="20KB")
    return directory


def test_the_hubs_own_library_reads_the_files(sharded: Path) -> None:
    files = sorted(sharded.glob("*.safetensors"))
    assert len(files) > 2
    assert all(file.stat().st_size < 25_000 for file in files)
    other = small.untrained("transformer", seed=1)
    huggingface_hub.load_torch_model(other.model, sharded, strict=False, safe=True)
    task = small.untrained("transformer")
    assert all(torch.equal(one, tensors(task)[name]) for name, one in tensors(other).items())


def test_the_card_is_one_that_hubs_read(sharded: Path) -> None:
    card = huggingface_hub.ModelCard.load(sharded / "README.md")
    assert card.data.to_dict() == {
        "library_name": "sightline", "pipeline_tag": "translation", "tags": ["sightline", "transformer"]
    }  # fmt: skip


def edit(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def damage(model: Path) -> None:
        content = json.loads((model / name).read_text())
        change(content)
        (model / name).write_text(json.dumps(content))

    return damage


def first(model: Path) -> Path:
    return sorted(model.glob("*.safetensors"))[0]


def swap(model: Path) -> None:
    one, two, *_ = sorted(model.glob("*.safetensors"))
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


def rename(model: Path, name: str) -> None:
    """Give the first file of weights another name, everywhere."""
    old = first(model).name
    for file in (model / INDEX, model / "config.json"):
        file.write_text(file.read_text().replace(old, name))


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("pickle-was-opened",)


def altered(model: Path) -> None:
    content = safetensors.torch.load_file(first(model))
    first(model).write_bytes(safetensors.torch.save({name: one + 1 for name, one in content.items()}))


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a missing file": (lambda model: first(model).unlink(), "no such file"),
    "a pickle": (lambda model: first(model).write_bytes(pickle.dumps(Bomb())), "a pickle or an archive"),
    "a cut file": (lambda model: first(model).write_bytes(first(model).read_bytes()[:-9]), "not a whole safetensors"),
    "two files swapped": (swap, "is not in this file, where the index has it"),
    "other weights": (altered, "damaged: it is not the file"),
    "no index": (lambda model: (model / INDEX).unlink(), f"{INDEX}: no such file"),
    "an index that is a list": (lambda model: (model / INDEX).write_text("[]"), "not a JSON object"),
    "an index without files": (lambda model: (model / INDEX).write_text("{}"), "not an index of weights"),
    "an index of another save": (edit(INDEX, lambda index: index.update(metadata={})), "damaged"),
    "an unknown file": (
        edit(INDEX, lambda index: index["weight_map"].update(more="pytorch_model.bin")),
        "is not a file that config.json lists",
    ),
    "a tensor that is nowhere": (
        edit(INDEX, lambda index: index["weight_map"].update(more=max(index["weight_map"].values()))),
        "'more' is not in this file",
    ),
    "a path": (lambda model: rename(model, "../model/model-00001-of-00004.safetensors"), "not the name of a file"),
    "a path from the root": (lambda model: rename(model, "/etc/passwd"), "not the name of a file"),
    "no files listed": (edit("config.json", lambda config: config.pop("shards")), "config.json lists no files"),
    "an unknown dtype": (edit("config.json", lambda config: config.update(dtype="os.system")), "dtype"),
    "another dtype": (edit("config.json", lambda config: config.update(dtype="bfloat16")), "is F32, expected BF16"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), HOSTILE.values(), ids=HOSTILE)
def test_damaged_and_hostile_files_are_one_line(
    damage: Callable[[Path], Any], message: str, sharded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Path(shutil.copytree(sharded, tmp_path / "model"))
    damage(model)
    with pytest.raises(InputError) as caught:
        sightline.load(model)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(model))
    assert "\n" not in str(caught.value)
    assert not Path("pickle-was-opened").exists()


def test_nothing_is_read_of_a_directory_of_pickles(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="no model here"):
        sightline.from_pretrained(tmp_path)


def test_the_class_of_another_task_refuses_the_model(sharded: Path) -> None:
    with pytest.raises(InputError, match="is a model for translation, not for language"):
        LanguageTask.from_pretrained(sharded)


def test_nothing_uses_the_network_unless_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        tried.append(arguments)
        raise OSError("no network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    small.untrained("gru").save_pretrained(tmp_path / "model", max_shard_size="20KB")
    sightline.from_pretrained(tmp_path / "model")
    for name in ("user/numbers", "runs/numbers"):
        with pytest.raises(
            InputError, match=f"^{name}: no such directory, and not among the downloads on this machine"
        ):
            sightline.from_pretrained(name, cache_dir=tmp_path / "cache")
    assert tried == []
    with pytest.raises(EnvironmentFault, match=r"^user/numbers: "):
        sightline.from_pretrained("user/numbers", cache_dir=tmp_path / "cache", local_files_only=False)
    assert tried


def test_names_that_no_repository_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory, and not the name of a repository"):
        sightline.from_pretrained(tmp_path / "a" / "b" / "c")
    with pytest.raises(InputError, match=r"^a/b/c: not the name of a repository"):
        small.untrained("gru").push_to_hub("a/b/c")


ROUND_TRIP = """
import sightline
from tests.tasks.translation import small

task = small.untrained("transformer")
print(task.push_to_hub("user/numbers", max_shard_size="20KB", token="hf_secret"))
fetched = sightline.from_pretrained("user/numbers", local_files_only=False)
cached = sightline.from_pretrained("user/numbers")
print(fetched.predict(["12", "7"]) == cached.predict(["12", "7"]) == task.predict(["12", "7"]))
try:
    sightline.from_pretrained("user/none", local_files_only=False)
except sightline.SightlineError as error:
    print(error.exit_code, error)
"""


@pytest.mark.slow
def test_a_model_is_pushed_and_fetched(tmp_path: Path) -> None:
    with local_hub() as hub:
        hub.files["user/numbers"] = {"pytorch_model.bin": pickle.dumps(Bomb())}
        environment = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", ROUND_TRIP],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        address, equal, missing = done.stdout.splitlines()
    assert (address, equal) == (f"{hub.address}/user/numbers/commit/{COMMIT}", "True")
    assert missing.startswith("2 user/none: ")
    files = hub.files["user/numbers"]
    assert {"config.json", "tokenizer.json", INDEX, "README.md", "model-00001-of-00004.safetensors"} <= set(files)
    assert 'sightline.from_pretrained("user/numbers", local_files_only=False)' in files["README.md"].decode()
    assert not any("pytorch_model.bin" in request for request in hub.requests)
    assert not list(tmp_path.rglob("*.bin"))


def test_the_command_writes_the_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.untrained("gru").save(tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), "--to", "hub"]) == 0
    assert capsys.readouterr().out == f"exported to {tmp_path / 'model-hub'}\n"
    assert sightline.from_pretrained(tmp_path / "model-hub").predict(TEXTS) == small.untrained("gru").predict(TEXTS)
