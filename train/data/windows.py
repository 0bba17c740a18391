"""Windows in one place: labelled sets, their preparation, loaders and the synthetic stand-in.

Imports NumPy only; formats other than NumPy's and EDF ask for MNE when they are read.
"""

from mubinn.train.data.cutting import Cutting, load_edf, load_recordings
from mubinn.train.data.files import DATA_NAME, find_data, load_labelled
from mubinn.train.data.recordings import LabelledSet, folds_of, prepare
from mubinn.train.data.synthetic import synthetic_eeg

__all__ = [
    "DATA_NAME",
    "Cutting",
    "LabelledSet",
    "find_data",
    "folds_of",
    "load_edf",
    "load_labelled",
    "load_recordings",
    "prepare",
    "synthetic_eeg",
]
