"""An estimate of a Lattice iCE40 UP5K's power, from published currents of its core.

=======  ==========================================================================================
static   75 uA typical at 1.2 V: Lattice, iCE40 UltraPlus Family Data Sheet, FPGA-DS-02008, supply
         current. A blank design drew 85.6 uA, one whose clock is halted 92.1 uA (tinyVision, below)
dynamic  Lattice's data sheet gives none for a cell or a clock. tinyVision measured a breakout board
         with a Joulescope (github.com/tinyvision-ai-inc/ice40_power, core at 1.219 V): 92.1 uA with
         the clock halted and 613.5 uA with one of 12 MHz and 32 cells, 645 uA with 28 cells and 996
         uA with 208 that multiply at each clock
=======  ==========================================================================================

So a clock takes 53 pJ, and an active logic cell 0.198 pJ in it. Reads of block RAMs, of which
nothing is published, count nothing; nor do pins.
"""

from dataclasses import dataclass

STATIC_UW = 75 * 1.2
_VOLTS, _MHZ = 1.219, 12.0
CLOCK_PJ = (613.5 - 92.1) * _VOLTS / _MHZ
CELL_PJ = (996 - 645) * _VOLTS / _MHZ / (208 - 28)


@dataclass(frozen=True)
class Up5kPower:
    """What a layer is estimated to take.

    Attributes
    ----------
    step_nj : float
        Of a step, the static part left out.
    average_uw : float
        At a rate of steps, its clock halted between them.
    """

    step_nj: float
    average_uw: float


def up5k_power(cycles: int, cells: float, rate_hz: float) -> Up5kPower:
    """Return the estimate of a layer of `cells` logic cells that takes `cycles` a step.

    400 cycles of 1,000 cells take 100 nJ, at 40 steps a second 94 uW:

    >>> found = up5k_power(400, 1000, 40.0)
    >>> round(found.step_nj), round(found.average_uw)
    (100, 94)
    """
    step_nj = cycles * (CLOCK_PJ + cells * CELL_PJ) / 1000
    return Up5kPower(step_nj, STATIC_UW + step_nj * rate_hz / 1000)
