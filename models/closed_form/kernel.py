"""Compiled kernel of mammillary bodies: every twin is a sum of exponentials, carried from event to event.

A body with n compartments has n modes z_i that decay by themselves, dz_i/dt = -lambda_i z_i + f_i, and its states are
y = V z. A dose of compartment j adds W_ij to z_i. So the cost of a twin is one exponential a mode and a length of
time, one multiplication a mode and event, and n multiplications a sample and state; no dose is summed again.

Numbers and flat arrays only. A twin's result depends on its own row alone: no sum runs over twins, nothing is
reassociated or contracted, so vectorised and scalar code give the same bits.
"""

import math

import numpy as np
from numba import njit

from .lanes import (
    LANES,
    add_product,
    add_scaled,
    decay,
    lanes_to_rows,
    product,
    weighted_1,
    weighted_2,
    weighted_3,
    weighted_4,
    weighted_5,
)  # fmt: skip

BOLUS, RATE, RESET, REPLACE, STEADY, NOTHING = 0, 1, 2, 3, 4, 5
COMPLETED, NON_FINITE, ROOT_NOT_FOUND, GUARDED = 1, 4, 6, 0  # Status, and: to be done by the matrix exponential
DEPOT, CENTRAL = 0, 1
MODES = 5  # at most: three of disposition, depot, effect
TILE = 32  # samples that are kept by lanes before they are written out
LARGEST = 1e4  # of a coefficient, in doses: beyond, near-equal rates cancel more than four of sixteen digits


@njit(error_model="numpy", cache=True)
def held(x):
    """(1 - exp(-x)) / x, what a constant input leaves, without cancellation for small x."""
    return -math.expm1(-x) / x if x > 0.0 else 1.0 + 0.0 * x


@njit(error_model="numpy", cache=True)
def rates(p, peripherals, lam):
    """Disposition rates of one body into lam[: peripherals + 1], falling; p = CL, V, Q2, V2, Q3, V3, ka, ke0."""
    k10, k12 = p[0] / p[1], p[2] / p[1]
    if peripherals == 0:
        lam[0] = k10
        return
    k21 = p[2] / p[3]
    if peripherals == 1:
        total = k10 + k12 + k21
        gap = k10 + k12 - k21
        lam[0] = 0.5 * (total + math.sqrt(gap * gap + 4.0 * k12 * k21))
        lam[1] = k10 * k21 / lam[0]
        return
    k13, k31 = p[4] / p[1], p[4] / p[5]
    a = k10 + k12 + k21 + k13 + k31
    b = k10 * (k21 + k31) + k21 * k31 + k12 * k31 + k13 * k21
    c = k10 * k21 * k31
    # The largest root of x^3 - a x^2 + b x - c: by the cosine, then Newton's steps from near by.
    q = max((a * a - 3.0 * b) / 9.0, 0.0)
    r = (2.0 * a * a * a - 9.0 * a * b + 27.0 * c) / 54.0
    s = math.sqrt(q)
    angle = math.acos(min(1.0, max(-1.0, r / (s * s * s)))) if s > 0.0 else 0.0
    x = a / 3.0 + 2.0 * s * math.cos(angle / 3.0)
    for _ in range(3):
        slope = (3.0 * x - 2.0 * a) * x + b
        if slope > 0.0:
            x -= (((x - a) * x + b) * x - c) / slope
    lam[0] = x
    product = c / x
    total = (b - product) / x
    root = math.sqrt(max(total * total - 4.0 * product, 0.0))
    lam[1] = 0.5 * (total + root)
    lam[2] = product / lam[1]


@njit(error_model="numpy", cache=True)
def modes(p, peripherals, oral, effect, lam, V, W):
    """Rates, states of each mode (V: state, mode) and what a dose adds to it (W: mode, depot or central).

    Returns the largest part of a dose that stands in one mode: where it is large, modes cancel.
    Source: partial fractions of the transfer function G(s) = prod_j (s + k_j1) / prod_i (s + lambda_i).
    """
    m = peripherals + 1
    n = m + oral + effect
    lam[:] = 0.0
    V[:] = 0.0
    W[:] = 0.0
    rates(p, peripherals, lam)
    ka, ke0 = p[6], p[7]
    d, e = m, n - 1  # modes of depot and effect
    if oral:
        lam[d] = ka
    if effect:
        lam[e] = ke0
    central = oral
    for i in range(n):
        if i >= m and not (oral and i == d):
            continue
        x = lam[i]
        below = 1.0
        for q in range(m):
            if q != i:
                below *= lam[q] - x
        # Numerator without the own factor, so that a mode with x = k_j1 needs no division by 0.
        from_depot = ka if i >= m else 1.0
        above = 1.0
        for j in range(peripherals):
            above *= p[2 + 2 * j] / p[3 + 2 * j] - x
        V[central, i] = from_depot * above / below
        for j in range(peripherals):
            others = 1.0
            for q in range(peripherals):
                if q != j:
                    others *= p[2 + 2 * q] / p[3 + 2 * q] - x
            V[central + 1 + j, i] = from_depot * p[2 + 2 * j] / p[1] * others / below
        if effect:
            V[n - 1, i] = ke0 / p[1] * V[central, i] / (ke0 - x)
        if i < m:
            W[i, CENTRAL] = 1.0
            W[i, DEPOT] = ka / (ka - x) if oral else 0.0
    if oral:
        V[0, d] = 1.0
        W[d, DEPOT] = 1.0
    if effect:
        V[n - 1, e] = 1.0
        transfer = ke0 / p[1]
        for j in range(peripherals):
            transfer *= p[2 + 2 * j] / p[3 + 2 * j] - ke0
        for q in range(m):
            transfer /= lam[q] - ke0
        W[e, CENTRAL] = transfer
        if oral:
            W[e, DEPOT] = transfer * ka / (ka - ke0)
    largest = 0.0
    for o in range(n):
        scale = p[1] if effect and o == n - 1 else 1.0
        for i in range(n):
            for j in range(2):
                size = scale * abs(V[o, i] * W[i, j])
                if not size < 1e300:
                    return math.inf  # rates that are exactly equal
                largest = max(largest, size)
    return largest


