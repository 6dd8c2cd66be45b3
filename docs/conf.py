"""Sphinx configuration; `make docs` builds with warnings as errors."""

from __future__ import annotations

from sightline import __version__

project = "sightline"
author = "the sightline authors"
copyright = "the sightline authors, Apache-2.0"
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"sightline {__version__}"
html_show_sourcelink = False
