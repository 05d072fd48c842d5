"""One person's weeks: meals, boluses, rescues, sensor and pump, tick by tick; compiled beside the equations.

Every random draw is keyed by its slot (day and meal, three-hour block, sensor node), never by a running count, so that
two arms of a twin meet the same meals, forget the same boluses and read the same sensor error.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ...engine.kernel.random import normal, uniform
from ...engine.kernel.rhs import STATES
from ...engine.kernel.tsit5 import COMPLETED, WORK_ROWS, advance
from .controllers import (
    BASAL_MAX,
    BASAL_STEP,
    BOLUS_MAX,
    BOLUS_STEP,
    HYBRID_CLOSED_LOOP,
    IOB_DECAY,
    IOB_MINUTES,
    OPEN_LOOP,
    READINGS,
    TICK,
    basal_factor,
    correction,
    quantised,
    slope,
)
from .sensor import NODE_MINUTES, between, deviation, next_node, shown

OUT_OF_RANGE = 7  # models.model.Status
DAY = 1440.0
TICKS_A_DAY = 288
TICKS_A_BLOCK = 36  # three hours: sensitivity and use of the automation
TICKS_A_GAP = 24  # two hours: sensor without readings
SILENCE = 20.0  # min without a reading after which nobody acts on the last one
GP, GS, EATEN, SOLID, LIQUID = 3, 12, 13, 0, 1  # states of the equations
CARBS, INSULIN, SENSITIVITY = 0, 1, 2  # inputs of the equations
PMOL_PER_UNIT = 6000.0
EATING = 5000.0  # mg/min
WAKE, SLEEP = 420.0, 1380.0  # minute of the day between which a person acts on a high reading
MEALS = 6
NO_SAMPLES = np.empty(0)
VG = 8  # parameter of the equations

# Places in `now`, what a person carries from tick to tick: insulin on board (two compartments, U), minutes of the last
# rescue, bolus and automatic correction, end of eating, number and minute of the next meal, effect of insulin in this
# block, whether the automation is in use, whether the sensor is silent, consecutive readings had and missed.
(
    IOB1, IOB2, LAST_RESCUE, LAST_BOLUS, LAST_CORRECTION, EATING_UNTIL, MEAL, MEAL_AT, LEVEL, IN_USE, SILENT, KNOWN,
    MISSED, NODE,
) = range(14)  # fmt: skip

# Rows of `keys`: one purpose each.
(
    K_SENSOR, K_GAP, K_MEAL_SIZE, K_MEAL_TIME, K_MISSED, K_SNACK_MISSED, K_ESTIMATE,
    K_DAY, K_BLOCK, K_IN_USE, K_BASAL_ERROR, K_CR_ERROR,
) = range(12)  # fmt: skip
PURPOSES = (
    "t1d.sensor.error", "t1d.sensor.gap", "t1d.meal.size", "t1d.meal.time", "t1d.bolus.missed",
    "t1d.bolus.snack-missed", "t1d.carbs.estimate", "t1d.sensitivity.day", "t1d.sensitivity.block", "t1d.in-use",
    "t1d.programmed.basal", "t1d.programmed.cr",
)  # fmt: skip


class Behaviour(NamedTuple):
    """How a person lives with the pump; see `model.Settings` for units and provenance."""

    meal_scale: float
    meal_cv: float
    meal_jitter: float
    missed: float
    snack_missed: float
    estimate_bias: float
    estimate_sd: float
    basal_bias: float
    basal_sd: float
    cr_sd: float
    day_sd: float
    block_sd: float
    circadian: float
    circadian_peak: float
    rescue_below: float
    rescue_grams: float
    rescue_wait: float
    symptoms_below: float
    correct_high_above: float
    correct_high_wait: float
    sensor_error: float
    sensor_gap: float
    lowest: float
    highest: float


class Device(NamedTuple):
    """Controller of one arm; see `model.Treatment` for units and provenance."""

    horizon: float
    suspend_below: float
    stop_at: float
    reduce_below: float
    increase_above: float
    gain: float
    highest_factor: float
    correct_above: float
    correction_share: float
    correction_target: float
    correction_wait: float
    cf_factor: float
    bolus_target: float


@njit(error_model="numpy", cache=True)
def bounded_normal(key, twin, index):
    """A standard normal held within two: no day without meals at night, none with a tenth of the insulin's effect."""
    return min(max(normal(key, twin, index), -2.0), 2.0)


