"""Glucose endpoints against per-reading loops, hand cases, and real sensor traces."""

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from twinarm.models.model import Schedule
from twinarm.models.units import UnitsError
from twinarm.trials.endpoints import (
    episodes,
    fraction_of_time,
    glucose_management_indicator,
    mean_level,
    variability,
)
from twinarm.trials.endpoints._periods import TraceError

STEP = 5 / 1440
SCHEDULE = Schedule(run_in=1.0, duration=3.0, visits=(1.0, 3.0), visit_names=("day 1", "day 3"))


def trajectories(readings: Any, start: float = 0.0, step: float = STEP) -> xr.Dataset:
    """Readings (twin, time), the first one step after `start`."""
    cgm = np.atleast_2d(np.asarray(readings, dtype=float))
    time = start + step * np.arange(1, cgm.shape[1] + 1)
    return xr.Dataset(
        {"cgm": (("twin", "time"), cgm, {"units": "mg/dL"})},
        coords={"twin": np.arange(cgm.shape[0]), "time": ("time", time, {"units": "day"})},
    )


def random_block(twins: int = 4, missing: float = 0.1, seed: int = 2) -> xr.Dataset:
    """Run-in of one day and follow-up of three: slowly wandering glucose with missing readings."""
    rng = np.random.default_rng(seed)
    n = 4 * 288
    wander = np.cumsum(rng.normal(0, 8, (twins, n)), axis=1)
    cgm = np.round(140 + wander - np.linspace(wander[:, 0], wander[:, -1], n).T)
    cgm[rng.random((twins, n)) < missing] = np.nan
    return trajectories(cgm, start=-1.0)


def of_visit(block: xr.Dataset, twin: int, visit: str) -> list[float]:
    """Readings that are there, picked one by one by their whole number of steps."""
    start, end = SCHEDULE.windows()[visit]
    chosen = []
    for time, x in zip(block["time"].values, block["cgm"].values[twin], strict=True):
        tick = round(time / STEP)
        if round(start / STEP) < tick <= round(end / STEP) and not math.isnan(x):
            chosen.append(float(x))
    return chosen


def test_every_measure_equals_a_loop_over_readings():
    block = random_block()
    in_range = fraction_of_time.Settings(at_least=70.0, at_most=180.0)
    tir = fraction_of_time.compute(block, SCHEDULE, in_range)["value"]
    mean = mean_level.compute(block, SCHEDULE, mean_level.Settings())["value"]
    cv = variability.compute(block, SCHEDULE, variability.Settings())["value"]
    gmi = glucose_management_indicator.compute(block, SCHEDULE, glucose_management_indicator.Settings())["value"]
    assert list(tir["visit"].values) == ["baseline", "day 1", "day 3"]
    for twin in block["twin"].values:
        for visit in tir["visit"].values:
            x = of_visit(block, twin, visit)
            here = {"twin": twin, "visit": visit}
            average = math.fsum(x) / len(x)
            sd = math.sqrt(math.fsum((v - average) ** 2 for v in x) / (len(x) - 1))
            assert float(tir.sel(here)) == pytest.approx(100 * sum(70 <= v <= 180 for v in x) / len(x), rel=1e-13)
            assert float(mean.sel(here)) == pytest.approx(average, rel=1e-13)
            assert float(cv.sel(here)) == pytest.approx(100 * sd / average, rel=1e-11)
            assert float(gmi.sel(here)) == pytest.approx(3.31 + 0.02392 * average, rel=1e-13)


def test_bounds_are_those_of_the_consensus():
    """Battelino 2019: 70 and 180 are in range; below is < 70, < 54, above is > 180, > 250; the parts add up."""
    block = trajectories([53, 54, 69, 70, 180, 181, 250, 251])
    schedule = Schedule(0.0, 1.0, (1.0,), ("day 1",))
    share = {
        name: fraction_of_time.compute(block, schedule, fraction_of_time.Settings(**bounds))["value"].item()
        for name, bounds in {
            "below 54": {"below": 54.0},
            "54-69": {"at_least": 54.0, "below": 70.0},
            "70-180": {"at_least": 70.0, "at_most": 180.0},
            "181-250": {"above": 180.0, "at_most": 250.0},
            "above 250": {"above": 250.0},
        }.items()
    }
    eighth = 12.5
    assert share == {
        "below 54": eighth, "54-69": 2 * eighth, "70-180": 2 * eighth, "181-250": 2 * eighth, "above 250": eighth
    }  # fmt: skip


