"""Tsitouras 5(4): one twin, its own adaptive step, landing exactly on the stop time.

Source: Tsitouras 2011, Runge-Kutta pairs of order 5(4) satisfying only the first column simplifying assumption,
Computers & Mathematics with Applications 62:770 (doi 10.1016/j.camwa.2011.06.002); step control after Hairer, Norsett &
Wanner, Solving Ordinary Differential Equations I, II.4 (proportional-integral).
"""

import math

from numba import njit

from .rhs import STATES, rhs

# Values of models.model.Status, spelled out because a kernel imports nothing.
COMPLETED = 1
STEP_LIMIT = 2
STEP_TOO_SMALL = 3
NON_FINITE = 4

WORK_ROWS = 9  # seven stages, the trial state, the stage state

C2, C3, C4, C5 = 0.161, 0.327, 0.9, 0.9800255409045097
A21 = 0.161
A31, A32 = -0.008480655492356989, 0.335480655492357
A41, A42, A43 = 2.8971530571054935, -6.359448489975075, 4.3622954328695815
A51, A52, A53, A54 = 5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525
A61, A62, A63, A64 = 5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401
A65 = -0.028269050394068383
A71, A72, A73, A74 = 0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742
A75, A76 = -3.290069515436081, 2.324710524099774
E1, E2, E3 = -0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995
E4, E5, E6, E7 = -0.1447110071732629, 0.5823571654525552, -0.45808210592918697, 0.015151515151515152

SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0
PROPORTIONAL, INTEGRAL = 0.7 / 5.0, 0.4 / 5.0
TINY = 1e-14  # a step below this part of the time it starts from cannot be taken


@njit(error_model="numpy", cache=True)
def stages(t, h, y, p, u, work):
    """Stages 2 to 7 of one step of length h from y; stage 1 must stand in work[0], the new state goes to work[7]."""
    k1, k2, k3, k4, k5, k6, k7 = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    new, z = work[7], work[8]
    for i in range(STATES):
        z[i] = y[i] + h * (A21 * k1[i])
    rhs(t + C2 * h, z, p, u, k2)
    for i in range(STATES):
        z[i] = y[i] + h * (A31 * k1[i] + A32 * k2[i])
    rhs(t + C3 * h, z, p, u, k3)
    for i in range(STATES):
        z[i] = y[i] + h * (A41 * k1[i] + A42 * k2[i] + A43 * k3[i])
    rhs(t + C4 * h, z, p, u, k4)
    for i in range(STATES):
        z[i] = y[i] + h * (A51 * k1[i] + A52 * k2[i] + A53 * k3[i] + A54 * k4[i])
    rhs(t + C5 * h, z, p, u, k5)
    for i in range(STATES):
        z[i] = y[i] + h * (A61 * k1[i] + A62 * k2[i] + A63 * k3[i] + A64 * k4[i] + A65 * k5[i])
    rhs(t + h, z, p, u, k6)
    for i in range(STATES):
        new[i] = y[i] + h * (A71 * k1[i] + A72 * k2[i] + A73 * k3[i] + A74 * k4[i] + A75 * k5[i] + A76 * k6[i])
    rhs(t + h, new, p, u, k7)


@njit(error_model="numpy", cache=True)
def error_norm(h, y, work, rtol, atol):
    """Root mean square of the estimated error over the tolerated one; at most 1 is accepted."""
    k1, k2, k3, k4, k5, k6, k7, new = (
        work[0], work[1], work[2], work[3], work[4], work[5], work[6], work[7],
    )  # fmt: skip
    total = 0.0
    for i in range(STATES):
        scale = atol + rtol * max(abs(y[i]), abs(new[i]))
        error = E1 * k1[i] + E2 * k2[i] + E3 * k3[i] + E4 * k4[i] + E5 * k5[i] + E6 * k6[i] + E7 * k7[i]
        ratio = error / scale
        total += ratio * ratio
    return abs(h) * math.sqrt(total / STATES)


