"""Level counts, under the name that programs know; see `mubinn.golden.binarize.levels`."""

from mubinn.golden.binarize.levels import Levels as Levels