@njit(error_model="numpy", cache=True)
def merge(time, times, first, last, before, out):
    """How many events of each row stand at or before the samples first ... last - 1, plus those `before`."""
    for r in range(time.shape[0]):
        e = 0
        for s in range(first, last):
            while e < time.shape[1] and time[r, e] <= times[s]:
                e += 1
            out[r, s] = before + e


@njit(error_model="numpy", cache=True)
def steady_mode(lam, w, amount, rate, duration, lag, interval):
    """One mode just before the dose of a long run of doses (see `dosing.timeline.Steady`)."""
    if interval == 0.0:
        return rate * w / lam
    phase = lag - math.floor(lag / interval) * interval
    over = -math.expm1(-lam * interval)
    if rate == 0.0:
        return amount * w * math.exp(-lam * (interval - phase)) / over
    whole = math.floor(duration / interval)
    rest = duration - whole * interval
    z = whole * rate * w / lam
    dose = rate * w * -math.expm1(-lam * rest) / lam
    if phase + rest <= interval:
        return z + dose * math.exp(-lam * (interval - phase - rest)) / over
    z += rate * w * -math.expm1(-lam * (interval - phase)) / lam
    return z + dose * math.exp(-lam * (2.0 * interval - phase - rest)) / over


@njit(error_model="numpy", cache=True)
def tabulate(lam, n, gap, row, decays, left, infused):
    """exp(-lambda gap) of every gap, mode and lane; with infusions also what a unit rate leaves after the gap."""
    for g in range(gap.shape[1]):
        t = gap[row, g]
        for i in range(n):
            decay(decays, (g * MODES + i) * LANES, lam, i * LANES, t)
            if infused:
                for lane in range(LANES):
                    left[(g * MODES + i) * LANES + lane] = t * held(lam[i * LANES + lane] * t)


@njit(error_model="numpy", cache=True)
def act(kind, j, v, steady, row, n, oral, lam, V, W, z, rate, status, twins):
    """One event on the modes of all lanes."""
    if kind == BOLUS:
        for i in range(n):
            add_scaled(z, i * LANES, W, (j * MODES + i) * LANES, v)
    elif kind == RATE:
        rate[j] = v
    elif kind == RESET:
        z[:] = 0.0
        rate[:] = 0.0
    elif kind == REPLACE:
        o = 0 if j == DEPOT else oral
        for lane in range(LANES):
            change = v
            for i in range(n):
                change -= V[(o * MODES + i) * LANES + lane] * z[i * LANES + lane]
            for i in range(n):
                z[i * LANES + lane] += change * W[(j * MODES + i) * LANES + lane]
    elif kind == STEADY:
        s = int(v)
        if steady[row, s, 5] == 0.0:
            z[:] = 0.0
            rate[:] = 0.0
        amount, given, duration = steady[row, s, 0], steady[row, s, 1], steady[row, s, 2]
        lag, interval = steady[row, s, 3], steady[row, s, 4]
        for i in range(n):
            for lane in range(LANES):
                at = i * LANES + lane
                z[at] += steady_mode(lam[at], W[j * MODES * LANES + at], amount, given, duration, lag, interval)
                if not abs(z[at]) < 1e300:
                    status[twins[lane]] = ROOT_NOT_FOUND


@njit(error_model="numpy", cache=True)
def sample(n, tile, a, c, b, table, d):
    """One state of all lanes: the sum of its modes."""
    if n == 4:
        weighted_4(tile, a, c, b, table, d)
    elif n == 3:
        weighted_3(tile, a, c, b, table, d)
    elif n == 2:
        weighted_2(tile, a, c, b, table, d)
    elif n == 1:
        weighted_1(tile, a, c, b, table, d)
    else:
        weighted_5(tile, a, c, b, table, d)


@njit(error_model="numpy", cache=True)
def empty_tile(tile, flat, base, used, outputs, samples, first, last):
    """Lanes become rows again, in squares of eight samples where all are used; base[lane] is where a twin begins."""
    squares = (last - first) // LANES if used == LANES else 0
    for o in range(outputs):
        to = o * samples + first
        for square in range(squares):
            lanes_to_rows(flat, base, to + square * LANES, tile, (o * TILE + square * LANES) * LANES)
        for lane in range(used):
            for s in range(squares * LANES, last - first):
                flat[base[lane] + to + s] = tile[(o * TILE + s) * LANES + lane]


