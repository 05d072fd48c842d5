"""Stands for the module of a model that acts on its twins while they are integrated, and shows what it must offer.

Here: a substance that decays, looked at every hour and topped up where little is left.

- `begin(lane, k, block, world)`: this lane holds the start of twin k, at time 0 unless `block[TIME, lane]` is set here;
  set the first time to land on, `block[STOP, lane]`.
- `serve(lane, k, block, world)`: the lane has landed exactly on its stop. Read and change its states and inputs, then
  set the next stop, or end the twin by its status in `block[STATUS, lane]`.
- `leave(lane, k, block, world)`: the twin has ended there, or failed on its way; keep what is wanted of it.

`world` is whatever these need: a named tuple of arrays. Whatever they change belongs to twin k alone; then nothing a
twin does depends on its neighbours.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .driver import COMPLETED, STATUS, STOP, TIME
from .rows import Y

HOUR = 1.0


class World(NamedTuple):
    """Amount that counts as little, what is then added, hours to follow; per twin: doses given, amount and status."""

    little: float
    added: float
    hours: float
    doses: np.ndarray
    left: np.ndarray
    status: np.ndarray


@njit(error_model="numpy", cache=True)
def begin(lane, k, block, world):
    """First look after an hour."""
    block[STOP, lane] = HOUR


@njit(error_model="numpy", cache=True)
def serve(lane, k, block, world):
    """Look, top up, and go on for another hour."""
    if block[Y.x, lane] < world.little:
        block[Y.x, lane] += world.added
        world.doses[k] += 1
    if block[TIME, lane] >= world.hours:
        block[STATUS, lane] = COMPLETED
    block[STOP, lane] += HOUR


@njit(error_model="numpy", cache=True)
def leave(lane, k, block, world):
    """What is left of the substance, and why the twin ended."""
    world.left[k], world.status[k] = block[Y.x, lane], block[STATUS, lane]
