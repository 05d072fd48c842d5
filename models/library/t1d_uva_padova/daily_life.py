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
GP, GS, EATEN, SOLID, LIQUID = 3, 12, 13, 0, 1  # states of the equations
CARBS, INSULIN, SENSITIVITY = 0, 1, 2  # inputs of the equations
PMOL_PER_UNIT = 6000.0
EATING = 5000.0  # mg/min
MEALS = 6
NO_SAMPLES = np.empty(0)

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
def live(y, p, u, twin, therapy, keys, meal_grams, meal_minutes, controller, run_in, ticks, in_use, b, device, rtol, atol, max_steps, cgm, glucose, insulin):  # type: ignore[no-untyped-def]
    """Follow one twin for `ticks` five-minute ticks from midnight; outputs hold the value at the end of each tick.

    `therapy` is basal need (U/h), carbohydrate ratio (g/U), correction factor (mg/dL/U) and body weight (kg). Before
    `run_in` (ticks) every arm is on open-loop therapy. Returns (status, minute reached).
    """
    need, cr_true, cf, weight = therapy[0], therapy[1], therapy[2], therapy[3]
    profile = quantised(need * b.basal_bias * math.exp(b.basal_sd * normal(keys[K_BASAL_ERROR], twin, 0)), BASAL_STEP, BASAL_MAX)
    cr = cr_true * math.exp(b.cr_sd * normal(keys[K_CR_ERROR], twin, 0))
    work = np.empty((WORK_ROWS, STATES))
    memory = np.zeros(3)
    readings = np.zeros(READINGS)
    volume = p[8]  # Vg
    nodes = np.zeros(4)  # autoregressive states of the sensor error around the present
    for i in range(1, 4):
        nodes[i] = next_node(nodes[i - 1], keys[K_SENSOR], twin, i)
    node = 0
    known, missing = 0, 0  # consecutive readings in hand; consecutive readings missing
    iob1, iob2 = 0.0, 0.0
    last_rescue, last_bolus, last_correction = -1e9, -1e9, -1e9
    eating_until = -1.0
    slot, planned, at = 0, -1, 0.0
    no_out = np.empty((1, 0, STATES))
    decay = math.exp(-TICK / IOB_MINUTES)
    block, level, in_automation, gap = 0, 1.0, True, False
    for tick in range(ticks):
        t = tick * TICK
        day = tick // TICKS_A_DAY
        minute = t - day * DAY
        end = t + TICK
        active = controller if tick >= run_in else OPEN_LOOP

        if tick % TICKS_A_BLOCK == 0:
            block = tick // TICKS_A_BLOCK
            level = math.exp(
                b.day_sd * normal(keys[K_DAY], twin, day) + b.block_sd * normal(keys[K_BLOCK], twin, block)
            )
            in_automation = uniform(keys[K_IN_USE], twin, block) < in_use
        if tick % TICKS_A_GAP == 0:
            gap = uniform(keys[K_GAP], twin, tick // TICKS_A_GAP) < b.sensor_gap
        phase = 2.0 * math.pi * (minute / DAY - b.circadian_peak / 24.0)
        u[SENSITIVITY] = level * (1.0 + b.circadian * math.cos(phase))

        # Low glucose: sugar when the sensor shows it, or when it is felt.
        reading = readings[READINGS - 1] if known > 0 else math.nan
        plasma = y[GP] / volume
        low = (known > 0 and reading < b.rescue_below) or plasma < b.symptoms_below
        rescue = low and t - last_rescue >= b.rescue_wait
        grams = 0.0
        if rescue:
            last_rescue = t
            grams = b.rescue_grams
        meal_time = -1.0
        bolus = 0.0
        on_board = max(iob1 + iob2, 0.0)

        # A meal of this tick: its size, and the bolus that the person gives for it, or forgets.
        if slot < MEALS * (day + 1):
            which = slot % MEALS
            if planned < slot:
                jitter = min(max(normal(keys[K_MEAL_TIME], twin, slot), -2.0), 2.0) * b.meal_jitter
                at = (slot // MEALS) * DAY + meal_minutes[which] + jitter
                planned = slot
            if at < end:
                sd = math.sqrt(math.log(1.0 + b.meal_cv * b.meal_cv))
                size = meal_grams[which] * b.meal_scale * math.exp(sd * normal(keys[K_MEAL_SIZE], twin, slot) - 0.5 * sd * sd)
                missed = uniform(keys[K_MISSED], twin, slot) < b.missed
                if which % 2 == 1 and uniform(keys[K_SNACK_MISSED], twin, slot) < b.snack_missed:
                    missed = True
                if not missed:
                    guess = size * b.estimate_bias * math.exp(b.estimate_sd * normal(keys[K_ESTIMATE], twin, slot))
                    bolus = guess / cr
                    if known > 0:
                        bolus += max((reading - device.bolus_target) / cf - on_board, 0.0)
                    last_bolus = t
                meal_time = max(at, t)
                grams += size
                slot += 1

        # The controller: profile basal rate times its factor, and an automatic correction.
        factor = 1.0
        if active != OPEN_LOOP and in_automation and known > 0 and missing * TICK <= 20.0:
            predicted = reading + slope(readings, min(known, READINGS)) * device.horizon
            factor = basal_factor(active, reading, predicted, device)
            if active == HYBRID_CLOSED_LOOP and predicted >= device.correct_above and factor > 1.0:
                if t - last_correction >= device.correction_wait and t - last_bolus >= device.correction_wait:
                    extra = correction(reading, on_board, cf, device)
                    if extra >= BOLUS_STEP:
                        bolus += extra
                        last_correction = t
        basal = quantised(profile * factor, BASAL_STEP, BASAL_MAX)
        bolus = quantised(bolus, BOLUS_STEP, BOLUS_MAX)
        given = basal * TICK / 60.0 + bolus
        u[INSULIN] = given / TICK * PMOL_PER_UNIT / weight
        # Insulin on board counts what exceeds the profile; a suspended pump takes from it.
        iob1 += bolus + (basal - profile) * TICK / 60.0
        iob1, iob2 = iob1 * decay, (iob2 + iob1 * TICK / IOB_MINUTES) * decay

        # The body, landing on the start and the end of eating.
        status = COMPLETED
        while t < end:
            stop = end
            if grams > 0.0 and meal_time <= t:
                if t >= eating_until:
                    y[EATEN] = y[SOLID] + y[LIQUID]
                    eating_until = t
                eating_until += grams * 1000.0 / EATING
                grams = 0.0
                memory[0] = min(memory[0], 1.0)
            elif grams > 0.0:
                stop = min(stop, meal_time)
            u[CARBS] = EATING if t < eating_until else 0.0
            if t < eating_until:
                stop = min(stop, eating_until)
            t, _, status = advance(t, stop, y, p, u, work, memory, NO_SAMPLES, no_out, 0, 0, rtol, atol, max_steps)
            if status != COMPLETED:
                return status, t
        plasma = y[GP] / volume
        if not b.lowest <= plasma <= b.highest:
            return OUT_OF_RANGE, t

        # The sensor at the end of the tick.
        if end >= (node + 1) * NODE_MINUTES:
            node += 1
            nodes[0], nodes[1], nodes[2] = nodes[1], nodes[2], nodes[3]
            nodes[3] = next_node(nodes[2], keys[K_SENSOR], twin, node + 3)
        part = end / NODE_MINUTES - node
        error = b.sensor_error * between(deviation(nodes[0]), deviation(nodes[1]), deviation(nodes[2]), deviation(nodes[3]), part)
        if gap:
            cgm[tick] = math.nan
            missing += 1
            if missing * TICK > 20.0:
                known = 0
        else:
            cgm[tick] = shown(y[GS] / volume + error)
            for i in range(READINGS - 1):
                readings[i] = readings[i + 1]
            readings[READINGS - 1] = cgm[tick]
            known = 1 if missing > 0 else known + 1
            missing = 0
        glucose[tick] = plasma
        insulin[tick] = given
    return COMPLETED, ticks * TICK


@njit(error_model="numpy", nogil=True, cache=True)
def live_all(y, p, inputs, ids, therapy, keys, meal_grams, meal_minutes, controller, run_in, ticks, in_use, b, device, rtol, atol, max_steps, cgm, glucose, insulin, status, failed_at):  # type: ignore[no-untyped-def]
    """`live` for every row; a failed row's outputs are NaN from its first tick on."""
    for k in range(y.shape[0]):
        code, minute = live(
            y[k], p[k], inputs[k], ids[k], therapy[k], keys, meal_grams, meal_minutes, controller, run_in, ticks,
            in_use, b, device, rtol, atol, max_steps, cgm[k], glucose[k], insulin[k],
        )  # fmt: skip
        status[k] = code
        if code != COMPLETED:
            failed_at[k] = minute
            cgm[k, :] = math.nan
            glucose[k, :] = math.nan
            insulin[k, :] = math.nan
