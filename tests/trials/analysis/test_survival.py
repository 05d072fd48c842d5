"""Kaplan-Meier, log-rank and restricted mean beside lifelines."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import restricted_mean_survival_time

from twinarm.trials.analysis.survival import kaplan_meier, log_rank, numbers_at_risk, restricted_mean

RNG = np.random.default_rng(4)
TIME = np.minimum(np.ceil(RNG.exponential(100, 150)), np.ceil(RNG.uniform(50, 200, 150)))  # with ties
EVENT = (RNG.random(150) < 0.7) * 1.0
TREATED = np.arange(150) % 2 * 1.0


def test_curve_and_interval_equal_lifelines():
    ours = kaplan_meier(TIME, EVENT)
    theirs = KaplanMeierFitter().fit(TIME, EVENT)
    at = np.array([1.0, 10.0, 50.0, 99.5, 150.0])
    assert ours.at(at) == pytest.approx(theirs.predict(at).to_numpy())
    bounds = theirs.confidence_interval_survival_function_
    for i, time in enumerate(ours.time):
        if 0 < ours.survival[i] < 1:
            assert (ours.low[i], ours.high[i]) == pytest.approx(tuple(bounds.loc[time]), rel=1e-6)
    assert ours.median == theirs.median_survival_time_
    assert (ours.subjects, ours.events) == (150, EVENT.sum())


def test_survival_is_one_before_the_first_event():
    assert kaplan_meier(np.array([5.0, 8.0]), np.array([1.0, 0.0])).at(np.array([0.0, 4.9, 5.0, 9.0])).tolist() == [
        1.0,
        1.0,
        0.5,
        0.5,
    ]


def test_median_that_is_not_reached_is_infinite():
    assert kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0])).median == np.inf


def test_numbers_at_risk_count_those_still_followed():
    assert numbers_at_risk(np.array([1.0, 5.0, 5.0, 9.0]), np.array([0.0, 5.0, 6.0, 10.0])).tolist() == [4, 3, 1, 0]


@pytest.mark.parametrize("horizon", [10.0, 75.5, 140.0])
def test_restricted_mean_equals_lifelines(horizon):
    theirs = restricted_mean_survival_time(KaplanMeierFitter().fit(TIME, EVENT), t=horizon)
    assert restricted_mean(kaplan_meier(TIME, EVENT), horizon) == pytest.approx(theirs)


def test_log_rank_equals_lifelines():
    ours = log_rank(TIME, EVENT, TREATED)
    arms = [(TIME[a == TREATED], EVENT[a == TREATED]) for a in (0, 1)]
    theirs = logrank_test(arms[0][0], arms[1][0], arms[0][1], arms[1][1])
    assert ours.statistic**2 == pytest.approx(theirs.test_statistic)
    assert ours.p_value == pytest.approx(theirs.p_value)
