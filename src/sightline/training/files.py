"""The names of `sightline.core.files` that `sightline.tasks` imports from here."""

from __future__ import annotations

from sightline.core.files import faults, replace_directory, sync_tree

__all__ = ["faults", "replace_directory", "sync_tree"]
