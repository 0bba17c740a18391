"""Checks of the fields of parameter objects."""


def demand(params: object, least: int, *names: str, most: int | None = None) -> None:
    """Raise `ValueError` where a field of `names` is below `least`, or above `most` if given.

    Examples
    --------
    >>> from mubinn.golden.units.xnor_multiplier import XnorMultiplierParams
    >>> demand(XnorMultiplierParams(3), 4, "lanes")
    Traceback (most recent call last):
    ValueError: XnorMultiplierParams.lanes is 3: give at least 4
    """
    for name in names:
        value = getattr(params, name)
        if value < least or (most is not None and value > most):
            wanted = f"at least {least}" if most is None else f"{least} to {most}"
            raise ValueError(f"{type(params).__name__}.{name} is {value}: give {wanted}")
