"""Endpoints of events and of measured tumour sizes, on worked cases."""

import numpy as np
import pytest
import xarray as xr

from twinarm.models.model import Schedule
from twinarm.models.units import UnitsError
from twinarm.trials.endpoints import best_change, best_response, event_by, event_time

INF, NAN = np.inf, np.nan
SCHEDULE = Schedule(0.0, 140.0, (42.0, 84.0, 126.0), ("week 6", "week 12", "week 18"))


def events(days):
    return xr.Dataset({"death_day": ("twin", days, {"units": "day"})}, {"twin": np.arange(len(days))})


def sizes(rows, progression=None, units="mm", shift=0.0):
    time = np.concatenate([[0.0], np.array(SCHEDULE.visits) + shift])
    return xr.Dataset(
        {
            "tumour_measured": (("twin", "time"), np.array(rows, float), {"units": units}),
            "progression_day": ("twin", np.array(progression or [INF] * len(rows)), {"units": "day"}),
        },
        {"twin": np.arange(len(rows)), "time": time},
    )


def test_time_is_censored_at_the_end_of_follow_up():
    found = event_time.compute(events([10.0, 140.0, 140.5, INF, NAN]), SCHEDULE, event_time.Settings(event="death_day"))
    assert found.value.values == pytest.approx([10, 140, 140, 140, NAN], nan_ok=True)
    assert found.event.values == pytest.approx([1, 1, 0, 0, NAN], nan_ok=True)
    assert (found.value.attrs["units"], found.event.attrs["units"]) == ("day", "1")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [1, 1, 0, 0, NAN]),
        ({"by": 60.0}, [1, 0, 0, 0, NAN]),
        ({"by": 60.0, "occurs": False}, [0, 1, 1, 1, NAN]),
    ],
)
def test_event_by_a_day(settings, expected):
    settings = event_by.Settings(event="death_day", **settings)
    found = event_by.compute(events([10.0, 140.0, 140.5, INF, NAN]), SCHEDULE, settings)
    assert found.value.values == pytest.approx(expected, nan_ok=True)


def test_event_after_follow_up_is_refused():
    with pytest.raises(ValueError, match=r"day 365, follow-up ends on day 140"):
        event_by.compute(events([1.0]), SCHEDULE, event_by.Settings(event="death_day", by=365.0))


CASES = [
    ([100, 70, 70, 90], INF, 1, 1),  # -30 % twice
    ([100, 71, 69, 90], INF, 0, 1),  # not confirmed
    ([100, 80, 60, 50], INF, 1, 1),
    ([100, 80, 80, 60], INF, 0, 1),  # at the last visit: nothing can confirm it
    ([100, 60, 60, NAN], 84.0, 0, 1),  # progression (a new lesion) at the visit that would confirm
    ([100, 60, NAN, NAN], 42.0, 0, 0),
    ([100, NAN, NAN, NAN], INF, 0, 0),  # dead before the first visit
    ([NAN, NAN, NAN, NAN], NAN, NAN, NAN),  # failed
]


def test_objective_response():
    trajectories = sizes([case[0] for case in CASES], [case[1] for case in CASES])
    confirmed = best_response.compute(trajectories, SCHEDULE, best_response.Settings())
    once = best_response.compute(trajectories, SCHEDULE, best_response.Settings(confirmed=False))
    assert confirmed.value.values == pytest.approx([case[2] for case in CASES], nan_ok=True)
    assert once.value.values == pytest.approx([case[3] for case in CASES], nan_ok=True)
    assert confirmed.value.attrs["units"] == "1"


def test_settings_are_read_with_their_unit():
    found = best_response.Settings.model_validate_json('{"shrinkage": "20 percent"}')
    assert found.shrinkage == pytest.approx(20.0)


def test_best_change_is_the_lowest_visit():
    rows = [[100, 80, 60, 90], [50, 60, NAN, NAN], [100, NAN, NAN, NAN], [NAN] * 4]
    found = best_change.compute(sizes(rows), SCHEDULE, best_change.Settings())
    assert found.value.values == pytest.approx([-40, 20, NAN, NAN], nan_ok=True)
    assert found.value.attrs["units"] == "percent"


def test_a_visit_is_the_nearest_measurement_within_a_week():
    rows = [[100, 80, 60, 90]]
    assert best_change.compute(sizes(rows, shift=3.0), SCHEDULE, best_change.Settings()).value[0] == pytest.approx(-40)
    with pytest.raises(KeyError):
        best_change.compute(sizes(rows, shift=10.0), SCHEDULE, best_change.Settings())


def test_sizes_in_another_unit_are_refused():
    with pytest.raises(UnitsError, match="needs 'mm'"):
        best_change.compute(sizes([[1, 1, 1, 1]], units="cm"), SCHEDULE, best_change.Settings())
