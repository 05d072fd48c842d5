"""Insulin pump and its controllers, sampled every five minutes; compiled beside the equations.

Thresholds of the hybrid closed loop are the manufacturer's published ones; the law between them is ours, for the
commercial algorithm is not public.
"""

import math

from numba import njit

TICK = 5.0  # min
OPEN_LOOP, LOW_GLUCOSE_SUSPEND, HYBRID_CLOSED_LOOP = 0, 1, 2
READINGS = 7  # half an hour of readings, for the slope

# Pump (Cozmo row of the public simulator): steps and limits of basal rate (U/h) and bolus (U).
BASAL_STEP, BASAL_MAX = 0.05, 35.0
BOLUS_STEP, BOLUS_MAX = 0.05, 75.0
IOB_MINUTES = 55.0  # each of the two compartments of insulin on board
IOB_DECAY = math.exp(-TICK / IOB_MINUTES)  # of one compartment in a tick


@njit(error_model="numpy", cache=True)
def quantised(value, step, highest):
    """Down to the pump's step (a pump never gives more than asked), within its limits."""
    return min(max(math.floor(value / step + 1e-9) * step, 0.0), highest)


@njit(error_model="numpy", cache=True)
def slope(readings, count):
    """Least-squares slope (mg/dL/min) of the last `count` readings, five minutes apart, oldest first."""
    if count < 3:
        return 0.0
    middle = 0.5 * (count - 1)
    top, bottom = 0.0, 0.0
    for i in range(count):
        x = i - middle
        top += x * readings[READINGS - count + i]
        bottom += x * x
    return top / bottom / TICK


@njit(error_model="numpy", cache=True)
def basal_factor(controller, glucose, predicted, d):
    """Factor on the profile basal rate from the reading and the glucose predicted for the horizon."""
    if controller == LOW_GLUCOSE_SUSPEND:
        return 0.0 if predicted < d.suspend_below else 1.0
    if controller == HYBRID_CLOSED_LOOP:
        if predicted <= d.stop_at:
            return 0.0
        if predicted < d.reduce_below:
            return (predicted - d.stop_at) / (d.reduce_below - d.stop_at)
        if predicted > d.increase_above:
            return min(1.0 + (predicted - d.increase_above) * d.gain, d.highest_factor)
    return 1.0


@njit(error_model="numpy", cache=True)
def correction(glucose, iob, cf, d):
    """Automatic correction bolus (U) of the hybrid closed loop, from the current reading and insulin on board."""
    return max(d.correction_share * ((glucose - d.correction_target) / (d.cf_factor * cf) - iob), 0.0)
