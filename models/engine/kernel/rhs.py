"""Stands for the generated right-hand side of a model: an exponential decay, so that the steppers run as they are."""

from numba import njit

STATES = 1


@njit(error_model="numpy")
def rhs(t, y, p, u, dy):
    """Derivatives of the states `y` at `t` into `dy`, all flat float arrays."""
    dy[0] = -p[0] * y[0]