@njit(error_model="numpy", cache=True)
def follow(row, kind, where, value, steady, gap, event_gap, block_first, block_gap, infused, wanted, n, oral,
           lam, V, W, z, f, c, cf, decays, left, tile, twins, base, used, flat, samples, status):  # fmt: skip
    """Carry the lanes through all events of one row of the schedule, writing samples on the way."""
    tabulate(lam, n, gap, row, decays, left, infused)
    z[:] = 0.0
    rate = np.zeros(2)
    running = False
    begun = 0  # first sample of the tile
    for block in range(kind.shape[1] + 1):
        if block > 0:
            e = block - 1
            g = event_gap[row, e]
            if g >= 0:
                for i in range(n):
                    product(z, i * LANES, z, i * LANES, decays, (g * MODES + i) * LANES)
                if running:
                    for i in range(n):
                        add_product(z, i * LANES, f, i * LANES, left, (g * MODES + i) * LANES)
            what = kind[row, e]
            act(what, where[row, e], value[row, e], steady, row, n, oral, lam, V, W, z, rate, status, twins)
            if what != BOLUS and what != NOTHING:
                running = rate[0] != 0.0 or rate[1] != 0.0
                f[:] = 0.0
                for i in range(n):
                    for j in range(2):
                        add_scaled(f, i * LANES, W, (j * MODES + i) * LANES, rate[j])
        first, last = block_first[row, block], block_first[row, block + 1]
        if last <= first:
            continue
        for o in range(wanted.size):
            for i in range(n):
                at, of = (o * MODES + i) * LANES, (wanted[o] * MODES + i) * LANES
                product(c, at, V, of, z, i * LANES)
                if running:
                    product(cf, at, V, of, f, i * LANES)
        for s in range(first, last):
            if s - begun == TILE:
                empty_tile(tile, flat, base, used, wanted.size, samples, begun, s)
                begun = s
            at = (block_gap[row, block] + s - first) * MODES * LANES
            for o in range(wanted.size):
                place, of = (o * TILE + s - begun) * LANES, o * MODES * LANES
                sample(n, tile, place, c, of, decays, at)
                if running:
                    for i in range(n):
                        add_product(tile, place, cf, of + i * LANES, left, at + i * LANES)
    empty_tile(tile, flat, base, used, wanted.size, samples, begun, samples)


@njit(error_model="numpy", nogil=True, cache=True)
def run(p, peripherals, oral, effect, kind, where, value, steady, gap, event_gap, block_first, block_gap,
        infused, wanted, out, status):  # fmt: skip
    """Fill out (twin, output, sample) for every twin whose status is COMPLETED; near-equal rates become GUARDED.

    The arrays of events and gaps have one row, shared by all twins, or one a twin; `wanted` are the states to write.
    """
    n = peripherals + 1 + oral + effect
    lanes = LANES if kind.shape[0] == 1 else 1
    lam1, V1, W1 = np.zeros(MODES), np.zeros((MODES, MODES)), np.zeros((MODES, 2))
    # Flat, lanes last: lam, z, f (mode), V, c, cf (state, mode), W (compartment, mode), decays, left (gap, mode).
    lam, z, f = np.zeros(MODES * LANES), np.zeros(MODES * LANES), np.zeros(MODES * LANES)
    V, W = np.zeros(MODES * MODES * LANES), np.zeros(2 * MODES * LANES)
    c, cf = np.zeros(MODES * MODES * LANES), np.zeros(MODES * MODES * LANES)
    decays = np.zeros(gap.shape[1] * MODES * LANES)
    left = np.zeros(gap.shape[1] * MODES * LANES if infused else 1)
    tile = np.zeros(wanted.size * TILE * LANES)
    twins, base = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    samples = out.shape[2]
    flat = out.reshape(-1)
    used = 0
    for k in range(p.shape[0]):
        if status[k] == COMPLETED:
            if modes(p[k], peripherals, oral, effect, lam1, V1, W1) <= LARGEST:
                for lane in range(used, LANES if used == 0 else used + 1):  # the first one fills the idle lanes as well
                    twins[lane], base[lane] = k, k * wanted.size * samples
                    for i in range(n):
                        lam[i * LANES + lane] = lam1[i]
                        for j in range(2):
                            W[(j * MODES + i) * LANES + lane] = W1[i, j]
                        for o in range(n):
                            V[(o * MODES + i) * LANES + lane] = V1[o, i]
                used += 1
            else:
                status[k] = GUARDED
        if used == lanes or (used > 0 and k == p.shape[0] - 1):
            follow(
                k if lanes == 1 else 0, kind, where, value, steady, gap, event_gap, block_first, block_gap, infused,
                wanted, n, oral, lam, V, W, z, f, c, cf, decays, left, tile, twins, base, used, flat, samples, status,
            )  # fmt: skip
            used = 0
