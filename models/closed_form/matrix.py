"""Compiled kernel for any linear system: from event to event by the exponential of its matrix.

Scaling and squaring of a shifted Taylor series: for a matrix of compartments (no negative element off the diagonal)
A + mu I has no negative element, so that every term is positive and nothing cancels; near-equal rates are no special
case. Source: Moler & Van Loan 2003, SIAM Review 45:3, method 3 (doi 10.1137/S00361445024180); Al-Mohy & Higham 2009 for
why not to scale more than needed.
"""

import math

import numpy as np
from numba import njit

from .kernel import BOLUS, COMPLETED, NON_FINITE, RATE, REPLACE, RESET, ROOT_NOT_FOUND, STEADY

TERMS = 14  # 0.5**15 / 15! is below 1e-16
NORM = 0.5
ROUNDING = 1e-14  # relative; a smaller pivot cannot be told from 0: there is no steady state


@njit(error_model="numpy", cache=True)
def multiply(a, b, out):
    n = a.shape[0]
    for i in range(n):
        for j in range(n):
            total = 0.0
            for m in range(n):
                total += a[i, m] * b[m, j]
            out[i, j] = total


@njit(error_model="numpy", cache=True)
def exponential(a, t, out):
    """exp(a t) into `out`."""
    n = a.shape[0]
    shift, norm = 0.0, 0.0
    for i in range(n):
        shift = max(shift, -a[i, i])
    for j in range(n):
        column = 0.0
        for i in range(n):
            column += abs(a[i, j] + (shift if i == j else 0.0))
        norm = max(norm, column)
    size = max(norm, shift) * t
    if not size < 1e300:
        out[:] = np.nan
        return
    halvings = 0
    while size > NORM:
        size *= 0.5
        halvings += 1
    h = math.ldexp(t, -halvings)
    b, term, other = np.empty((n, n)), np.zeros((n, n)), np.empty((n, n))
    for i in range(n):
        for j in range(n):
            b[i, j] = h * (a[i, j] + (shift if i == j else 0.0))
        term[i, i] = 1.0
    out[:] = term
    for k in range(1, TERMS + 1):
        multiply(term, b, other)
        for i in range(n):
            for j in range(n):
                term[i, j] = other[i, j] / k
                out[i, j] += term[i, j]
    out *= math.exp(-shift * h)
    for _ in range(halvings):
        multiply(out, out, other)
        out[:] = other


@njit(error_model="numpy", cache=True)
def solve_in_place(a, b, noise):
    """a x = b by elimination with row exchanges; x replaces b, NaN where a pivot is within `noise` of 0."""
    n = b.size
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[best, k]):
                best = i
        if best != k:
            for j in range(n):
                a[k, j], a[best, j] = a[best, j], a[k, j]
            b[k], b[best] = b[best], b[k]
        if not abs(a[k, k]) > noise:
            b[:] = np.nan
            return
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            for j in range(k, n):
                a[i, j] -= factor * a[k, j]
            b[i] -= factor * b[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            b[k] -= a[k, j] * b[j]
        b[k] /= a[k, k]


@njit(error_model="numpy", cache=True)
def carry(a, t, y, n):
    """y after the time t, its rates (behind the first n states) held."""
    if t == 0.0:
        return
    step = np.empty(a.shape)
    exponential(a, t, step)
    before = y.copy()
    for i in range(n):
        total = 0.0
        for m in range(y.size):
            total += step[i, m] * before[m]
        y[i] = total


@njit(error_model="numpy", cache=True)
def steady_state(a, n, j, amount, rate, duration, lag, interval):
    """State just before the dose of a long run of doses into compartment j; `a` holds a rate for each state."""
    y = np.zeros(2 * n)
    if interval == 0.0:
        b, system = np.zeros(n), -a[:n, :n].copy()
        b[j] = rate
        solve_in_place(system, b, ROUNDING * np.abs(a[:n, :n]).max())
        y[:n] = b
        return y[:n]
    # One interval from nothing, with the doses of the periodic pattern, then (I - P) y = what it leaves.
    phase = lag - math.floor(lag / interval) * interval
    if rate == 0.0:
        carry(a, phase, y, n)
        y[j] += amount
        carry(a, interval - phase, y, n)
    else:
        whole = math.floor(duration / interval)
        rest = duration - whole * interval
        wraps = phase + rest > interval
        first = phase + rest - interval if wraps else phase
        second = phase if wraps else phase + rest
        y[n + j] = rate * (whole + (1.0 if wraps else 0.0))
        carry(a, first, y, n)
        y[n + j] = rate * (whole + (0.0 if wraps else 1.0))
        carry(a, second - first, y, n)
        y[n + j] = rate * (whole + (1.0 if wraps else 0.0))
        carry(a, interval - second, y, n)
    step = np.empty(a.shape)
    exponential(a, interval, step)
    system, b = np.empty((n, n)), y[:n].copy()
    for i in range(n):
        for m in range(n):
            system[i, m] = (1.0 if i == m else 0.0) - step[i, m]
    solve_in_place(system, b, ROUNDING * (1.0 + np.abs(a[:n, :n]).max() * interval))
    return b


@njit(error_model="numpy", nogil=True, cache=True)
def run(matrices, kind, where, value, steady, gap, event_gap, block_first, block_gap, wanted, out, status):
    """As `kernel.run`, for matrices (twin, state, state) and doses of any compartment."""
    n = matrices.shape[1]
    events = kind.shape[1]
    a = np.zeros((2 * n, 2 * n))
    steps = np.empty((gap.shape[1], 2 * n, 2 * n))
    y = np.zeros(2 * n)
    for k in range(matrices.shape[0]):
        if status[k] != COMPLETED:
            continue
        r = k if kind.shape[0] > 1 else 0
        rs = k if steady.shape[0] > 1 else 0
        a[:] = 0.0
        for i in range(n):
            a[i, n + i] = 1.0  # the rate into each state is a further, constant state
            for m in range(n):
                a[i, m] = matrices[k, i, m]
        for g in range(gap.shape[1]):
            exponential(a, gap[r, g], steps[g])
        y[:] = 0.0
        for block in range(events + 1):
            if block > 0:
                e = block - 1
                if event_gap[r, e] >= 0:
                    before = y.copy()
                    step = steps[event_gap[r, e]]
                    for i in range(n):
                        total = 0.0
                        for m in range(2 * n):
                            total += step[i, m] * before[m]
                        y[i] = total
                j, v, act = where[r, e], value[r, e], kind[r, e]
                if act == BOLUS:
                    y[j] += v
                elif act == RATE:
                    y[n + j] = v
                elif act == RESET:
                    y[:] = 0.0
                elif act == REPLACE:
                    y[j] = v
                elif act == STEADY:
                    s = steady[rs, int(v)]
                    if s[5] == 0.0:
                        y[:] = 0.0
                    found = steady_state(a, n, j, s[0], s[1], s[2], s[3], s[4])
                    for i in range(n):
                        y[i] += found[i]
                        if not abs(y[i]) < 1e300:
                            status[k] = ROOT_NOT_FOUND
            for s in range(block_first[r, block], block_first[r, block + 1]):
                step = steps[block_gap[r, block] + s - block_first[r, block]]
                for o in range(wanted.size):
                    total = 0.0
                    for m in range(2 * n):
                        total += step[wanted[o], m] * y[m]
                    out[k, o, s] = total
        for o in range(wanted.size):
            for s in range(out.shape[2]):
                if status[k] == COMPLETED and not abs(out[k, o, s]) < 1e300:
                    status[k] = NON_FINITE
