"""The public subjects stay at their basal state, react as measured elsewhere, and live reproducible weeks."""

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numba import njit

import twinarm.cohorts as cohorts
from twinarm.models.engine import Records, solve
from twinarm.models.engine.compile import cache_folder, compiled
from twinarm.models.engine.kernel.driver import take_steps
from twinarm.models.engine.lanes.equations import Program
from twinarm.models.engine.lanes.function import step_function
from twinarm.models.engine.reference import reference_solution
from twinarm.models.library.t1d_uva_padova import MODEL, sensor, subject
from twinarm.models.library.t1d_uva_padova.equations import SYSTEM
from twinarm.models.library.t1d_uva_padova.model import _MODULES, Settings, Treatment, _device, prepare
from twinarm.models.model import Conditions, Schedule, Status, Tolerance

TABLE = Path(cohorts.__file__).parent / "populations" / "data" / "t1d_public_30.csv"
MODEL_COLUMNS = (*subject.FREE, "BW")


def rows():
    with TABLE.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@pytest.fixture(scope="module")
def public():
    """Free parameters of the 30 subjects, in the order of the table (adolescents, adults, children)."""
    table = rows()
    return {name: np.array([float(row[name]) for row in table]) for name in MODEL_COLUMNS}


@pytest.fixture(scope="module")
def whole(public):
    return public | subject.identities(public)


@pytest.fixture(scope="module")
def adults(whole):
    return {name: value[10:20] for name, value in whole.items()}


@pytest.fixture(scope="module")
def twins(adults):
    free = {n: ("twin", adults[n]) for n in subject.FREE} | {"weight": ("twin", adults["BW"])}
    return MODEL.derive(xr.Dataset(free, coords={"twin": np.arange(10)}))


@pytest.mark.parametrize("name", ["m4", "m30", "kp1", "Gpb", "Gtb", "Vm0", "Ipb", "Ilb", "u2ss", "isc1ss", "isc2ss"])
def test_identities_reproduce_the_printed_columns(whole, name):
    printed = np.array([float(row[name]) for row in rows()])
    assert np.abs(whole[name] / printed - 1).max() < 5e-6


def test_the_basal_state_is_a_steady_state(whole):
    from types import SimpleNamespace

    state, parameters = subject.basal_state(whole), subject.parameter_matrix(whole)
    for k in range(30):
        y = SimpleNamespace(**dict(zip(SYSTEM.states, state[k], strict=True)))
        p = SimpleNamespace(**dict(zip(SYSTEM.parameters, parameters[k], strict=True)))
        u = SimpleNamespace(carbs=0.0, insulin=whole["u2ss"][k], sensitivity=1.0)
        assert np.abs(SYSTEM.rhs(0.0, y, p, u)).max() < 1e-13


def test_a_day_of_fasting_keeps_glucose_to_a_millionth(whole):
    inputs = np.column_stack([np.zeros(30), whole["u2ss"], np.ones(30)])
    found = solve(
        SYSTEM,
        subject.basal_state(whole),
        subject.parameter_matrix(whole),
        0.0,
        1440.0,
        tolerance=Tolerance(1e-10, 1e-10),
        inputs0=inputs,
    )
    glucose = found.y_end[:, SYSTEM.state("Gp")] / whole["Vg"]
    assert np.abs(glucose - whole["Gb"]).max() < 1e-6


def test_one_unit_lowers_glucose_as_measured_with_another_solver(adults):
    fall = subject.correction_factor(adults)
    assert fall.mean() == pytest.approx(18.0, abs=0.1) and fall.std(ddof=1) == pytest.approx(11.9, abs=0.1)


def test_a_meal_without_insulin_peaks_as_measured_with_another_solver(adults):
    glucose = subject.excursion(adults, 60.0, np.zeros(10), 600.0, every=1.0)
    assert glucose.max(axis=1).mean() == pytest.approx(257, abs=1)
    assert glucose.mean(axis=0).max() == pytest.approx(253, abs=1)


def test_the_carbohydrate_ratio_brings_glucose_back_at_five_hours(adults):
    ratio = subject.carbohydrate_ratio(adults)
    end = subject.excursion(adults, 60.0, 60.0 / ratio, 300.0, every=300.0)[:, -1]
    assert np.abs(end - adults["Gb"]).max() < 0.01


