"""Sphinx configuration; `make docs` builds with warnings as errors."""

from __future__ import annotations

import sys
from pathlib import Path

from sightline import __version__

sys.path.insert(0, str(Path(__file__).parent))  # formulas.py

project = "sightline"
author = "the sightline authors"
copyright = "the sightline authors, Apache-2.0"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "formulas"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "auto"  # of the pages that say that they are notebooks
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "remove"  # lines of progress
exclude_patterns = ["_build", "keys"]  # parts of other pages
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other libraries: their documentation needs a network

default_role = "code"
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

html_static_path = ["static"]
html_css_files = ["pages.css"]
html_theme = "furo"
html_title = f"sightline {__version__}"
html_show_sourcelink = False
