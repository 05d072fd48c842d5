"""Strategies for intercurrent events, on tables made by hand."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from twinarm.trials.estimands import EstimandError, estimand_data, measure_of, outcome_of
from twinarm.trials.observe import observe
from twinarm.trials.protocol import Analysis, Handling

INF, NAN = np.inf, np.nan
EVENT = {"name": "stop-drug", "label": "Stops", "hazard": {"probability": 0.1, "over": "6 day"}}


def handle(strategy: str, event: str = "stop-drug") -> tuple[Handling, ...]:
    return (Handling.model_validate({"event": event, "strategy": strategy, "why": "a test"}),)


def table(event_days: list[float]) -> xr.Dataset:
    """Subjects with the same course: periods of 1, 2 and 3 days with values 80, 74 and 90 after a baseline of 60."""
    n = len(event_days)
    visits = ["baseline", "day 1", "day 3", "day 6"]
    return xr.Dataset(
        {
            "arm": ("subject", np.where(np.arange(n) % 2 == 0, "active", "usual")),
            "time_in_range": (("subject", "visit"), np.tile([60.0, 80.0, 74.0, 90.0], (n, 1))),
            "lows": (("subject", "visit"), np.tile([3.0, 1.0, 0.0, 4.0], (n, 1))),
            "lows_exposure": (("subject", "visit"), np.tile([2.0, 1.0, 1.5, 3.0], (n, 1))),
            "survival": ("subject", np.full(n, 5.0)),
            "survival_event": ("subject", np.ones(n)),
            "alive": ("subject", np.ones(n)),
            "ice_stop_drug_day": ("subject", event_days),
            "covariate_age": ("subject", np.arange(20.0, 20.0 + n)),
            "covariate_sex": ("subject", np.resize(["male", "female", "other"], n)),
        },
        coords={"visit": visits},
    )


DAYS = [INF, 3.0, 2.0, 0.5]


@pytest.mark.parametrize(
    ("strategy", "level", "count", "exposure"),
    [
        ("treatment-policy", [(80 + 2 * 74 + 3 * 90) / 6] * 4, [5.0] * 4, [5.5] * 4),
        # day 3: two visits are over; day 2 lies within the second period; day 0.5 leaves nothing
        ("hypothetical", [83.0, (80 + 2 * 74) / 3, 80.0, NAN], [5.0, 1.0, 1.0, NAN], [5.5, 2.5, 1.0, 0.0]),
        ("while-on-treatment", [83.0, 76.0, 80.0, NAN], [5.0, 1.0, 1.0, NAN], [5.5, 2.5, 1.0, 0.0]),
    ],
)
def test_levels_and_counts_over_visits(build: Any, strategy: str, level: Any, count: Any, exposure: Any):
    protocol = build(intercurrent_events=(EVENT,), estimands=())
    tir = outcome_of(protocol, table(DAYS), measure_of(protocol, "time-in-range"), handle(strategy))
    lows = outcome_of(protocol, table(DAYS), measure_of(protocol, "lows"), handle(strategy))
    assert tir.y == pytest.approx(level, nan_ok=True)
    assert lows.y == pytest.approx(count, nan_ok=True)
    assert lows.exposure == pytest.approx(exposure)


def test_a_missing_period_gives_its_weight_to_the_others(build: Any):
    subjects = table([INF, INF])
    subjects["time_in_range"][0, 2] = NAN
    subjects["lows"][0, 3] = NAN
    protocol = build(intercurrent_events=(EVENT,), estimands=())
    assert outcome_of(protocol, subjects, measure_of(protocol, "time-in-range"), ()).y == pytest.approx([87.5, 83.0])
    lows = outcome_of(protocol, subjects, measure_of(protocol, "lows"), ())
    assert lows.y.tolist() == [1.0, 5.0]
    assert lows.exposure is not None and lows.exposure.tolist() == [2.5, 5.5]


@pytest.mark.parametrize(
    ("strategy", "time", "event"),
    [
        ("treatment-policy", [5.0, 5.0, 5.0], [1, 1, 1]),
        ("hypothetical", [5.0, 2.0, 5.0], [1, 0, 1]),
        ("while-on-treatment", [5.0, 2.0, 5.0], [1, 0, 1]),
        ("composite", [5.0, 2.0, 5.0], [1, 1, 1]),
    ],
)
def test_times_to_event(build: Any, strategy: str, time: Any, event: Any):
    protocol = build(deaths=True, intercurrent_events=(EVENT,), estimands=())
    found = outcome_of(protocol, table([INF, 2.0, 5.5]), measure_of(protocol, "survival"), handle(strategy))
    assert found.y.tolist() == time
    assert found.event is not None and found.event.tolist() == event


@pytest.mark.parametrize(
    ("strategy", "value"),
    [
        ("treatment-policy", [1.0, 1.0, 1.0]),
        ("hypothetical", [1.0, NAN, 1.0]),  # known on day 4, so an event on day 5 takes nothing away
        ("while-on-treatment", [1.0, NAN, 1.0]),
        ("composite", [1.0, 0.0, 1.0]),
    ],
)
def test_yes_or_no(build: Any, strategy: str, value: Any):
    protocol = build(deaths=True, intercurrent_events=(EVENT,), estimands=())
    found = outcome_of(protocol, table([INF, 2.0, 5.0]), measure_of(protocol, "alive"), handle(strategy))
    assert found.y == pytest.approx(value, nan_ok=True)


def test_composite_failure_is_the_worse_outcome(build: Any):
    """For an endpoint where lower is better, failure is 1; a value that dropout hid is known to be a failure."""
    endpoints = [{**e, "direction": "lower"} for e in build(deaths=True).model_dump()["endpoints"]]
    protocol = build(endpoints=tuple(endpoints), intercurrent_events=(EVENT,), estimands=())
    subjects = table([INF, 2.0, INF])
    subjects["alive"][:] = [0.0, NAN, NAN]
    found = outcome_of(protocol, subjects, measure_of(protocol, "alive"), handle("composite"))
    assert found.y == pytest.approx([0.0, 1.0, NAN], nan_ok=True)


def test_composite_of_a_level_is_refused(build: Any):
    protocol = build(intercurrent_events=(EVENT,), estimands=())
    with pytest.raises(EstimandError, match="'composite' needs a binary or a time-to-event"):
        outcome_of(protocol, table(DAYS), measure_of(protocol, "time-in-range"), handle("composite"))


def analysis(endpoint: str = "time-in-range", **fields: Any) -> Analysis:
    return Analysis.model_validate({"endpoint": endpoint, "model": "continuous", **fields})


def test_data_of_an_analysis(build: Any):
    protocol = build(intercurrent_events=(EVENT,), estimands=())
    subjects = table([INF] * 6)
    subjects["time_in_range"][2, 1:] = NAN  # nothing after baseline
    subjects["time_in_range"][3, 0] = NAN  # no baseline
    data = estimand_data(protocol, subjects, analysis(adjust=("baseline", "sex", "age")))
    assert (data.arms, data.unit, data.kind, data.direction) == (("usual", "active"), "percent", "continuous", "higher")
    assert data.n_missing == 2
    assert data.treated.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert list(data.covariates) == ["baseline", "sex=male", "sex=other", "age"]
    assert data.covariates["baseline"].tolist() == [60.0] * 4
    assert data.covariates["sex=male"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert data.covariates["sex=other"].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert data.covariates["age"].tolist() == [20.0, 21.0, 24.0, 25.0]
    assert data.event is None and data.exposure is None
    # without the covariate, a subject without a baseline can stay
    assert estimand_data(protocol, subjects, analysis()).n_missing == 1


def test_baseline_of_a_count_is_its_log_rate(build: Any):
    protocol = build(estimands=())
    data = estimand_data(protocol, table([INF] * 4), analysis("lows", model="count", adjust=("baseline",)))
    assert data.covariates["baseline"] == pytest.approx(np.log(3.5 / 2))
    assert data.exposure is not None and data.exposure.tolist() == [5.5] * 4


def test_the_strategy_of_the_estimand_is_applied(build: Any):
    estimand = {"name": "main", "endpoint": "time-in-range", "population": "all", "summary": "difference in means",
                "intercurrent_events": handle("hypothetical")}  # fmt: skip
    protocol = build(intercurrent_events=(EVENT,), estimands=(estimand,))
    for named in ("main", None):  # the only estimand of an endpoint is its own
        data = estimand_data(protocol, table(DAYS), analysis(estimand=named))
        assert data.y.tolist() == [83.0, 76.0, 80.0]
        assert data.n_missing == 1


def test_what_cannot_be_analysed_is_refused(build: Any):
    protocol = build(deaths=True, estimands=())
    with pytest.raises(EstimandError, match="no variable of the cohort is called 'weight'"):
        estimand_data(protocol, table([INF] * 4), analysis(adjust=("weight",)))
    with pytest.raises(EstimandError, match="'survival' has no baseline"):
        estimand_data(protocol, table([INF] * 4), analysis("survival", model="weibull", adjust=("baseline",)))
    with pytest.raises(EstimandError, match="no subject of arm 'usual'"):
        estimand_data(protocol, table([INF]), analysis())


def test_from_the_bank_to_the_analysis(protocol: Any, cohort: xr.Dataset, bank: Any):
    outcomes = bank(protocol, cohort)
    subjects = observe(protocol, cohort, outcomes)
    data = estimand_data(protocol, subjects, protocol.analyses[0])
    for row, twin in enumerate(subjects["twin"].values):
        own = outcomes["time_in_range"].sel(twin=twin, arm=subjects["arm"].values[row])
        one, two, three = (float(own.sel(visit=v)) for v in ("day 1", "day 3", "day 6"))
        assert data.y[row] == pytest.approx((one + 2 * two + 3 * three) / 6)
        assert data.covariates["baseline"][row] == float(own.sel(visit="baseline"))