def test_meal_and_bolus_agree_with_scipy_at_1e_10(adults):
    """Largest error of glucose over two hours at the tolerance of a run (1e-6): under 1e-4 of its peak."""
    one = {name: value[:1] for name, value in adults.items()}
    basal = float(one["u2ss"][0])
    records = Records.empty(1, 4)
    records.time[0] = [0.0, 0.0, 1.0, 12.0]
    records.target[0] = [SYSTEM.input_target(n) for n in ("insulin", "carbs", "insulin", "carbs")]
    records.value[0] = [basal + 300.0, 5000.0, basal, 0.0]
    start, p = subject.basal_state(one), subject.parameter_matrix(one)
    inputs, times = np.array([[0.0, basal, 1.0]]), np.arange(0.0, 121.0, 5.0)
    found = solve(SYSTEM, start, p, 0.0, 120.0, records, times, Tolerance(1e-6, 1e-6), inputs)
    truth = reference_solution(SYSTEM, start[0], p[0], 0.0, 120.0, records, times, inputs[0])
    glucose = SYSTEM.state("Gp")
    assert np.abs(found.samples[0, :, glucose] - truth[:, glucose]).max() < 1e-4 * truth[:, glucose].max()


def test_every_gram_eaten_is_absorbed_or_still_in_the_gut(adults):
    """Carbohydrate is conserved: eaten = stomach + gut + the integral of absorption (kabs x gut)."""
    inputs = np.column_stack([np.full(10, 5000.0), adults["u2ss"], np.ones(10)])
    times = np.arange(0.0, 600.5, 0.5)
    records = Records.empty(10, 1)
    records.time[:, 0], records.target[:, 0] = 12.0, SYSTEM.input_target("carbs")
    found = solve(
        SYSTEM,
        subject.basal_state(adults),
        subject.parameter_matrix(adults),
        0.0,
        600.0,
        records,
        times,
        Tolerance(1e-8, 1e-6),
        inputs,
    )
    absorbed = np.trapezoid(found.samples[:, :, SYSTEM.state("gut")], times, axis=1) * adults["kabs"]
    held = found.samples[:, -1, :3].sum(axis=1)
    assert absorbed + held == pytest.approx(np.full(10, 60_000.0), rel=1e-4)


def test_sensor_error_has_the_law_of_its_equations():
    """Stationary state: normal with sd 0.7 / sqrt(1 - 0.49); lag-one correlation 0.7."""
    key = np.array([5, 6], np.uint64)
    e, states = 0.0, []
    for n in range(40_000):
        e = sensor.next_node(e, key, 9, n)
        states.append(e)
    states = np.array(states[50:])
    assert states.std() == pytest.approx(0.7 / math.sqrt(1 - 0.49), rel=0.03)
    assert np.corrcoef(states[:-1], states[1:])[0, 1] == pytest.approx(0.7, abs=0.02)
    assert sensor.deviation(sensor.GAMMA) == pytest.approx(sensor.XI)


def test_the_curve_between_error_nodes_passes_through_them_and_is_straight_on_a_line():
    assert sensor.between(1.0, 5.0, -2.0, 4.0, 0.0) == 5.0 and sensor.between(1.0, 5.0, -2.0, 4.0, 1.0) == -2.0
    assert sensor.between(1.0, 2.0, 3.0, 4.0, 0.3) == pytest.approx(2.3)


def schedule(days, run_in=0.0):
    return Schedule(run_in, days, (days,), ("end",))


def run(twins, controller, days=3.0, run_in=0.0, seed=4, adherence=1.0, model=MODEL, **settings):
    conditions = Conditions(schedule(days, run_in), seed, adherence, Tolerance(1e-6, 1e-6))
    return model.simulate(twins, Treatment(controller=controller), Settings(**settings), conditions)


def test_readings_stand_on_five_minutes_in_days_from_randomisation(twins):
    found = run(twins, "open-loop", days=2.0, run_in=1.0)
    assert found["time"].size == 3 * 288
    assert float(found["time"][0]) == pytest.approx(-1 + 5 / 1440) and float(found["time"][-1]) == 2.0
    assert (found["status"] == Status.COMPLETED).all()


