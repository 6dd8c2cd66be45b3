"""Mechanisms and models from outside of the package: `load_plugin` adds those of a module to the tables.

A plugin is a module with one or both of these, as the package has them:

    MIXERS = {"forget": ForgetConfig}            # mechanisms, each an architecture of its name too
    FORMS = {"encoder": {"mine": MineConfig()}}  # whole models, by the form of `sightline.models.FORMS`

and, if it likes, `REFERENCES = {"forget": reference}`, independent implementations for the laws. It is loaded where its
user names it and nowhere else: a saved model and a configuration keep its name, and are refused until it is loaded.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, final

from sightline.core.errors import InputError, one_line
from sightline.core.plugins import MODULE_NAME, PluginSource, import_plugin
from sightline.core.suggest import suggest
from sightline.mixers import MIXERS
from sightline.models import FORMS, SizedConfig, residual_models
from sightline.models.layers import SELF_MIXERS, reads_itself

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of a mechanism or an architecture; runs have it in their paths
DECLARED = ("MIXERS", "FORMS")
LONGEST = 200  # characters of an import name that a file may have

Refused = Callable[[str], InputError]  # makes the errors about one plugin

logger = logging.getLogger("sightline")


@final
@dataclass(frozen=True)
class Plugin:
    """A loaded plugin and what it has added: mechanisms, and architectures by form.

    references: of its mechanisms, as `sightline.testing.check_mixer` takes them, where it has them
    """

    source: PluginSource
    mechanisms: Mapping[str, type[Any]]
    architectures: Mapping[str, Mapping[str, SizedConfig]]
    references: Mapping[str, Callable[..., Any]]

    @property
    def name(self) -> str:
        """Its import name."""
        return self.source.name

    @property
    def forms(self) -> dict[str, list[str]]:
        """The forms of each of its architectures."""
        archs = dict.fromkeys(arch for presets in self.architectures.values() for arch in presets)
        return {arch: [form for form, presets in self.architectures.items() if arch in presets] for arch in archs}

    def __repr__(self) -> str:
        return f"Plugin({self.name}: {', '.join(dict.fromkeys([*self.mechanisms, *self.forms]))})"


@final
@dataclass(frozen=True)
class NeededPlugin:
    """The record of a plugin in a saved model: its import name, source and version, and the names used of it."""

    name: str
    sha256: str
    uses: tuple[str, ...]
    version: str | None = None


LOADED: dict[str, Plugin] = {}  # by import name


def load_plugin(named: str | Path) -> Plugin:
    """Import a plugin and add its mechanisms and models to the tables, for the rest of this process.

    `named` is a file that ends in .py, a module of the working directory or an installed one, or the name of an entry
    point of the group `sightline.mixers`. A plugin that is loaded already stays as it is.

        sightline.load_plugin("forget.py")
        sightline.compare("pairs.csv", archs=["forget", "gru"])

    Raises:
        InputError: "plugin 'forget': no module 'forget', neither here nor among the installed ones"; "plugin
            'forget.py': 'gru' is a mechanism of sightline: choose another name"; whatever else is wrong with it.
    """

    def refused(problem: str) -> InputError:
        return InputError(f"plugin {str(named)!r}: {problem}")

    source = import_plugin(str(named))
    if (before := LOADED.get(source.name)) is not None:
        if before.source.sha256 != source.sha256:
            raise refused("has changed since it was loaded: start Python again")
        return before
    mechanisms, own = _mechanisms(source.module, refused), _models(source.module, refused)
    if not mechanisms and not any(own.values()):
        raise refused(f'has neither {" nor ".join(DECLARED)}, such as MIXERS = {{"forget": ForgetConfig}}')
    references = _references(source.module, mechanisms, refused)
    layers = [name for name, kind in mechanisms.items() if _is_layer(name, kind, refused)]
    for name in dict.fromkeys([*mechanisms, *(name for presets in own.values() for name in presets)]):
        _check_free(name, refused)
    MIXERS.update(mechanisms)
    SELF_MIXERS.extend(layers)
    derived = [(name, form, preset) for name in layers for form, preset in residual_models((name,)).items()]
    for name, form, preset in derived:
        own[form].setdefault(name, preset)
    for form, presets in own.items():
        FORMS[form].update(presets)
    plugin = LOADED[source.name] = Plugin(source, mechanisms, own, references)
    return plugin


def load_plugins(named: object) -> list[Plugin]:
    """`load_plugin` of what a user names: one, a list of several, or None."""
    return [load_plugin(one) for one in _listed(named)]


def used_plugins(form: str, arch: str, config: Any) -> list[NeededPlugin]:
    """The loaded plugins that an architecture of a form needs: for itself, or for a mechanism of its layers."""
    mixers = getattr(config, "mechanisms", set())
    needed = []
    for plugin in LOADED.values():
        uses = mixers & set(plugin.mechanisms) | {arch} & set(plugin.architectures[form])
        if uses:
            source = plugin.source
            needed.append(NeededPlugin(source.name, source.sha256, tuple(sorted(uses)), source.version))
    return needed


def check_loaded(needed: Iterable[NeededPlugin], *, where: object) -> None:
    """Refuse what needs a plugin that is not loaded; log a warning for one whose source has changed. Imports nothing.

    Raises:
        InputError: "config.json: uses 'forget' of the plugin 'forget': add --plugin forget, in Python …".
    """
    for one in needed:
        uses = ", ".join(repr(name[:80]) for name in one.uses[:3])
        check_named([one.name], where=where, problem=f"uses {uses} of the plugin {one.name[:80]!r}")
        source = LOADED[one.name].source
        if source.sha256 != one.sha256:
            versions = f", version {one.version} then and {source.version} now" if one.version or source.version else ""
            logger.warning(
                "%s: the plugin %r has changed since this was saved (sha256 %.12s… then, %.12s… now%s): "
                "results may differ", where, one.name, one.sha256, source.sha256, versions,
            )  # fmt: skip


def check_named(names: object, *, where: object, problem: str = "") -> None:
    """Refuse what needs plugins of these import names, a text or a list, unless they are loaded. Imports nothing.

    Raises:
        InputError: "config.yaml: plugin: needs the plugin 'forget': add --plugin forget, in Python …".
    """
    for name in _listed(names):
        if len(name) > LONGEST or not MODULE_NAME.fullmatch(name):
            raise InputError(f"the plugin {name[:80]!r} is not the name of a module", where=where)
        if name not in LOADED:
            raise InputError(
                f"{problem or f'needs the plugin {name!r}'}: add --plugin {name}, in Python "
                f"sightline.load_plugin({name!r})",
                where=where,
            )


def line_of(error: BaseException) -> str | None:
    """The line of a plugin's file that an error comes from, "the plugin 'bag', bag.py:28"; None if there is none."""
    files = {getattr(plugin.source.module, "__file__", None): name for name, plugin in LOADED.items()}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            return f"the plugin {files[frame.filename]!r}, {Path(frame.filename).name}:{frame.lineno}"
    return None


