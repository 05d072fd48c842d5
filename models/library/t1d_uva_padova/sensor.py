"""Sensor error of a continuous glucose monitor, keyed by slot; compiled beside the equations.

Errors are drawn every 15 minutes and joined by a cubic (Catmull-Rom) curve:
    e_n = 0.7 (e_(n-1) + N(0, 1)),  eps = xi + lambda sinh((e - gamma) / delta)
Source: Breton & Kovatchev 2008, J Diabetes Sci Technol 2:853, with the figures of the public simulator.
"""

import math

from numba import njit

from ...engine.kernel.random import normal

XI, LAMBDA, GAMMA, DELTA = -5.47, 15.9574, -0.5444, 1.6898  # mg/dL, mg/dL, 1, 1
MEMORY = 0.7
NODE_MINUTES = 15.0
LOWEST, HIGHEST = 39.0, 600.0  # mg/dL, what the sensor can show (read: Dexcom row of the public simulator)


@njit(error_model="numpy", cache=True)
def next_node(e, key, twin, node):
    """The autoregressive state of error node number `node` from the one before it."""
    return MEMORY * (e + normal(key, twin, node))


@njit(error_model="numpy", cache=True)
def deviation(e):
    """Sensor error in mg/dL of an autoregressive state."""
    return XI + LAMBDA * math.sinh((e - GAMMA) / DELTA)


@njit(error_model="numpy", cache=True)
def between(a, b, c, d, x):
    """Catmull-Rom cubic through four nodes, at the part x of the way from b to c."""
    slope_b, slope_c = 0.5 * (c - a), 0.5 * (d - b)
    return b + x * (slope_b + x * (3.0 * (c - b) - 2.0 * slope_b - slope_c + x * (2.0 * (b - c) + slope_b + slope_c)))


@njit(error_model="numpy", cache=True)
def shown(glucose):
    """What the display says: whole mg/dL within the sensor's range."""
    return min(max(math.floor(glucose + 0.5), LOWEST), HIGHEST)