@njit(error_model="numpy", cache=True)
def first_step(t, stop, y, work, rtol, atol):
    """A cautious first step from the sizes of the state and of its derivative (work[0])."""
    d0, d1 = 0.0, 0.0
    for i in range(STATES):
        scale = atol + rtol * abs(y[i])
        d0 += (y[i] / scale) ** 2
        d1 += (work[0, i] / scale) ** 2
    h = 0.01 * math.sqrt(d0 / d1) if d0 > 1e-10 and d1 > 1e-10 else 1e-3
    return min(h, stop - t)


@njit(error_model="numpy", cache=True)
def interpolate(theta, h, y, work, i):
    """State i at the part theta of the step just taken from y (order 4, the method's own interpolant)."""
    q = theta * theta
    b1 = theta * (1.0 + theta * (-2.763706197274826 + theta * (2.9132554618219126 - 1.0530884977290216 * theta)))
    b2 = q * (0.13169999999999998 + theta * (-0.2234 + 0.1017 * theta))
    b3 = q * (3.9302962368947516 + theta * (-5.941033872131505 + 2.490627285651253 * theta))
    b4 = q * (-12.411077166933676 + theta * (30.33818863028232 - 16.548102889244902 * theta))
    b5 = q * (37.50931341651104 + theta * (-88.1789048947664 + 47.37952196281928 * theta))
    b6 = q * (-27.896526289197286 + theta * (65.09189467479366 - 34.87065786149661 * theta))
    b7 = q * (1.5 + theta * (-4.0 + 2.5 * theta))
    return y[i] + h * (
        b1 * work[0, i] + b2 * work[1, i] + b3 * work[2, i] + b4 * work[3, i]
        + b5 * work[4, i] + b6 * work[5, i] + b7 * work[6, i]
    )  # fmt: skip


@njit(error_model="numpy", cache=True)
def advance(t, stop, y, p, u, work, memory, samples, out, row, next_sample, rtol, atol, max_steps):
    """Carry y from t to stop with the inputs held; returns (time reached, next sample, status).

    `memory` holds the step size to try (0: choose one), the last error and the steps taken so far, and survives from
    call to call. Samples (sorted times) in [t, stop) are written to out[row] on the way.
    """
    if stop <= t:
        return t, next_sample, COMPLETED
    rhs(t, y, p, u, work[0])
    if memory[0] <= 0.0:
        memory[0] = first_step(t, stop, y, work, rtol, atol)
        memory[1] = 1e-4
    while True:
        left = stop - t
        wanted = memory[0]
        last = wanted >= left * (1.0 - 1e-12)
        # Two even steps rather than a long one and a crumb.
        h = left if last else (0.5 * left if 1.6 * wanted > left else wanted)
        stages(t, h, y, p, u, work)
        error = error_norm(h, y, work, rtol, atol)
        memory[2] += 1.0
        if error <= 1.0:
            end = stop if last else t + h
            while next_sample < samples.size and samples[next_sample] < end:
                theta = (samples[next_sample] - t) / h
                for i in range(STATES):
                    out[row, next_sample, i] = interpolate(theta, h, y, work, i)
                next_sample += 1
            for i in range(STATES):
                y[i] = work[7, i]
                work[0, i] = work[6, i]
            t = end
            if last and wanted >= h:  # a step cut short by the stop says nothing against the longer one wanted
                return t, next_sample, COMPLETED
            error = max(error, 1e-10)
            factor = SAFETY * error**-PROPORTIONAL * memory[1] ** INTEGRAL
            memory[0] = h * min(GROW, max(SHRINK, factor))
            memory[1] = max(error, 1e-4)
            if last:
                return t, next_sample, COMPLETED
        else:
            if not error < 1e300:
                for i in range(STATES):
                    if not abs(y[i]) < 1e300 or not abs(work[0, i]) < 1e300:
                        return t, next_sample, NON_FINITE
                memory[0] = 0.1 * h
            else:
                memory[0] = h * max(0.1, SAFETY * error**-0.2)
            if memory[0] <= TINY * max(abs(t), 1e-3):
                return t, next_sample, STEP_TOO_SMALL
        if memory[2] >= max_steps:
            return t, next_sample, STEP_LIMIT
