"""The names of `mubinn.golden`: what programs use of it."""

from mubinn.golden.binarize.levels import Levels as Levels
from mubinn.golden.cells.graph import Cell as Cell
from mubinn.golden.cells.graph import cell as cell
from mubinn.golden.cells.graph import encode as encode
from mubinn.golden.cells.graph import hard_sigmoid as hard_sigmoid
from mubinn.golden.cells.graph import hard_tanh as hard_tanh
from mubinn.golden.cells.graph import identity as identity
from mubinn.golden.cells.graph import projection as projection
from mubinn.golden.cells.graph import ramp as ramp
from mubinn.golden.cells.graph import relu as relu
from mubinn.golden.cells.graph import row as row
from mubinn.golden.cells.graph import sigmoid as sigmoid
from mubinn.golden.cells.graph import stored as stored
from mubinn.golden.cells.graph import tanh as tanh
from mubinn.golden.ground.errors import MubinnError as MubinnError
from mubinn.golden.importers.any_file import import_model as import_model
from mubinn.golden.inference.run import Inference as Inference
from mubinn.golden.inference.run import infer as infer
from mubinn.golden.model.bit_true import run as run
from mubinn.golden.model.float_layer import FloatLayer as FloatLayer
from mubinn.golden.model.float_model import FloatModel as FloatModel
from mubinn.golden.model.model_file import load_any as load_any
from mubinn.golden.model.model_file import load_float as load_float
from mubinn.golden.model.model_file import load_model as load_model
from mubinn.golden.model.model_file import save_model as save_model
from mubinn.golden.model.quantized_model import QuantizedModel as QuantizedModel
