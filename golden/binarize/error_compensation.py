"""Choosing weight bits so that the errors of one weight are made good by the others of its row.

Rounding each weight for itself ignores that only the sum ``z = w . u`` matters. Here the columns of
a row are binarized one after the other, and the error of each is spread over the columns still to
come so as to keep ``E[(z - z')^2]`` smallest for the second moments of the inputs that were
observed: sequential least-squares rounding, known as optimal brain quantization and GPTQ.
It changes level bits alone; scales, formats and hardware stay as they are.
"""

import numpy as np

from mubinn.golden.binarize.mlb import mlb, mlb_value
from mubinn.golden.ground.fixed import Bits, Floats

DAMPING = 0.01
"""Share of the mean second moment that is added to its diagonal."""


def compensated_bits(rows: Floats, scales: Floats, moments: Floats) -> Bits:
    """Return the level bits of `rows`, binarized column by column from the first to the last.

    Parameters
    ----------
    rows : float64 [R, n]
        Weights, the bias among them as the weight of an input that is always 1.
    scales : float64 [N, R, n]
        Scales of every weight.
    moments : float64 [n, n]
        ``E[u u^T]`` of the inputs.

    Returns
    -------
    uint8 [N, R, n]
    """
    damped = moments + DAMPING * np.mean(np.diag(moments)) * np.eye(len(moments))
    # Row j of this factor tells how an error in column j is best shared among the later ones.
    share = np.linalg.cholesky(np.linalg.inv(damped)).T
    rest = np.array(rows, np.float64)
    bits = np.empty((len(scales), *rows.shape), np.uint8)
    for column in range(rows.shape[1]):
        own = scales[:, :, column]
        bits[:, :, column] = mlb(rest[:, column], own)
        error = rest[:, column] - mlb_value(bits[:, :, column], own)
        error /= share[column, column]
        rest[:, column + 1 :] -= np.outer(error, share[column, column + 1 :])
    return bits
