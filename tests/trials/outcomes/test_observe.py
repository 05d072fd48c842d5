"""One trial out of the bank: recruitment, arms, intercurrent events spliced by hand, dropout and what is missing."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from twinarm.models.randomness import uniforms
from twinarm.trials.courses import arm_shares, event_days, follow, hazard_days
from twinarm.trials.measures import SpliceError, outcome_layout
from twinarm.trials.observe import BankError, observe
from twinarm.trials.protocol import Hazard

STOPPING = {"name": "stopping", "label": "Stops", "arms": ("active",), "then_as": "usual",
            "hazard": {"probability": 0.6, "over": "6 day"}}  # fmt: skip
POLICY = {"event": "stopping", "strategy": "treatment-policy", "why": "it counts"}
HANDLED = ({"name": "main", "endpoint": "time-in-range", "population": "all", "summary": "difference in means",
            "intercurrent_events": (POLICY,)},)  # fmt: skip
LOST = ({"probability": 0.5, "over": "6 day", "arms": ("active",)}, {"probability": 0.3, "over": "6 day"})


def test_subjects_are_observed_in_one_arm_each(protocol: Any, cohort: xr.Dataset, bank: Any):
    outcomes = bank(protocol, cohort)
    subjects = observe(protocol, cohort, outcomes)
    assert subjects.sizes["subject"] == 30
    assert np.unique(subjects["twin"].values).size == 30
    assert (np.diff(subjects["enrolment_day"].values) >= 0).all()
    assert ((subjects["enrolment_day"] > 0) & (subjects["enrolment_day"] < 30)).all()
    for name in ("time_in_range", "lows", "lows_exposure"):
        assert subjects[name].attrs == outcomes[name].attrs
        for subject in range(30):
            row = subjects.isel(subject=subject)
            expected = outcomes[name].sel(twin=row["twin"].item(), arm=row["arm"].item())
            assert np.array_equal(row[name].values, expected.values)
    assert subjects["covariate_level"].values == pytest.approx(cohort["level"].sel(twin=subjects["twin"]).values)
    assert np.isinf(subjects["dropout_day"]).all()
    for stratum in ("sex=female", "sex=male"):
        arms = subjects["arm"].values[subjects["stratum"].values == stratum]
        whole = arms.size // 6 * 6
        assert (arms[:whole] == "active").sum() == whole * 2 // 3


def test_rows_may_come_in_any_order(protocol: Any, cohort: xr.Dataset, bank: Any):
    outcomes = bank(protocol, cohort)
    turned = observe(protocol, cohort.isel(twin=slice(None, None, -1)), outcomes.isel(twin=slice(None, None, -1)))
    xr.testing.assert_identical(turned, observe(protocol, cohort, outcomes))


@pytest.mark.parametrize("subjects", [2, 30, 60])
def test_a_bank_gone_through_in_parts_makes_the_same_trial(
    build: Any, many: Any, bank: Any, monkeypatch: pytest.MonkeyPatch, subjects: int
):
    protocol, cohort = build(subjects=subjects), many(np.arange(40, 140))
    outcomes = bank(protocol, cohort)
    whole = observe(protocol, cohort, outcomes)
    lots = uniforms(protocol.seed, "recruitment.0", cohort["twin"].values)[:, 0]
    lots[cohort["twin"].values == 96] = 2.0  # failed
    assert set(whole["twin"].values) == set(cohort["twin"].values[np.argsort(lots)[:subjects]])
    monkeypatch.setattr("twinarm.trials.observe.AT_ONCE", 7)
    xr.testing.assert_identical(observe(protocol, cohort, outcomes), whole)


def test_replicates_are_other_trials_of_the_same_bank(protocol: Any, cohort: xr.Dataset, bank: Any):
    outcomes = bank(protocol, cohort)
    first, second = (observe(protocol, cohort, outcomes, replicate) for replicate in (0, 1))
    assert not np.array_equal(first["twin"], second["twin"])
    xr.testing.assert_identical(first, observe(protocol, cohort, outcomes, 0))


def test_a_small_bank_makes_a_smaller_trial_and_says_so(build: Any, cohort: xr.Dataset, bank: Any):
    protocol = build(subjects=200)
    subjects = observe(protocol, cohort, bank(protocol, cohort))
    assert subjects.sizes["subject"] == 40
    assert subjects.attrs["note"] == "40 subjects instead of the 200 of the protocol: the bank holds 40 usable twins"
    assert (subjects.attrs["subjects_planned"], subjects.attrs["available"], subjects.attrs["bank"]) == (200, 40, 40)


def test_failed_twins_are_not_recruited(protocol: Any, many: Any, bank: Any):
    cohort = many(np.arange(90, 100))
    subjects = observe(protocol, cohort, bank(protocol, cohort))
    assert 96 not in subjects["twin"].values
    assert subjects.attrs["available"] == 9
    with pytest.raises(BankError, match="1 of 2 twins completed every arm"):
        observe(protocol, many([96, 97]), bank(protocol, many([96, 97])))
    with pytest.raises(BankError, match="different twins"):
        observe(protocol, many([95, 97]), bank(protocol, many([97, 95])))


def test_arms_in_another_order_are_refused(protocol: Any, cohort: xr.Dataset, bank: Any):
    with pytest.raises(BankError, match="the outcomes hold the arms"):
        observe(protocol, cohort, bank(protocol, cohort).isel(arm=[1, 0]))


def test_hazards_have_the_probability_that_is_stated():
    day = hazard_days(Hazard(probability=0.2, over=182.0), 5, "ice.x.0", np.arange(20_000))
    for over, probability in ((182.0, 0.2), (91.0, 1 - 0.8**0.5), (364.0, 0.36)):
        assert abs((day <= over).mean() - probability) < 4 * np.sqrt(probability * (1 - probability) / 20_000)
    assert np.isinf(hazard_days(Hazard(probability=0.0, over=1.0), 5, "ice.x.0", np.arange(3))).all()


def test_what_follows_an_event_is_the_other_arm(build: Any):
    """Periods (-2, 0], (0, 1], (1, 3], (3, 6]; the event on day 1.5 is a quarter into the period of two days."""
    protocol = build(intercurrent_events=(STOPPING,), estimands=HANDLED)
    days = {"stopping": np.array([1.5, np.inf, 1.0, 5.25])}
    shares = arm_shares(protocol, np.array([0, 0, 0, 0]), days)
    assert shares[:, :, 1].tolist() == [[0, 0, 0.75, 1], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0.25]]
    assert (shares.sum(axis=2) == 1).all()

    active, usual = [50.0, 80.0, 84.0, 90.0], [50.0, 60.0, 64.0, 62.0]
    outcomes = xr.Dataset(
        {
            "time_in_range": (("twin", "arm", "visit"), [[active, usual]] * 4),
            "lows": (("twin", "arm", "visit"), [[[4, 8, 40, 16], [4, 0, 0, 0]]] * 4),
            "lows_exposure": (("twin", "arm", "visit"), [[[2, 1, 1.6, 3], [2, 1, 2, 3]]] * 4),
        },
        coords={"twin": [1, 2, 3, 4]},
    )
    seen = follow(protocol, outcomes, np.arange(4), np.zeros(4, dtype=int), days)
    assert seen["time_in_range"].tolist() == [
        [50, 80, 0.25 * 84 + 0.75 * 64, 62], active, [50, 80, 64, 62], [50, 80, 84, 0.75 * 90 + 0.25 * 62],
    ]  # fmt: skip
    assert seen["lows_exposure"].tolist()[0] == pytest.approx([2, 1, 0.25 * 1.6 + 0.75 * 2, 3])
    lows = seen["lows"]
    assert lows[0, [0, 1, 3]].tolist() == [4, 8, 0] and lows[1].tolist() == [4, 8, 40, 16]
    assert lows[0, 2] == round(lows[0, 2]) and 0 <= lows[0, 2] <= 40


def test_mixed_counts_are_whole_and_right_on_average(build: Any):
    protocol = build(intercurrent_events=(STOPPING,), estimands=HANDLED)
    n = 4000
    counts = np.zeros((n, 2, 4))
    counts[:, 0, 2], counts[:, 1, 2] = 12, 4
    outcomes = xr.Dataset(
        {name: (("twin", "arm", "visit"), counts) for name in ("time_in_range", "lows", "lows_exposure")},
        coords={"twin": np.arange(n)},
    )
    days = {"stopping": np.full(n, 1.5)}
    lows = follow(protocol, outcomes, np.arange(n), np.zeros(n, dtype=int), days)["lows"][:, 2]
    assert (lows == np.round(lows)).all()
    variance = (12 + 4) * 0.25 * 0.75
    assert abs(lows.mean() - (0.25 * 12 + 0.75 * 4)) < 4 * np.sqrt(variance / n)
    assert lows.var() == pytest.approx(variance, rel=0.15)


def test_two_changes_of_arm_follow_each_other(build: Any):
    arms = (*build().model_dump()["arms"], {"name": "rescue", "label": "Rescue", "role": "experimental"})
    rescued = {**STOPPING, "name": "rescued", "then_as": "rescue"}
    protocol = build(
        arms=arms, allocation={"ratio": (1, 1, 1), "block": 3}, intercurrent_events=(STOPPING, rescued), estimands=()
    )
    days = {"stopping": np.array([3.75, 4.5]), "rescued": np.array([4.5, 3.0])}
    shares = arm_shares(protocol, np.array([0, 0]), days)
    assert shares[0, 3].tolist() == [0.25, 0.25, 0.5]  # active to 3.75, as usual to 4.5, then rescue
    assert shares[1, 3].tolist() == [0.0, 0.5, 0.5]  # rescue from 3, as usual from 4.5


def test_a_change_of_arm_cannot_be_followed_in_a_time_to_event(build: Any):
    protocol = build(deaths=True, intercurrent_events=(STOPPING,))
    with pytest.raises(SpliceError, match=r"'stopping' has 'then_as'.*survival, alive"):
        outcome_layout(protocol)  # what the store asks for before anything is simulated


def test_events_of_the_simulation_are_read_in_the_own_arm(build: Any, cohort: xr.Dataset, bank: Any):
    event = {"name": "death", "label": "Death", "endpoint": "survival"}
    protocol = build(deaths=True, intercurrent_events=(event,))
    outcomes = bank(protocol, cohort)
    arms = np.arange(40) % 2
    days = event_days(protocol, outcomes, np.arange(40), arms)["death"]
    for row in range(40):
        own = outcomes.isel(twin=row, arm=arms[row])
        expected = own["survival"].item() if own["survival_event"] == 1 else np.inf
        assert days[row] == expected
    assert np.isfinite(days).any() and np.isinf(days).any()


def test_what_comes_after_dropout_is_missing(build: Any, cohort: xr.Dataset, bank: Any):
    whole, cut = build(deaths=True), build(deaths=True, dropout=LOST)
    outcomes = bank(whole, cohort)
    full, seen = observe(whole, cohort, outcomes), observe(cut, cohort, outcomes)
    assert np.array_equal(full["twin"], seen["twin"]) and np.array_equal(full["arm"], seen["arm"])
    lost = seen["dropout_day"].values
    assert (lost[np.isfinite(lost)] < 6).all()
    assert 5 < np.isfinite(lost).sum() < 28
    for subject in range(30):
        before, after = full.isel(subject=subject), seen.isel(subject=subject)
        for end, visit in ((0, "baseline"), (1, "day 1"), (3, "day 3"), (6, "day 6")):
            for name in ("time_in_range", "lows", "lows_exposure"):
                expected = before[name].sel(visit=visit).item() if end <= lost[subject] else np.nan
                assert np.array_equal(after[name].sel(visit=visit).item(), expected, equal_nan=True)
        died = before["survival"].item()
        assert after["survival"].item() == min(died, lost[subject])
        assert after["survival_event"].item() == (before["survival_event"].item() if died <= lost[subject] else 0.0)
        expected = before["alive"].item() if lost[subject] >= 4 else np.nan
        assert np.array_equal(after["alive"].item(), expected, equal_nan=True)


def test_dropout_has_the_probability_of_its_hazards_together(build: Any):
    from twinarm.trials.observe import dropout_days

    twins, n = np.arange(20_000), 20_000
    days = dropout_days(build(dropout=LOST), twins, twins % 2)
    for arm, probability in ((0, 1 - 0.5 * 0.7), (1, 0.3)):
        share = np.isfinite(days[twins % 2 == arm]).mean()
        assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / (n / 2))


def test_events_after_dropout_are_not_seen(build: Any, cohort: xr.Dataset, bank: Any):
    protocol = build(intercurrent_events=(STOPPING,), estimands=HANDLED, dropout=LOST)
    subjects = observe(protocol, cohort, bank(protocol, cohort))
    event, lost = subjects["ice_stopping_day"].values, subjects["dropout_day"].values
    assert np.isfinite(event).any()
    assert (np.isinf(event) | (event < lost)).all()
    assert np.isinf(event[subjects["arm"].values == "usual"]).all()
