"""Sphinx configuration: `make docs` builds the site with warnings as errors."""

import os
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

# The tutorial's shell finds the programs of the environment that builds the site.
os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))

project = "MuBiNN"
release = metadata.version("mubinn")
author = "The MuBiNN developers"
html_title = "MuBiNN"
html_theme = "furo"
html_show_sphinx = False
html_copy_source = False

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "rooms",
    "catalogue",
]
exclude_patterns = ["extensions"]

# Of `rooms`: full names in single backticks are references, everything else there is code.
default_role = "name"
# Annotations that are imported for type checkers alone are looked for by their last name.
suppress_warnings = ["ref.python"]
# The bench of the AXI ports needs it, which comes with the tests.
autodoc_mock_imports = ["cocotbext"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}

napoleon_google_docstring = False
napoleon_use_param = False  # types of parameters are text, with shapes
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Members", "params_style")]

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

nb_execution_mode = "force"  # a cache would know the cells, not the code they call
nb_execution_timeout = 900
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_merge_streams = True
