"""The units of Figure 3: a parameter object and a function each."""
