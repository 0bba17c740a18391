"""Where the models that ship with the project lie."""

from pathlib import Path

BUNDLED_FLOAT = Path(__file__).parent / "data" / "eeg_float.safetensors"
"""Float LSTM, 32 features and 100 cells, trained on real EEG with fold 0 held out."""

BUNDLED_QUANTIZED = Path(__file__).parent / "data" / "eeg_3_3.mubinn"
"""The same at (3,3), calibrated on the training folds."""
