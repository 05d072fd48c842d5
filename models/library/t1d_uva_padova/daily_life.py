"""One person's weeks: meals, boluses, rescues, sensor and pump, tick by tick; compiled beside the engine's loop.

Every random draw is keyed by its slot (day and meal, three-hour block, sensor node), never by a running count, so that
two arms of a twin meet the same meals, forget the same boluses and read the same sensor error.

The engine calls `begin`, `serve` and `leave`, at the end of this file; `engine.kernel.device` says when.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ...engine.kernel.driver import COMPLETED, STATUS, STEPS, STOP, TIME, WANTED
from ...engine.kernel.random import normal, uniform
from ...engine.kernel.rows import P, U, Y
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
PMOL_PER_UNIT = 6000.0
EATING = 5000.0  # mg/min
WAKE, SLEEP = 420.0, 1380.0  # minute of the day between which a person acts on a high reading
MEALS = 6
LONG_AGO = -1e9  # min

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


def _fields(kind, names):
    return [(name, kind) for name in names.split()]


# How a person lives with the pump; see `model.Settings` for units and provenance.
BEHAVIOUR = np.dtype(
    _fields(
        np.float64,
        "meal_scale meal_cv meal_jitter missed snack_missed estimate_bias estimate_sd basal_bias basal_sd cr_sd day_sd "
        "block_sd rescue_below rescue_grams rescue_wait symptoms_below correct_high_above correct_high_wait "
        "sensor_error sensor_gap lowest highest",
    )
)

# Controller of one arm; see `model.Treatment` for units and provenance. `in_use` is the share of blocks.
DEVICE = np.dtype(
    _fields(
        np.float64,
        "horizon suspend_below stop_at reduce_below increase_above gain highest_factor correct_above correction_share "
        "correction_target correction_wait cf_factor bolus_target in_use",
    )
    + _fields(np.int64, "controller")
)

# What a person carries from tick to tick: identity and therapy (basal need and programmed profile in U/h, carbohydrate
# ratio in g/U, correction factor in mg/dL/U, body weight in kg); insulin on board (two compartments, U); minutes of the
# last rescue, bolus and automatic correction; grams not yet begun in this tick, minutes of their beginning and of the
# end of eating; number and minute of the next meal; effect of insulin and use of the automation in this block; insulin
# given in this tick (U); whether the sensor is silent, its readings had and missed in a row, the last ones (mg/dL), and
# its four error nodes (mg/dL) with the number of the second and the state of the last; how it ended, when (min), after
# how many steps of the solver.
PERSON = np.dtype(
    _fields(
        np.float64,
        "need cr cf weight profile iob1 iob2 last_rescue last_bolus last_correction grams eats_at eats_until "
        "next_meal_at level given node_state ended_at",
    )
    + _fields(np.int64, "id tick next_meal in_use silent known missed node status steps")
    + [("nodes", np.float64, (4,)), ("readings", np.float64, (READINGS,))]
)


# What all twins of an arm share: keys of the purposes, minute of the day and grams of each meal, factor on the effect
# of insulin at each tick of a day, ticks before which every arm is on open loop, ticks to follow.
PLAN = np.dtype(
    [
        ("behaviour", BEHAVIOUR),
        ("device", DEVICE),
        ("keys", np.uint64, (len(PURPOSES), 2)),
        ("meals", np.float64, (MEALS, 2)),
        ("circadian", np.float64, (TICKS_A_DAY,)),
        ("run_in", np.int64),
        ("ticks", np.int64),
    ]
)


class World(NamedTuple):
    """One record of `PLAN`, records (twin,) of `PERSON`, and what is measured at the end of each tick.

    `readings` (3, twin, tick) are sensor glucose and plasma glucose (mg/dL) and the insulin given (U).
    """

    plan: np.ndarray
    people: np.ndarray
    readings: np.ndarray


@njit(error_model="numpy", cache=True)
def bounded_normal(key, twin, index):
    """A standard normal held within two: no day without meals at night, none with a tenth of the insulin's effect."""
    return min(max(normal(key, twin, index), -2.0), 2.0)


