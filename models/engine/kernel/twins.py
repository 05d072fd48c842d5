"""What the driver of lanes is given, in records of arrays; it stands apart because it needs no Numba."""

from typing import NamedTuple

import numpy as np

HANDED_OVER = -1  # no failure: the twin is to go on with the other kind of method


class Sizes(NamedTuple):
    """Numbers of states, parameters, inputs and events; the first rows of what the events keep."""

    states: int
    parameters: int
    inputs: int
    events: int
    armed: int
    fired: int


class Twins(NamedTuple):
    """What each twin begins with and what became of it, changed in place: (twin, ...) arrays.

    `pace` (twin, 4) is what the control of steps hands over from one method to the next; `armed` (twin, event) says
    which events it waits for; `times` (twin, event, kept) and `counts` (twin, event) of
    events that happened.
    """

    y: np.ndarray
    p: np.ndarray
    u: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    pace: np.ndarray
    armed: np.ndarray
    status: np.ndarray
    ended: np.ndarray
    steps: np.ndarray
    times: np.ndarray
    counts: np.ndarray


class Orders(NamedTuple):
    """What is done to twins and read from them: records (twin, record), sample times that end with inf (twin or 1,
    sample), samples (twin, sample, state), and the status with which an event ends a twin, 0 if it does not."""

    time: np.ndarray
    target: np.ndarray
    value: np.ndarray
    samples: np.ndarray
    out: np.ndarray
    ends: np.ndarray


class Lanes(NamedTuple):
    """What the driver remembers of each lane: its `twin` (-1: none), its next `record`, the time of the `last` event
    and how many `rounds` of events there were at that time."""

    twin: np.ndarray
    record: np.ndarray
    last: np.ndarray
    rounds: np.ndarray
