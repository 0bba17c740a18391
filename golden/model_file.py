"""Model files, under the name that programs know; see `mubinn.golden.model.model_file`."""

from mubinn.golden.model.model_file import load_any as load_any
from mubinn.golden.model.model_file import load_float as load_float
from mubinn.golden.model.model_file import load_model as load_model
from mubinn.golden.model.model_file import save_model as save_model