@pytest.mark.parametrize("bounds", [{}, {"at_least": 70.0, "above": 60.0}, {"at_least": 180.0, "at_most": 70.0}])
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, float]):
    with pytest.raises(ValidationError, match="bound"):
        fraction_of_time.Settings(**bounds)


def test_a_reading_on_a_visit_belongs_to_the_period_that_ends_there_even_when_its_time_is_rounded():
    n = 4 * 288
    block = trajectories(np.arange(n), start=-1.0)
    for shift in (-1e-9, 0.0, 1e-9):
        moved = block.assign_coords(time=block["time"].values + shift)
        mean = mean_level.compute(moved, SCHEDULE, mean_level.Settings())["value"].values[0]
        assert mean == pytest.approx([(0 + 287) / 2, (288 + 575) / 2, (576 + n - 1) / 2])


def test_without_run_in_there_is_no_baseline():
    block = trajectories(np.full(288, 100.0))
    mean = mean_level.compute(block, Schedule(0.0, 1.0, (1.0,), ("day 1",)), mean_level.Settings())["value"]
    assert list(mean["visit"].values) == ["day 1"]


def test_a_period_without_readings_is_missing_and_the_others_are_not():
    block = random_block(missing=0.0)
    block["cgm"][0, 288:576] = np.nan
    for module, settings in ALL:
        result = module.compute(block, SCHEDULE, settings)
        assert np.isnan(result["value"].sel(twin=0).values).tolist() == [False, True, False]
        assert np.isfinite(result["value"].sel(twin=1)).all()


ALL: list[tuple[Any, Any]] = [
    (fraction_of_time, fraction_of_time.Settings(at_least=70.0, at_most=180.0)),
    (mean_level, mean_level.Settings()),
    (variability, variability.Settings()),
    (glucose_management_indicator, glucose_management_indicator.Settings()),
    (episodes, episodes.Settings()),
]


def test_another_unit_is_refused():
    block = random_block()
    block["cgm"].attrs["units"] = "mmol/L"
    with pytest.raises(UnitsError, match="needs 'mg/dL'"):
        fraction_of_time.compute(block, SCHEDULE, fraction_of_time.Settings(below=70.0))


H, L, M, X = 100.0, 50.0, 60.0, np.nan  # recovered, low, between, missing
DAY = Schedule(0.0, 1.0, (1.0,), ("day 1",))


@pytest.mark.parametrize(
    ("readings", "count"),
    [
        ([H, L, L, H, H, H], 0),  # ten minutes are too short
        ([H, L, L, L, H, H, H], 1),
        ([L, L, L, L, L, L], 1),  # still under way at the end
        ([L, L, L, H, H, L, L, L, H, H, H], 1),  # ten minutes of recovery do not end it
        ([L, L, L, H, H, H, L, L, L], 2),
        ([L, L, L, M, M, M, M, L, L, L], 1),  # between 54 and 70 is no recovery
        ([L, L, M, L, L, M, L, L], 0),
        ([L, L, X, L], 0),  # a missing reading breaks the run that begins an episode
        ([L, L, X, L, L, L], 1),
        ([L, L, L, X, X, X, L, L, L], 1),  # a gap does not end an episode
        ([L, L, L, H, X, H, H, L, L, L], 1),  # nor does recovery with a hole in it
        ([L, L, L, H, X, H, H, H, L, L, L], 2),
        ([54.0, 54.0, 54.0, 54.0], 0),  # 54 is not under 54
        ([L, L, L, 70.0, 70.0, 70.0, L, L, L], 2),  # 70 is recovered
    ],
)
def test_episodes_of_hand_made_traces(readings: list[float], count: int):
    result = episodes.compute(trajectories(readings), DAY, episodes.Settings())
    assert result["value"].item() == count
    assert result["exposure"].item() == pytest.approx(np.isfinite(readings).sum() * STEP)


def test_an_episode_across_a_visit_counts_once_where_it_begins():
    cgm = np.full(4 * 288, H)
    cgm[286:295] = L  # last two readings of the run-in, and on
    result = episodes.compute(trajectories(cgm, start=-1.0), SCHEDULE, episodes.Settings())["value"]
    assert result.values.tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize(("minutes", "needed"), [(1, 15), (3, 5), (5, 3), (10, 2), (15, 1)])