def test_the_sensor_is_as_far_off_as_current_ones(twins):
    """MARD against plasma glucose, interstitial lag included: 8.2 % (G7, arm) to 9.9 % (G6), Garg 2022."""
    found = run(twins, "open-loop", days=7.0)
    shown, true = found["cgm"].values, found["glucose"].values
    seen = np.isfinite(shown)
    assert 0.08 < np.mean(np.abs(shown - true)[seen] / true[seen]) < 0.102


def test_all_arms_share_the_run_in_to_the_last_bit(twins):
    a, b = (run(twins, c, days=1.0, run_in=1.0) for c in ("open-loop", "hybrid-closed-loop"))
    before = a["time"].values <= 0
    assert a["cgm"].values[:, before].tobytes() == b["cgm"].values[:, before].tobytes()
    assert not np.array_equal(a["cgm"].values[:, ~before], b["cgm"].values[:, ~before], equal_nan=True)


def test_a_closed_loop_that_is_never_used_is_open_loop(twins):
    a = run(twins, "open-loop")
    b = run(twins, "hybrid-closed-loop", adherence=1e-12)
    assert a["cgm"].values.tobytes() == b["cgm"].values.tobytes()


def test_a_block_of_twins_equals_its_parts_to_the_last_bit(twins):
    whole = run(twins, "hybrid-closed-loop")
    for part in (slice(0, 1), slice(1, 7), slice(7, 10)):
        some = run(twins.isel(twin=part), "hybrid-closed-loop")
        assert some["cgm"].values.tobytes() == whole["cgm"].values[part].tobytes()


OUTCOMES = ("cgm", "glucose", "insulin", "status", "failed_at")


@pytest.mark.parametrize("lanes", [1, 4])
def test_the_number_of_lanes_and_the_order_of_twins_change_no_bit(twins, lanes):
    """One twin cannot be solved, one leaves the plausible range."""
    broken = twins.copy(deep=True)
    broken["kmax"][3] = np.nan
    broken["CR"][6] = 0.2  # dozens of units for every meal
    whole = run(broken, "hybrid-closed-loop", rescue_carbs=0.0)
    assert set(whole["status"].values) == {Status.COMPLETED, Status.NON_FINITE, Status.OUT_OF_RANGE}
    narrow = dataclasses.replace(MODEL, lanes=lanes)
    order = np.array([6, 0, 9, 3, 1, 8, 2, 7, 5, 4])
    for rows in (np.arange(10), order):
        found = run(broken.isel(twin=rows), "hybrid-closed-loop", model=narrow, rescue_carbs=0.0)
        for name in OUTCOMES:
            assert found[name].values.tobytes() == whole[name].values[rows].tobytes()


def test_a_twin_that_cannot_be_solved_is_a_status_and_its_neighbours_do_not_notice(twins):
    broken = twins.copy(deep=True)
    broken["kmax"][3] = np.nan
    a, b = run(twins, "open-loop"), run(broken, "open-loop")
    assert b["status"][3] == Status.NON_FINITE and np.isfinite(b["failed_at"][3])
    assert np.isnan(b["cgm"][3]).all()
    others = [k for k in range(10) if k != 3]
    assert a["cgm"].values[others].tobytes() == b["cgm"].values[others].tobytes()


def test_a_day_at_the_trials_tolerance_is_off_by_a_fiftieth_of_the_sensors_step(twins):
    """The shipped protocol asks for 1e-4; the truth here is the same day at 1e-9."""
    day = Schedule(0.0, 1.0, (1.0,), ("end",))
    loose, tight = (
        MODEL.simulate(twins, Treatment(controller="open-loop"), Settings(), Conditions(day, 4, 1.0, Tolerance(t, t)))
        for t in (1e-4, 1e-9)
    )
    assert float(np.abs(loose["glucose"] - tight["glucose"]).max()) < 0.02


@njit
def _steps(address, block, settings):
    return take_steps(address, block, settings)