@njit(error_model="numpy", cache=True)
def plan_meal(now, keys, twin, meal_minutes, b):
    """Set the minute of the meal whose number stands in `now`."""
    meal = int(now[MEAL])
    jitter = b.meal_jitter * bounded_normal(keys[K_MEAL_TIME], twin, meal)
    now[MEAL_AT] = (meal // MEALS) * DAY + meal_minutes[meal % MEALS] + jitter


@njit(error_model="numpy", cache=True)
def begin(keys, twin, meal_minutes, b):
    """`now`, and at midnight of the first day the sensor's four error nodes (mg/dL) with the last one's state."""
    now = np.zeros(14)
    now[LAST_RESCUE] = now[LAST_BOLUS] = now[LAST_CORRECTION] = -1e9
    plan_meal(now, keys, twin, meal_minutes, b)
    nodes = np.zeros(5)
    nodes[0] = deviation(0.0)
    for i in range(1, 4):
        nodes[4] = next_node(nodes[4], keys[K_SENSOR], twin, i)
        nodes[i] = deviation(nodes[4])
    return now, nodes


@njit(error_model="numpy", cache=True)
def turn_blocks(now, keys, twin, tick, in_use, b):
    """Each three hours another effect of insulin and use of the automation, each two perhaps a silent sensor."""
    if tick % TICKS_A_BLOCK == 0:
        block = tick // TICKS_A_BLOCK
        day = b.day_sd * bounded_normal(keys[K_DAY], twin, tick // TICKS_A_DAY)
        now[LEVEL] = math.exp(day + b.block_sd * bounded_normal(keys[K_BLOCK], twin, block))
        now[IN_USE] = 1.0 if uniform(keys[K_IN_USE], twin, block) < in_use else 0.0
    if tick % TICKS_A_GAP == 0:
        now[SILENT] = 1.0 if uniform(keys[K_GAP], twin, tick // TICKS_A_GAP) < b.sensor_gap else 0.0


@njit(error_model="numpy", cache=True)
def rescue(now, t, reading, plasma, b):
    """Grams of sugar taken when the sensor shows a low, or when it is felt."""
    low = (now[KNOWN] > 0.0 and reading < b.rescue_below) or plasma < b.symptoms_below
    if low and t - now[LAST_RESCUE] >= b.rescue_wait:
        now[LAST_RESCUE] = t
        return b.rescue_grams
    return 0.0


@njit(error_model="numpy", cache=True)
def meal(now, keys, twin, t, reading, on_board, cr, cf, meal_grams, meal_minutes, b, device):
    """A meal that begins in this tick: (grams, bolus the person gives for it, minute); plans the next one."""
    number = int(now[MEAL])
    at = max(now[MEAL_AT], t)
    sd = math.sqrt(math.log(1.0 + b.meal_cv * b.meal_cv))
    size = math.exp(sd * normal(keys[K_MEAL_SIZE], twin, number) - 0.5 * sd * sd)
    grams = meal_grams[number % MEALS] * b.meal_scale * size
    forgotten = uniform(keys[K_MISSED], twin, number) < b.missed
    if number % 2 == 1 and uniform(keys[K_SNACK_MISSED], twin, number) < b.snack_missed:
        forgotten = True
    bolus = 0.0
    if not forgotten:
        bolus = grams * b.estimate_bias * math.exp(b.estimate_sd * normal(keys[K_ESTIMATE], twin, number)) / cr
        if now[KNOWN] > 0.0:
            bolus += max((reading - device.bolus_target) / cf - on_board, 0.0)
        now[LAST_BOLUS] = t
    now[MEAL] += 1.0
    plan_meal(now, keys, twin, meal_minutes, b)
    return grams, bolus, at


@njit(error_model="numpy", cache=True)
def correction_by_hand(now, t, minute, reading, on_board, cf, b, device):
    """Bolus (U) for a high reading by a person who is awake, not on top of a recent bolus."""
    awake = WAKE <= minute < SLEEP
    free = t - max(now[LAST_BOLUS], now[LAST_CORRECTION]) >= b.correct_high_wait
    if awake and free and now[KNOWN] > 0.0 and reading > b.correct_high_above:
        now[LAST_BOLUS] = t
        return max((reading - device.bolus_target) / cf - on_board, 0.0)
    return 0.0


@njit(error_model="numpy", cache=True)
def automation(now, t, controller, readings, on_board, cf, device):
    """(factor on the basal profile, automatic correction in U); (1, 0) without a sensor or out of use."""
    usable = controller != OPEN_LOOP and now[IN_USE] > 0.0 and now[KNOWN] > 0.0
    if not usable:
        return 1.0, 0.0
    reading = readings[READINGS - 1]
    predicted = reading + slope(readings, min(int(now[KNOWN]), READINGS)) * device.horizon
    factor = basal_factor(controller, reading, predicted, device)
    waited = t - max(now[LAST_CORRECTION], now[LAST_BOLUS]) >= device.correction_wait
    if controller == HYBRID_CLOSED_LOOP and predicted >= device.correct_above and factor > 1.0 and waited:
        extra = correction(reading, on_board, cf, device)
        if extra >= BOLUS_STEP:
            now[LAST_CORRECTION] = t
            return factor, extra
    return factor, 0.0


@njit(error_model="numpy", cache=True)
def deliver(now, basal, profile, bolus):
    """Units given in this tick. Insulin on board counts what exceeds the profile; a suspended pump takes from it."""
    over = bolus + (basal - profile) * TICK / 60.0
    now[IOB1] += over
    now[IOB2] = (now[IOB2] + now[IOB1] * TICK / IOB_MINUTES) * IOB_DECAY
    now[IOB1] *= IOB_DECAY
    return basal * TICK / 60.0 + bolus


@njit(error_model="numpy", cache=True)
def metabolise(now, y, p, u, t, end, grams, meal_at, work, memory, nothing, solver):
    """Carry the body to the end of the tick, landing on the start and the end of eating; (minute, status)."""
    status = COMPLETED
    while t < end:
        stop = end
        if grams > 0.0 and meal_at <= t:
            if t >= now[EATING_UNTIL]:
                y[EATEN] = y[SOLID] + y[LIQUID]
                now[EATING_UNTIL] = t
            now[EATING_UNTIL] += grams * 1000.0 / EATING
            grams = 0.0
            memory[0] = min(memory[0], 1.0)
        elif grams > 0.0:
            stop = min(stop, meal_at)
        eats = t < now[EATING_UNTIL]
        u[CARBS] = EATING if eats else 0.0
        if eats:
            stop = min(stop, now[EATING_UNTIL])
        t, _, status = advance(
            t, stop, y, p, u, work, memory, NO_SAMPLES, nothing, 0, 0, solver[0], solver[1], solver[2]
        )
        if status != COMPLETED:
            break
    return t, status


@njit(error_model="numpy", cache=True)
def sense(now, nodes, keys, twin, end, interstitial, readings, b):
    """The sensor's reading at the end of a tick (mg/dL, NaN while silent), and the memory of readings."""
    if end >= (now[NODE] + 1.0) * NODE_MINUTES:
        now[NODE] += 1.0
        nodes[0], nodes[1], nodes[2] = nodes[1], nodes[2], nodes[3]
        nodes[4] = next_node(nodes[4], keys[K_SENSOR], twin, int(now[NODE]) + 3)
        nodes[3] = deviation(nodes[4])
    if now[SILENT] > 0.0:
        now[MISSED] += 1.0
        if now[MISSED] * TICK > SILENCE:
            now[KNOWN] = 0.0
        return math.nan
    part = end / NODE_MINUTES - now[NODE]
    error = between(nodes[0], nodes[1], nodes[2], nodes[3], part)
    for i in range(READINGS - 1):
        readings[i] = readings[i + 1]
    readings[READINGS - 1] = shown(interstitial + b.sensor_error * error)
    now[KNOWN] = 1.0 if now[MISSED] > 0.0 else now[KNOWN] + 1.0
    now[MISSED] = 0.0
    return readings[READINGS - 1]


@njit(error_model="numpy", cache=True)
def live(
    y,
    p,
    u,
    twin,
    therapy,
    keys,
    meal_grams,
    meal_minutes,
    controller,
    run_in,
    ticks,
    in_use,
    b,
    device,
    solver,
    cgm,
    glucose,
    insulin,
):
    """Follow one twin for `ticks` five-minute ticks from midnight; outputs hold the value at the end of each tick.

    `therapy` is basal need (U/h), carbohydrate ratio (g/U), correction factor (mg/dL/U) and body weight (kg); `solver`
    is rtol, atol and the step limit. Before `run_in` (ticks) every arm is on open-loop therapy. Returns (status,
    minute reached).
    """
    need, cf, weight = therapy[0], therapy[2], therapy[3]
    programmed = need * b.basal_bias * math.exp(b.basal_sd * normal(keys[K_BASAL_ERROR], twin, 0))
    profile = quantised(programmed, BASAL_STEP, BASAL_MAX)
    cr = therapy[1] * math.exp(b.cr_sd * normal(keys[K_CR_ERROR], twin, 0))
    work, memory, readings = np.empty((WORK_ROWS, STATES)), np.zeros(3), np.zeros(READINGS)
    nothing = np.empty((1, 0, STATES))  # readings are taken at the ends of ticks: no samples on the way
    now, nodes = begin(keys, twin, meal_minutes, b)
    for tick in range(ticks):
        t, end = tick * TICK, (tick + 1) * TICK
        minute = t - (tick // TICKS_A_DAY) * DAY
        turn_blocks(now, keys, twin, tick, in_use, b)
        phase = 2.0 * math.pi * (minute / DAY - b.circadian_peak / 24.0)
        u[SENSITIVITY] = now[LEVEL] * (1.0 + b.circadian * math.cos(phase))

        reading, plasma, on_board = readings[READINGS - 1], y[GP] / p[VG], max(now[IOB1] + now[IOB2], 0.0)
        grams, bolus, meal_at = rescue(now, t, reading, plasma, b), 0.0, -1.0
        if now[MEAL_AT] < end:
            eaten, bolus, meal_at = meal(
                now, keys, twin, t, reading, on_board, cr, cf, meal_grams, meal_minutes, b, device
            )
            grams += eaten
        if bolus == 0.0:
            bolus = correction_by_hand(now, t, minute, reading, on_board, cf, b, device)
        mode = controller if tick >= run_in else OPEN_LOOP
        factor, extra = automation(now, t, mode, readings, on_board, cf, device)
        basal = quantised(profile * factor, BASAL_STEP, BASAL_MAX)
        given = deliver(now, basal, profile, quantised(bolus + extra, BOLUS_STEP, BOLUS_MAX))
        u[INSULIN] = given / TICK * PMOL_PER_UNIT / weight

        t, status = metabolise(now, y, p, u, t, end, grams, meal_at, work, memory, nothing, solver)
        if status != COMPLETED:
            return status, t
        glucose[tick], insulin[tick] = y[GP] / p[VG], given
        if not b.lowest <= y[GP] / p[VG] <= b.highest:
            return OUT_OF_RANGE, t
        cgm[tick] = sense(now, nodes, keys, twin, end, y[GS] / p[VG], readings, b)
    return COMPLETED, ticks * TICK


@njit(error_model="numpy", nogil=True, cache=True)
def live_all(
    y,
    p,
    inputs,
    ids,
    therapy,
    keys,
    meal_grams,
    meal_minutes,
    controller,
    run_in,
    ticks,
    in_use,
    b,
    device,
    solver,
    cgm,
    glucose,
    insulin,
    status,
    failed_at,
):
    """`live` for every row; a failed row's outputs are NaN from its first tick on."""
    for k in range(y.shape[0]):
        status[k], minute = live(
            y[k], p[k], inputs[k], ids[k], therapy[k], keys, meal_grams, meal_minutes, controller, run_in, ticks,
            in_use, b, device, solver, cgm[k], glucose[k], insulin[k],
        )  # fmt: skip
        if status[k] != COMPLETED:
            failed_at[k] = minute
            cgm[k, :] = math.nan
            glucose[k, :] = math.nan
            insulin[k, :] = math.nan
