"""Configuration of the documentation site; `build.py` makes its pages and calls Sphinx."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from lth_sketch.version import __version__

project = "lth_sketch"
author = "The lth_sketch founders"
copyright = "the lth_sketch founders, BSD 3-Clause"
version = release = __version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "mathematics",
]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext", ".ipynb": "myst-nb"}
exclude_patterns = ["**/.ipynb_checkpoints"]
# Whatever is quoted in a docstring: a link where it names something public, else code.
default_role = "py:obj"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3
# `making.notebooks` has run them.
nb_execution_mode = "off"

autosummary_generate = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_math_renderer = "katex"
html_theme = "furo"
html_title = f"lth_sketch {release}"
html_static_path = ["static", "node_modules/katex/dist"]
html_css_files = ["katex.min.css", "site.css"]
html_js_files = [("tables.js", {"defer": "defer"})]
html_extra_path = ["made/extra"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0060a8", "color-brand-content": "#0060a8"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ff", "color-brand-content": "#7cc4ff"},
}