def test_a_day_in_closed_loop_follows_the_reference_with_the_same_deliveries(twins):
    """The day is lived once more from Python, which writes down every input; SciPy at 1e-10 then gets the same."""
    day, tolerance = Schedule(0.0, 1.0, (1.0,), ("end",)), Tolerance(1e-4, 1e-4)
    how = Treatment(controller="hybrid-closed-loop"), Settings(), Conditions(day, 4, 0.9, tolerance)
    one = twins.isel(twin=[2])
    kernel, start, world = prepare(one, *how)
    life, driver, rows = kernel.daily_life, kernel.driver, kernel.rows
    step = step_function(SYSTEM, Program.of(SYSTEM), "tsit5", 1, cache_folder())
    block = np.zeros((step.layout.rows, 1))
    block[driver.STATE : driver.STATE + start.shape[1], 0] = start[0]
    block[driver.SAMPLE] = np.inf
    block[driver.ACTIVE] = 1.0
    inputs, eaten = slice(rows.U[0], rows.U[-1] + 1), 0.0
    times, targets, values = [], [], []

    def note():
        found = {SYSTEM.state("eaten"): block[rows.Y.eaten, 0] - eaten}
        found |= {len(SYSTEM.states) + i: value for i, value in enumerate(block[inputs, 0])}
        for target, value in found.items():
            times.append(block[driver.TIME, 0])
            targets.append(target)
            values.append(value)
        block[driver.FRESH] = 1.0

    life.begin(0, 0, block, world)
    note()
    while True:
        _steps(step.address, block, np.array([tolerance.rtol, tolerance.atol, tolerance.max_steps]))
        eaten = block[rows.Y.eaten, 0]
        life.serve(0, 0, block, world)
        if block[driver.STATUS, 0] > 0.0:
            break
        note()
    found = MODEL.simulate(one, *how)["glucose"].values[0]
    assert world.readings[1, 0].tobytes() == found.tobytes()

    states, parameters = len(SYSTEM.states), len(SYSTEM.parameters)
    records = Records(np.array([times]), np.array([targets]), np.array([values]))
    ends = np.arange(1, 289) * 5.0
    y0, p, u0 = np.split(start[0], [states, states + parameters])
    truth = reference_solution(SYSTEM, y0, p, 0.0, 1440.0, records, ends, u0)
    glucose = truth[:, SYSTEM.state("Gp")] / float(one["Vg"][0])
    assert np.abs(found - glucose).max() < 0.02


def test_a_suspended_pump_gives_nothing_and_a_quantised_one_gives_whole_steps(twins):
    found = run(twins, "hybrid-closed-loop", days=5.0)
    given = found["insulin"].values.astype(float)
    steps = given / (0.05 / 12)
    assert np.abs(steps - np.round(steps)).max() < 1e-3  # 0.05 U/h for five minutes divides every delivery
    assert given.min() == 0.0


KERNEL = compiled(SYSTEM, *_MODULES)
controllers = KERNEL.controllers


def device(**changes):
    return _device(KERNEL.daily_life.DEVICE, Treatment(controller="hybrid-closed-loop", **changes), 1.0)[0]


@pytest.mark.parametrize(
    ("predicted", "factor"), [(60, 0.0), (70, 0.0), (91.25, 0.5), (112.5, 1.0), (150, 1.0), (200, 1.5), (400, 2.0)]
)
def test_the_hybrid_law_follows_its_published_thresholds(predicted, factor):
    found = controllers.basal_factor(controllers.HYBRID_CLOSED_LOOP, 150.0, float(predicted), device())
    assert found == pytest.approx(factor)


def test_correction_is_sixty_percent_of_what_is_missing_and_never_negative():
    assert controllers.correction(260.0, 1.0, 20.0, device()) == pytest.approx(0.6 * (150 / 30 - 1))
    assert controllers.correction(120.0, 5.0, 20.0, device()) == 0.0


def test_slope_of_a_straight_line_is_exact():
    line = np.array([100.0 + 5.0 * 1.5 * i for i in range(7)])
    assert controllers.slope(line, 7) == pytest.approx(1.5) and controllers.slope(line, 2) == 0.0


def test_more_carbohydrate_raises_glucose_and_rescue_carbohydrate_prevents_lows(twins):
    mean = float(np.nanmean(run(twins, "open-loop")["glucose"]))
    assert float(np.nanmean(run(twins, "open-loop", meal_scale=1.5)["glucose"])) > mean + 5
    without = np.nanmean(run(twins, "open-loop", days=7.0, rescue_carbs=0.0)["glucose"].values < 54)
    with_rescue = np.nanmean(run(twins, "open-loop", days=7.0)["glucose"].values < 54)
    assert with_rescue < without
