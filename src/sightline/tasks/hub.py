"""Models in the layout of Hugging Face's hub, and on a hub: by `huggingface_hub`'s mixin.

Nothing here uses the network but `push_to_hub`, and `from_pretrained` where it is told `local_files_only=False`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sightline.core.errors import EnvironmentFault, InputError, one_line
from sightline.tasks.load import load
from sightline.tasks.saved import SavedTask

MOST_BYTES = "5GB"  # of a file of weights, as huggingface_hub has it
FILES = ("*.json", "*.safetensors", "README.md")  # of a repository; no pickle is fetched


def from_pretrained(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    force_download: bool = False,
    local_files_only: bool = True,
) -> Any:
    """The `Task` of a directory, as `sightline.load` gives it, or of a repository of a hub, such as "user/name".

    A repository is looked for in huggingface_hub's cache on this machine alone; `local_files_only=False` downloads it,
    the only use of the network. The other arguments are those of `huggingface_hub.snapshot_download`.

    Raises:
        InputError: "user/name: no such directory, and not among the downloads on this machine: …"; an unknown
            repository or revision; what `sightline.load` raises.
        EnvironmentFault: huggingface_hub is not installed; the hub cannot be reached or refuses.
    """
    if Path(name_or_path).is_dir():
        return load(name_or_path)
    # Not the mixin's own `from_pretrained`: it decodes any config.json, of any size, and hands its entries on.
    _check_installed()
    from huggingface_hub import snapshot_download

    with _hub_errors(str(name_or_path), local=True, offline=local_files_only):
        directory = snapshot_download(
            str(name_or_path),
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            force_download=force_download,
            local_files_only=local_files_only,
            allow_patterns=list(FILES),
        )
    return load(directory)


def save_pretrained(task: SavedTask, directory: Path, most_bytes: int | str) -> None:
    """Write the files of a repository into an existing directory."""
    _on_hub(task, most_bytes).save_pretrained(directory)


def push_to_hub(task: SavedTask, repo_id: str, most_bytes: int | str, **options: Any) -> str:
    """Create the repository if it does not exist, and upload the files in one commit, whose address is returned."""
    on_hub = _on_hub(task, most_bytes, repo_id)
    with _hub_errors(repo_id):
        return on_hub.push_to_hub(repo_id, **options)


def _on_hub(task: SavedTask, most_bytes: int | str, repo_id: str | None = None) -> Any:
    """A task as huggingface_hub's mixin takes it; the class is made here, as the library is slow to import."""
    _check_installed()
    from huggingface_hub import ModelHubMixin

    class OnHub(ModelHubMixin, library_name="sightline"):
        def _save_pretrained(self, save_directory: Path) -> None:
            task.write(save_directory, shard_bytes=most_bytes, repo_id=repo_id)

    return OnHub()


def _check_installed() -> None:
    if find_spec("huggingface_hub") is None:
        raise EnvironmentFault("models of a hub need huggingface_hub: pip install 'sightline[hf]'")


@contextmanager
def _hub_errors(name: str, *, local: bool = False, offline: bool = False) -> Iterator[None]:
    """Errors of huggingface_hub as ours, in one line; `local`: the name could have been that of a directory."""
    from huggingface_hub.errors import (
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except HFValidationError:
        message = "not the name of a repository, such as user/name"
        raise InputError(f"no such directory, and {message}" if local else message, where=name) from None
    except LocalEntryNotFoundError as error:
        if not offline:
            raise EnvironmentFault(f"{name}: {one_line(error)}") from error
        raise InputError(
            "no such directory, and not among the downloads on this machine: "
            "local_files_only=False downloads it from the hub",
            where=name,
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise InputError(one_line(error), where=name) from None
    except (HTTPError, OSError) as error:
        raise EnvironmentFault(f"{name}: {one_line(error)}") from error