def _listed(named: object) -> list[str]:
    """One text or path, or the texts and paths of a list; anything else is left to whoever checks types."""
    several = named if isinstance(named, Sequence) and not isinstance(named, str) else [named]
    return [str(one) for one in several if isinstance(one, str | Path)]


def _mechanisms(module: Any, refused: Refused) -> dict[str, type[Any]]:
    """The configs of `MIXERS` in a module."""
    table = getattr(module, "MIXERS", None)
    if table is None or table is MIXERS:  # imported to look something up
        return {}
    if not isinstance(table, Mapping):
        raise refused(f"MIXERS: expected names and config classes, found {type(table).__name__}")
    for name, kind in table.items():
        _check_name("MIXERS", name, refused)
        if not (isinstance(kind, type) and is_dataclass(kind) and callable(getattr(kind, "build", None))):
            raise refused(f"MIXERS: {name!r}: expected a dataclass with build(d_model), found {kind!r}")
    return dict(table)


def _models(module: Any, refused: Refused) -> dict[str, dict[str, SizedConfig]]:
    """The presets of `FORMS` in a module, with an entry for every form."""
    table = getattr(module, "FORMS", None)
    own: dict[str, dict[str, SizedConfig]] = {form: {} for form in FORMS}
    if table is None or table is FORMS:
        return own
    if not isinstance(table, Mapping) or not all(isinstance(presets, Mapping) for presets in table.values()):
        example = '{"encoder": {"mine": MineConfig()}}'
        raise refused(f"FORMS: expected presets by form, such as {example}, found {table!r}")
    for form, presets in table.items():
        if form not in FORMS:
            raise refused(f"FORMS: unknown form {form!r}{suggest(str(form), FORMS)}")
        for name, preset in presets.items():
            _check_name("FORMS", name, refused)
            if isinstance(preset, type) or not is_dataclass(preset) or not isinstance(preset, SizedConfig):
                what = "an instance of a dataclass with d_model, resized(d_model) and build(source, outputs)"
                raise refused(f"FORMS: {name!r}: expected {what}, found {preset!r}")
            own[form][name] = preset
    return own


def _references(module: Any, mechanisms: Mapping[str, Any], refused: Refused) -> dict[str, Callable[..., Any]]:
    table = getattr(module, "REFERENCES", {})
    for name in table:
        if name not in mechanisms:
            raise refused(f"REFERENCES: unknown mechanism {name!r}{suggest(str(name), mechanisms)}")
    return dict(table)


def _is_layer(name: str, kind: type[Any], refused: Refused) -> bool:
    """Whether the mechanism can be a layer of a model; refuses one that cannot be built with its defaults."""
    try:
        return reads_itself(kind)
    except Exception as error:
        failure = f"{type(error).__name__}: {one_line(error)}"
        raise refused(f"MIXERS: {name!r}: {kind.__name__}().build(64) makes no mechanism: {failure}") from error


def _check_name(table: str, name: object, refused: Refused) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise refused(f"{table}: expected a name of letters, digits, '_', '-' and '.', found {name!r}")


def _check_free(name: str, refused: Refused) -> None:
    """Refuse a name that sightline or another plugin has given already."""
    for plugin in LOADED.values():
        if name in plugin.mechanisms or any(name in presets for presets in plugin.architectures.values()):
            raise refused(f"{name!r} is a name of the plugin {plugin.name!r} too: choose another one")
    if name in MIXERS:
        raise refused(f"{name!r} is a mechanism of sightline ({MIXERS[name].__name__}): choose another name")
    for form, presets in FORMS.items():
        if name in presets:
            raise refused(f"{name!r} is an architecture of sightline ({form}): choose another name")
