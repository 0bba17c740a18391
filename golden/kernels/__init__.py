"""Products of signs as XNOR and population counts on the CPU, and their native code."""

from mubinn.golden.kernels.native import instruction_sets as instruction_sets
from mubinn.golden.kernels.products import LevelProduct as LevelProduct
from mubinn.golden.kernels.products import XnorProduct as XnorProduct
