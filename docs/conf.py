"""Build these pages with Sphinx: MyST Markdown, the furo theme, the API out of the installed package."""

import telemetry

project = "Local Telemetry Platform"
author = "The Local Telemetry Platform authors"
project_copyright = "2026, The Local Telemetry Platform authors"
version = release = telemetry.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build", "changelog.d", "examples"]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
default_role = "code"  # docstrings write `name` as Markdown does
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = f"Local Telemetry Platform {release}"