def test_fifteen_minutes_are_counted_in_readings_of_any_interval(minutes: int, needed: int):
    for lows, count in ((needed - 1, 0), (needed, 1)):
        block = trajectories([H] * 5 + [L] * lows + [H] * 20, step=minutes / 1440)
        assert episodes.compute(block, DAY, episodes.Settings())["value"].item() == count


def slow_episodes(cgm: np.ndarray) -> int:
    """The definition read literally: find a run of three lows, then the first run of three recoveries after it."""
    count, i = 0, 0
    while i + 3 <= cgm.size:
        if all(cgm[i : i + 3] < 54):
            count += 1
            i += 3
            while i < cgm.size and not (i + 3 <= cgm.size and all(cgm[i : i + 3] >= 70)):
                i += 1
            i += 3
        else:
            i += 1
    return count


def test_episodes_equal_a_literal_search_on_random_traces():
    rng = np.random.default_rng(5)
    cgm = rng.choice([50.0, 60.0, 80.0, np.nan], p=[0.45, 0.1, 0.4, 0.05], size=(200, 287))
    found = episodes.compute(trajectories(cgm), DAY, episodes.Settings())["value"].values[:, 0]
    assert found.tolist() == [slow_episodes(row) for row in cgm]
    assert found.max() > 5


def test_uneven_sampling_is_refused_for_episodes():
    block = trajectories(np.full(20, H)).isel(time=[0, 1, 3, 4, 5])
    with pytest.raises(TraceError, match="equal intervals"):
        episodes.compute(block, DAY, episodes.Settings())


def test_durations_are_read_with_their_units():
    settings = episodes.Settings.model_validate(
        {"lasting": "0.5 hour", "below": "70 mg/dL"}, context={"from_file": True}
    )
    assert (settings.lasting, settings.below) == (30.0, 70.0)


@pytest.mark.reference
def test_real_traces_give_the_same_numbers_as_direct_computation(reference_data: Path):
    """Hall 2018 (PLoS Biol 16:e2005143), subset in the R package iglu: 19 people, about 6.5 days at 5 min."""
    rows: dict[str, list[tuple[np.datetime64, float]]] = {}
    file = next(reference_data.rglob("hall2018_subset.csv.gz"))
    with gzip.open(file, "rt") as lines:
        next(lines)
        for line in lines:
            person, time, level, _ = line.strip().split(",")
            rows.setdefault(person, []).append((np.datetime64(time.replace(" ", "T")), float(level)))
    assert len(rows) == 19
    for readings in rows.values():
        start = min(t for t, _ in readings)
        ticks = np.array([round((t - start) / np.timedelta64(300, "s")) for t, _ in readings])
        grid = np.full(ticks.max() + 1, np.nan)
        grid[ticks] = [x for _, x in readings]
        block = trajectories(grid)
        end = math.ceil(grid.size * STEP)
        schedule = Schedule(0.0, end, (end,), ("all",))
        x = grid[np.isfinite(grid)]
        value = {m.__name__.rsplit(".")[-1]: m.compute(block, schedule, s)["value"].item() for m, s in ALL}
        assert value["fraction_of_time"] == pytest.approx(100 * np.mean((x >= 70) & (x <= 180)))
        assert value["mean_level"] == pytest.approx(np.mean(x))
        assert value["variability"] == pytest.approx(100 * np.std(x, ddof=1) / np.mean(x))
        assert value["glucose_management_indicator"] == pytest.approx(3.31 + 0.02392 * np.mean(x))
        assert value["episodes"] == slow_episodes(grid)


@pytest.mark.parametrize(("mean", "percent"), [(100, 5.7), (125, 6.3), (150, 6.9), (175, 7.5), (200, 8.1), (350, 11.7)])
def test_the_indicator_is_that_of_the_published_table(mean: float, percent: float):
    """Bergenstal 2018, Diabetes Care 41:2275, table of mean glucose and GMI, printed to one decimal."""
    block = trajectories(np.full(20, mean))
    settings = glucose_management_indicator.Settings()
    value = glucose_management_indicator.compute(block, DAY, settings)["value"].item()
    assert round(value, 1) == percent
