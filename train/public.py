"""The names of `mubinn.train`: what programs use of it."""

from mubinn.train.data.windows import Cutting as Cutting
from mubinn.train.data.windows import LabelledSet as LabelledSet
from mubinn.train.data.windows import find_data as find_data
from mubinn.train.data.windows import load_edf as load_edf
from mubinn.train.data.windows import load_labelled as load_labelled
from mubinn.train.data.windows import load_recordings as load_recordings
from mubinn.train.data.windows import prepare as prepare
from mubinn.train.data.windows import synthetic_eeg as synthetic_eeg
from mubinn.train.recipes.method import Method as Method
from mubinn.train.recipes.recipe import Recipe as Recipe
from mubinn.train.recipes.tuned import tuned as tuned
from mubinn.train.runs.trainer import TrainResult as TrainResult
from mubinn.train.runs.trainer import train as train
