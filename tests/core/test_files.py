"""Files that are whole or not there, and files that are read with suspicion."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.files import parse_json_object, read_regular, remove_unfinished, replacing_directory, write_file


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_created_and_replaced_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    for content in (b"first", "zwei: ü"):
        write_file(tmp_path / "a.json", content)
    assert (tmp_path / "a.json").read_bytes() == "zwei: ü".encode()
    assert names(tmp_path) == ["a.json"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path / "a.json", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault, match=r"a\.json: No space left on device: 3 bytes are needed"):
        write_file(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


def test_the_rests_of_killed_writes_are_removed(tmp_path: Path) -> None:
    for name in (".a.json.17.tmp", "a.json", ".lock"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert names(tmp_path) == [".lock", "a.json"]


def fill_half(target: Path) -> None:
    with replacing_directory(target) as directory:
        (directory / "half").touch()
        raise RuntimeError


def test_a_directory_is_replaced_by_a_whole_one_or_not_at_all(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with replacing_directory(tmp_path / "best") as directory:
            (directory / content).touch()
        assert names(tmp_path / "best") == [content]
    with pytest.raises(RuntimeError):
        fill_half(tmp_path / "best")
    assert names(tmp_path) == ["best"]
    assert names(tmp_path / "best") == ["new"]


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 11)
    (tmp_path / "link").symlink_to("large")
    assert read_regular(tmp_path / "link", 11) == b"x" * 11
    for name, options, message in (
        ("pipe", {}, "not a regular file"),
        ("link", {"follow_links": False}, "not a regular file"),
        ("large", {"most_bytes": 10}, "11 bytes are too many, at most 10 are read"),
        ("absent", {}, "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            read_regular(tmp_path / name, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, "a": 2}', "a key is repeated"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[1]", "not a JSON object"),
        (b"\xff", "not valid JSON"),
        (b'{"a":' + b"[" * 100_000, "not valid JSON"),
    ],
)
def test_json_is_read_strictly(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"^a.json: .*{message}"):
        parse_json_object(content, where="a.json")


def test_a_safetensors_header_that_begins_like_a_pickle_is_read() -> None:
    """The first bytes are the header's length: 640 = 0x280 begins as pickles of protocol 2 do."""
    import safetensors.torch

    from sightline.training.checkpoint import tensors_from

    for length in range(560, 640):
        content = safetensors.torch.save({"x" * length: torch.ones(1)})
        if content.startswith(b"\x80\x02"):
            break
    assert content.startswith(b"\x80\x02")
    assert tensors_from(content, Path("model.safetensors"))["x" * length].item() == 1.0
