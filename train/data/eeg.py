"""EEG data in one place: the set, its preparation, loaders and the synthetic stand-in.

Imports NumPy only; `load_edf` asks for MNE when it is called.
"""

from mubinn.train.data.edf import load_edf
from mubinn.train.data.files import DATA_NAME, find_data, load_eeg
from mubinn.train.data.recordings import EegSet, folds_of, prepare
from mubinn.train.data.synthetic import synthetic_eeg

__all__ = [
    "DATA_NAME",
    "EegSet",
    "find_data",
    "folds_of",
    "load_edf",
    "load_eeg",
    "prepare",
    "synthetic_eeg",
]
