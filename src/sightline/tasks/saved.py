"""Writing and reading of a task's model directory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.core.files import faults, replacing_directory
from sightline.core.front_end import FrontEndConfig
from sightline.models.config import SizedConfig
from sightline.models.plugins import used_plugins
from sightline.models.store import CONFIG, LoadedModel, load_model, save_model
from sightline.tasks.card import Card

S = TypeVar("S", bound="SavedTask")


@dataclass(frozen=True)
class Options:
    """The entry "options" of config.json, which a task stores besides the model; a task that stores more extends it.

    settings: the task's config without `arch` and `model`
    reading: how the training data was read, by key of the data; see `RunConfig.reading_keys`
    """

    data: str
    settings: dict[str, Any]
    reading: dict[str, Any] = field(default_factory=dict, kw_only=True)


class SavedTask(ABC):
    """A task with a config, a model and files of its own.

    name: in `TASKS`, in config.json and of `--task`; form: of the models, a key of `FORMS`
    Options: the type of the stored values besides the model
    config: the task's settings, `arch` and `model` among them; data: what the model was trained on, in a line
    reading: how the training data was read, so that other data can be read in the same way; empty where unknown
    """

    name: ClassVar[str]
    form: ClassVar[str]
    Options: ClassVar[type[Any]] = Options

    config: Any
    model: Any  # the `nn.Module`
    data: str
    reading: Mapping[str, Any] = MappingProxyType({})

    @property
    def sizes(self) -> SizedConfig:
        """The model's config as it was built."""
        return self.config.model

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.model.parameters()).device

    def to(self: S, device: torch.device | str) -> S:
        """Move the weights; returns itself."""
        self.model.to(device)
        return self

    @property
    @abstractmethod
    def source(self) -> FrontEndConfig:
        """The model's front end."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """The model's outputs for each position or item: tokens, classes, quantiles."""

    @classmethod
    @abstractmethod
    def preset(cls, arch: str) -> Any:
        """The default training of the named architecture."""

    @classmethod
    @abstractmethod
    def restore(cls: type[S], directory: Path, loaded: LoadedModel, config: Any, options: Any) -> S:
        """The task of a model directory; `options` is an instance of `Options`.

        Raises `InputError` where the model does not fit the settings or the other files.
        """

    @property
    def stored_model(self) -> nn.Module:
        """The module that is saved."""
        return self.model

    def more_options(self) -> dict[str, Any]:
        """The fields of `Options` that only this task has."""
        return {}

    def save_files(self, directory: Path) -> None:  # noqa: B027  most tasks have none
        """Write files beside the weights, such as a vocabulary."""

    def card(self) -> Card:
        """The README of the saved model."""
        return Card(self.name, "", "model")

    @property
    def arch(self) -> str:
        """The architecture's name in `FORMS[form]`."""
        return self.config.arch

    @property
    def parameters(self) -> int:
        """Trainable parameters; shared ones count once."""
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)

    def write(self, directory: Path, *, shard_bytes: int | str | None = None, repo_id: str | None = None) -> None:
        """Write the model's files into an existing directory, as `training.train` asks of `save_model`.

        shard_bytes: the most of a file of weights; None: one file; repo_id: the repository of a hub that its README
            names as the place to load it from
        """
        settings = encode(self.config)
        sizes = settings.pop("model")
        del settings["arch"]
        reading = {"reading": dict(self.reading)} if self.reading else {}  # unknown of a model of version 0.1.0
        options = self.Options(data=self.data, settings=settings, **reading, **self.more_options())
        plugins = [one.name for one in used_plugins(self.form, self.arch, self.config.model)]
        save_model(
            directory,
            self.stored_model,
            self.config.model,
            self.source,
            self.outputs,
            form=self.form,
            arch=self.arch,
            task=self.name,
            options={key: value for key, value in encode(options).items() if key != "reading"} | reading,
            card=self.card().text(self.arch, self.parameters, sizes, self.data, plugins, repo_id),
            shard_bytes=shard_bytes,
        )
        self.save_files(directory)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the model directory `path`, whole or not at all.

        Raises:
            InputError: `path` exists, and `overwrite` is not set or it is not a model directory.
            EnvironmentFault: it cannot be written.
        """
        with replacing_directory(self._new_directory(path, overwrite)) as beside:
            self.write(beside)

    def save_pretrained(
        self, save_directory: str | Path, *, overwrite: bool = False, max_shard_size: int | str = "5GB"
    ) -> None:
        """`save`, in the layout of Hugging Face's hub: weights beyond `max_shard_size` (bytes, or "5GB") are in several
        files with an index. No network is used.

        Raises:
            InputError, EnvironmentFault: what `save` raises; huggingface_hub is not installed.
        """
        from sightline.tasks.hub import save_pretrained  # it loads tasks, of which this class is the base

        with replacing_directory(self._new_directory(save_directory, overwrite)) as beside:
            save_pretrained(self, beside, max_shard_size)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool | None = None,
        commit_message: str = "Upload a model of sightline",
        max_shard_size: int | str = "5GB",
    ) -> str:
        """Upload the files of `save_pretrained` to the repository "user/name" of a hub; returns the commit's address.

        It uses the network: the hub of huggingface_hub, or what HF_ENDPOINT says, with the token of `hf auth login`
        unless another one is given. The repository is created if it does not exist, and public unless `private`.

        Raises:
            InputError: no repository can have that name.
            EnvironmentFault: the hub cannot be reached or refuses; huggingface_hub is not installed.
        """
        from sightline.tasks.hub import push_to_hub

        options = {"private": private, "token": token, "branch": branch, "create_pr": create_pr}
        return push_to_hub(self, repo_id, max_shard_size, commit_message=commit_message, **options)

    @classmethod
    def from_pretrained(cls: type[S], name_or_path: str | Path, **options: Any) -> S:
        """The task in a directory or, by its name "user/name", a repository; see `sightline.from_pretrained`.

        Raises:
            InputError: "user/name: is a model for language, not for translation"; what that function raises.
        """
        from sightline.tasks.hub import from_pretrained

        task = from_pretrained(name_or_path, **options)
        if not isinstance(task, cls):
            raise InputError(f"is a model for {task.name}, not for {cls.name}", where=name_or_path)
        return task

    @staticmethod
    def _new_directory(path: str | Path, overwrite: bool) -> Path:
        target = Path(path)
        if target.exists() and not (overwrite and (target / CONFIG).is_file()):
            raise InputError("already exists" + (" and is not a model directory" if overwrite else ""), where=target)
        with faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @classmethod
    def load(cls: type[S], path: str | Path) -> S:
        """The task in a model directory, on the processor, ready to use.

        Raises `InputError` in one line for whatever is wrong with the files (see `models.store.load_model`).
        """
        directory = Path(path)
        loaded = load_model(directory)
        if loaded.task != cls.name:
            raise InputError(f"is a model for {loaded.task[:80]!r}, not for {cls.name}", where=directory / CONFIG)
        if loaded.form != cls.form:
            raise InputError(f"form is {loaded.form!r}, but {cls.name} needs {cls.form!r}", where=directory / CONFIG)
        place = f"{directory / CONFIG}: options"
        options = decode(cls.Options, loaded.options, where=place)
        for name in ("arch", "model"):
            if name in options.settings:
                raise InputError("unknown key", where=f"{place}.settings.{name}")
        preset = cls.preset(loaded.arch).settings
        settings = {**options.settings, "model": encode(loaded.config)}
        config = decode(type(preset), settings, where=f"{place}.settings", base=preset)
        task = cls.restore(directory, loaded, config, options)
        task.reading = options.reading
        if (task.source, task.outputs) != (loaded.source, loaded.outputs):
            raise InputError(
                f"settings and files are for {task.source} and {task.outputs} outputs, but the model has "
                f"{loaded.source} and {loaded.outputs}",
                where=directory / CONFIG,
            )
        return task