@njit(error_model="numpy", cache=True)
def plan_meal(now, plan):
    """Set the minute of the next meal."""
    number = now.next_meal
    jitter = plan.behaviour.meal_jitter * bounded_normal(plan.keys[K_MEAL_TIME], now.id, number)
    now.next_meal_at = (number // MEALS) * DAY + plan.meals[number % MEALS, 0] + jitter


@njit(error_model="numpy", cache=True)
def turn_blocks(now, plan):
    """Each three hours another effect of insulin and use of the automation, each two perhaps a silent sensor."""
    tick, keys, b = now.tick, plan.keys, plan.behaviour
    if tick % TICKS_A_BLOCK == 0:
        block = tick // TICKS_A_BLOCK
        day = b.day_sd * bounded_normal(keys[K_DAY], now.id, tick // TICKS_A_DAY)
        now.level = math.exp(day + b.block_sd * bounded_normal(keys[K_BLOCK], now.id, block))
        now.in_use = uniform(keys[K_IN_USE], now.id, block) < plan.device.in_use
    if tick % TICKS_A_GAP == 0:
        now.silent = uniform(keys[K_GAP], now.id, tick // TICKS_A_GAP) < b.sensor_gap


@njit(error_model="numpy", cache=True)
def rescue(now, t, reading, plasma, b):
    """Grams of sugar taken when the sensor shows a low, or when it is felt."""
    low = (now.known > 0 and reading < b.rescue_below) or plasma < b.symptoms_below
    if low and t - now.last_rescue >= b.rescue_wait:
        now.last_rescue = t
        return b.rescue_grams
    return 0.0


@njit(error_model="numpy", cache=True)
def meal(now, t, reading, on_board, plan):
    """A meal that begins in this tick: (grams, bolus the person gives for it); plans the next one."""
    number, keys, b = now.next_meal, plan.keys, plan.behaviour
    sd = math.sqrt(math.log(1.0 + b.meal_cv * b.meal_cv))
    size = math.exp(sd * normal(keys[K_MEAL_SIZE], now.id, number) - 0.5 * sd * sd)
    grams = plan.meals[number % MEALS, 1] * b.meal_scale * size
    forgotten = uniform(keys[K_MISSED], now.id, number) < b.missed
    if number % 2 == 1 and uniform(keys[K_SNACK_MISSED], now.id, number) < b.snack_missed:
        forgotten = True
    bolus = 0.0
    if not forgotten:
        bolus = grams * b.estimate_bias * math.exp(b.estimate_sd * normal(keys[K_ESTIMATE], now.id, number)) / now.cr
        if now.known > 0:
            bolus += max((reading - plan.device.bolus_target) / now.cf - on_board, 0.0)
        now.last_bolus = t
    now.next_meal += 1
    plan_meal(now, plan)
    return grams, bolus


@njit(error_model="numpy", cache=True)
def correction_by_hand(now, t, reading, on_board, plan):
    """Bolus (U) for a high reading by a person who is awake, not on top of a recent bolus."""
    b = plan.behaviour
    awake = WAKE <= now.tick % TICKS_A_DAY * TICK < SLEEP
    free = t - max(now.last_bolus, now.last_correction) >= b.correct_high_wait
    if awake and free and now.known > 0 and reading > b.correct_high_above:
        now.last_bolus = t
        return max((reading - plan.device.bolus_target) / now.cf - on_board, 0.0)
    return 0.0


@njit(error_model="numpy", cache=True)
def automation(now, t, on_board, plan):
    """(factor on the basal profile, automatic correction in U); (1, 0) in the run-in, without a sensor, out of use."""
    device = plan.device
    controller = device.controller if now.tick >= plan.run_in else OPEN_LOOP
    usable = controller != OPEN_LOOP and now.in_use > 0 and now.known > 0
    if not usable:
        return 1.0, 0.0
    reading = now.readings[READINGS - 1]
    predicted = reading + slope(now.readings, min(now.known, READINGS)) * device.horizon
    factor = basal_factor(controller, reading, predicted, device)
    waited = t - max(now.last_correction, now.last_bolus) >= device.correction_wait
    if controller == HYBRID_CLOSED_LOOP and predicted >= device.correct_above and factor > 1.0 and waited:
        extra = correction(reading, on_board, now.cf, device)
        if extra >= BOLUS_STEP:
            now.last_correction = t
            return factor, extra
    return factor, 0.0


@njit(error_model="numpy", cache=True)
def deliver(now, basal, bolus):
    """Units given in this tick. Insulin on board counts what exceeds the profile; a suspended pump takes from it."""
    over = bolus + (basal - now.profile) * TICK / 60.0
    now.iob1 += over
    now.iob2 = (now.iob2 + now.iob1 * TICK / IOB_MINUTES) * IOB_DECAY
    now.iob1 *= IOB_DECAY
    now.given = basal * TICK / 60.0 + bolus


@njit(error_model="numpy", cache=True)
def sense(now, end, interstitial, plan):
    """The sensor's reading at the end of a tick (mg/dL, NaN while silent), and the memory of readings."""
    nodes, readings = now.nodes, now.readings
    if end >= (now.node + 1) * NODE_MINUTES:
        now.node += 1
        nodes[0], nodes[1], nodes[2] = nodes[1], nodes[2], nodes[3]
        now.node_state = next_node(now.node_state, plan.keys[K_SENSOR], now.id, now.node + 3)
        nodes[3] = deviation(now.node_state)
    if now.silent > 0:
        now.missed += 1
        if now.missed * TICK > SILENCE:
            now.known = 0
        return math.nan
    error = between(nodes[0], nodes[1], nodes[2], nodes[3], end / NODE_MINUTES - now.node)
    for i in range(READINGS - 1):
        readings[i] = readings[i + 1]
    readings[READINGS - 1] = shown(interstitial + plan.behaviour.sensor_error * error)
    now.known = 1 if now.missed > 0 else now.known + 1
    now.missed = 0
    return readings[READINGS - 1]


@njit(error_model="numpy", cache=True)
def begin_tick(now, lane, block, plan):
    """What the person and the pump do at the beginning of a tick."""
    t = now.tick * TICK
    turn_blocks(now, plan)
    reading, plasma = now.readings[READINGS - 1], block[Y.Gp, lane] / block[P.Vg, lane]
    on_board = max(now.iob1 + now.iob2, 0.0)
    now.grams, now.eats_at, bolus = rescue(now, t, reading, plasma, plan.behaviour), t, 0.0
    if now.next_meal_at < t + TICK:
        now.eats_at = max(now.next_meal_at, t)
        eaten, bolus = meal(now, t, reading, on_board, plan)
        now.grams += eaten
    if bolus == 0.0:
        bolus = correction_by_hand(now, t, reading, on_board, plan)
    factor, extra = automation(now, t, on_board, plan)
    basal = quantised(now.profile * factor, BASAL_STEP, BASAL_MAX)
    deliver(now, basal, quantised(bolus + extra, BOLUS_STEP, BOLUS_MAX))
    block[U.insulin, lane] = now.given / TICK * PMOL_PER_UNIT / now.weight
    block[U.sensitivity, lane] = now.level * plan.circadian[now.tick % TICKS_A_DAY]


@njit(error_model="numpy", cache=True)
def eat(now, t, lane, block):
    """Begin, go on with or end eating at t, and stop the lane where that changes, at the latest at the tick's end."""
    stop = (now.tick + 1) * TICK
    if now.grams > 0.0 and now.eats_at <= t:
        if t >= now.eats_until:
            block[Y.eaten, lane] = block[Y.stomach_solid, lane] + block[Y.stomach_liquid, lane]
            now.eats_until = t
        now.eats_until += now.grams * 1000.0 / EATING
        now.grams = 0.0
        block[WANTED, lane] = min(block[WANTED, lane], 1.0)
    elif now.grams > 0.0:
        stop = min(stop, now.eats_at)
    eats = t < now.eats_until
    block[U.carbs, lane] = EATING if eats else 0.0
    block[STOP, lane] = min(stop, now.eats_until) if eats else stop


@njit(error_model="numpy", cache=True)
def end_tick(now, lane, k, block, plan, readings):
    """Keep what the tick has come to, and read the sensor; the body may have left the plausible range."""
    b, volume = plan.behaviour, block[P.Vg, lane]
    glucose = block[Y.Gp, lane] / volume
    if not b.lowest <= glucose <= b.highest:
        block[STATUS, lane] = OUT_OF_RANGE
        return
    end = (now.tick + 1) * TICK
    readings[0, k, now.tick] = sense(now, end, block[Y.Gs, lane] / volume, plan)
    readings[1, k, now.tick], readings[2, k, now.tick] = glucose, now.given
    now.tick += 1
    if now.tick == plan.ticks:
        block[STATUS, lane] = COMPLETED


@njit(error_model="numpy", cache=True)
def begin(lane, k, block, world):
    """Midnight of the first day: what is programmed, the sensor's first error nodes, the first meal."""
    now, plan = world.people[k], world.plan[0]
    keys, b = plan.keys, plan.behaviour
    once = np.int64(0)  # the only slot of what is programmed
    programmed = now.need * b.basal_bias * math.exp(b.basal_sd * normal(keys[K_BASAL_ERROR], now.id, once))
    now.profile = quantised(programmed, BASAL_STEP, BASAL_MAX)
    now.cr *= math.exp(b.cr_sd * normal(keys[K_CR_ERROR], now.id, once))
    now.last_rescue = now.last_bolus = now.last_correction = LONG_AGO
    plan_meal(now, plan)
    now.nodes[0] = deviation(0.0)
    for i in range(1, 4):
        now.node_state = next_node(now.node_state, keys[K_SENSOR], now.id, i)
        now.nodes[i] = deviation(now.node_state)
    begin_tick(now, lane, block, plan)
    eat(now, 0.0, lane, block)


@njit(error_model="numpy", cache=True)
def serve(lane, k, block, world):
    """The end of a tick and the beginning of the next, or the beginning or end of eating within a tick."""
    now, plan, t = world.people[k], world.plan[0], block[TIME, lane]
    if t >= (now.tick + 1) * TICK:
        end_tick(now, lane, k, block, plan, world.readings)
        if block[STATUS, lane] > 0.0:
            return
        begin_tick(now, lane, block, plan)
    eat(now, t, lane, block)


@njit(error_model="numpy", cache=True)
def leave(lane, k, block, world):
    """Why, when and after how many steps it ended; a failed twin's readings are NaN from the first on."""
    now, plan = world.people[k], world.plan[0]
    now.status, now.steps, now.ended_at = int(block[STATUS, lane]), int(block[STEPS, lane]), block[TIME, lane]
    if now.status != COMPLETED:
        for i in range(3):
            for tick in range(plan.ticks):
                world.readings[i, k, tick] = math.nan
