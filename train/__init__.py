"""EEG data, and training of the float LSTM with JAX (extra ``mubinn[train]``)."""
