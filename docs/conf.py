"""How the documentation is built: ``sphinx-build -W --keep-going docs docs/_build``, without the network."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from typing import Any

from sphinx.util.inspect import stringify_signature

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

import reference  # noqa: E402

import audioseq  # noqa: E402

project = "audioseq"
author = "The audioseq authors"
copyright = "The audioseq authors, Apache-2.0"
release = version = audioseq.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery", "auto_gallery/*.ipynb"]
# what docstrings put between single backticks: a name of ours becomes a link, anything else is code
default_role = "py:obj"

# the pages of the reference are made anew by each build
reference.write_reference(DOCS / "generated")
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style"), "Input shape", "Output shape"]

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "capture_repr": (),
    "write_computation_times": False,  # that page asks a CDN for its scripts
}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "pydata_sphinx_theme"
html_title = "audioseq"
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"benchmarks": []}


def own_signature(app: Any, what: str, name: str, obj: Any, *_: Any) -> tuple[str, str] | None:
    """That of ``__init__``: of a Keras class autodoc takes that of ``__new__``, which names nothing."""
    if what == "class" and "keras" in sys.modules and issubclass(obj, sys.modules["keras"].layers.Layer):
        signature = inspect.signature(obj.__init__)
        parameters = list(signature.parameters.values())[1:]
        return stringify_signature(
            signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
        ), ""
    return None


def setup(app: Any) -> None:
    app.connect("autodoc-process-signature", own_signature)
