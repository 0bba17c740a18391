"""The names of `mubinn.train`: what programs use of it."""

from mubinn.train.data.eeg import Cutting as Cutting
from mubinn.train.data.eeg import EegSet as EegSet
from mubinn.train.data.eeg import find_data as find_data
from mubinn.train.data.eeg import load_edf as load_edf
from mubinn.train.data.eeg import load_eeg as load_eeg
from mubinn.train.data.eeg import load_recordings as load_recordings
from mubinn.train.data.eeg import prepare as prepare
from mubinn.train.data.eeg import synthetic_eeg as synthetic_eeg
from mubinn.train.recipes.method import Method as Method
from mubinn.train.recipes.recipe import Recipe as Recipe
from mubinn.train.recipes.tuned import tuned as tuned
from mubinn.train.runs.trainer import TrainResult as TrainResult
from mubinn.train.runs.trainer import train as train
