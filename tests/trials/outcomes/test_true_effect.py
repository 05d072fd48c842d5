"""The true effect against direct computation and against theory."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from twinarm.trials.courses import event_days
from twinarm.trials.hazard_ratio import hazard_ratio
from twinarm.trials.true_effect import true_effects

STOPPING = {"name": "stopping", "label": "Stops", "arms": ("active",), "then_as": "usual",
            "hazard": {"probability": 0.6, "over": "6 day"}}  # fmt: skip
WEIGHTS = np.array([1, 2, 3]) / 6
AFTER = ["day 1", "day 3", "day 6"]


def row(effects: xr.Dataset, endpoint: str, summary: str = "") -> xr.Dataset:
    names, texts = effects["endpoint"].values, effects["summary"].values
    [place] = [i for i in range(names.size) if names[i] == endpoint and str(texts[i]).startswith(summary)]
    return effects.isel(effect=place)


def with_strategy(strategy: str) -> dict[str, Any]:
    handling = {"event": "stopping", "strategy": strategy, "why": "a test"}
    estimand = {"name": "main", "endpoint": "time-in-range", "population": "all", "summary": "difference in means",
                "intercurrent_events": (handling,)}  # fmt: skip
    return {"intercurrent_events": (STOPPING,), "estimands": (estimand,)}


def levels(outcomes: xr.Dataset, arm: str) -> np.ndarray:
    values: np.ndarray = outcomes["time_in_range"].sel(arm=arm, visit=AFTER).transpose("twin", "visit").values
    return values


def test_means_and_rates_equal_direct_computation(build: Any, many: Any, bank: Any):
    protocol = build(dropout=({"probability": 0.9, "over": "6 day"},))  # dropout has no part in the truth
    outcomes = bank(protocol, many(np.arange(80, 140)))  # twin 96 fails
    effects = true_effects(protocol, outcomes)
    kept = outcomes.sel(twin=outcomes["twin"] != 96)
    difference = (levels(kept, "active") - levels(kept, "usual")) @ WEIGHTS
    tir = row(effects, "time-in-range")
    assert tir["twins"].item() == 59
    assert tir["value"].item() == pytest.approx(difference.mean())
    assert tir["se"].item() == pytest.approx(difference.std(ddof=1) / np.sqrt(59))
    assert tir["control"].item() == pytest.approx((levels(kept, "usual") @ WEIGHTS).mean())
    assert (tir["units"].item(), tir["summary"].item(), tir["estimand"].item()) == (
        "percent",
        "difference in means",
        "main",
    )
    assert effects["individual"].values[0] == pytest.approx(difference)
    assert 96 not in effects["twin"].values
    assert effects["individual_quantile"].values[0] == pytest.approx(
        np.quantile(difference, (0.05, 0.25, 0.5, 0.75, 0.95))
    )
    assert "identified by no trial" in effects.attrs["note"]

    lows = kept["lows"].sel(visit=AFTER).sum(("twin", "visit"))
    days = kept["lows_exposure"].sel(visit=AFTER).sum(("twin", "visit"))
    rate = lows / days
    found = row(effects, "lows")
    assert found["value"].item() == pytest.approx((rate.sel(arm="active") / rate.sel(arm="usual")).item())
    assert found["experimental"].item() == pytest.approx(365.25 * rate.sel(arm="active").item())


def test_individual_effects_are_kept_of_the_endpoints_that_are_asked_for(protocol: Any, many: Any, bank: Any):
    outcomes = bank(protocol, many(np.arange(80, 140)))
    whole, some = true_effects(protocol, outcomes), true_effects(protocol, outcomes, individual=["lows"])
    assert set(whole["contrast_endpoint"].values) > {"lows"}
    assert some["contrast_endpoint"].values.tolist() == ["lows"]
    own = whole["contrast_endpoint"].values == "lows"
    np.testing.assert_array_equal(some["individual"].values, whole["individual"].values[own])
    per_effect = ["value", "se", "control", "experimental", "twins"]
    xr.testing.assert_identical(some[per_effect], whole[per_effect].drop_vars("twin", errors="ignore"))
    assert true_effects(protocol, outcomes, individual=[])["individual"].shape == (0, outcomes.sizes["twin"] - 1)


def test_the_error_of_a_rate_ratio_is_that_of_a_bootstrap(protocol: Any, many: Any, bank: Any):
    outcomes = bank(protocol, many(np.arange(200, 280)))
    found = row(true_effects(protocol, outcomes), "lows")
    counts = {arm: outcomes["lows"].sel(arm=arm, visit=AFTER).sum("visit").values for arm in ("active", "usual")}
    picks = np.random.default_rng(1).integers(0, 80, (4000, 80))
    ratios = np.log(counts["active"][picks].sum(1) / counts["usual"][picks].sum(1))
    assert found["se"].item() / found["value"].item() == pytest.approx(ratios.std(), rel=0.15)


def test_treatment_policy_follows_the_event_and_hypothetical_does_not(build: Any, many: Any, bank: Any):
    cohort = many(np.arange(40))
    outcomes = bank(build(), cohort)
    plain = row(true_effects(build(), outcomes), "time-in-range")["value"].item()
    hypothetical = row(true_effects(build(**with_strategy("hypothetical")), outcomes), "time-in-range")["value"].item()
    policy_protocol = build(**with_strategy("treatment-policy"))
    policy = row(true_effects(policy_protocol, outcomes), "time-in-range")["value"].item()
    assert hypothetical == plain

    # By hand: after the event a twin is as in the control arm, so it keeps the effect of the time before.
    day = event_days(policy_protocol, outcomes, np.arange(40), np.zeros(40, dtype=int))["stopping"]
    start, end = np.array([0, 1, 3]), np.array([1, 3, 6])
    on = np.clip((np.minimum(day[:, None], end) - start) / (end - start), 0, 1)
    expected = (((levels(outcomes, "active") - levels(outcomes, "usual")) * on) @ WEIGHTS).mean()
    assert policy == pytest.approx(expected)
    assert 0 < policy < plain


def test_times_to_event_equal_direct_computation_and_theory(build: Any, many: Any, bank: Any):
    """Hazards 0.05 and 0.1 a day over 6 days; both arms of a twin share one uniform."""
    protocol = build(
        deaths=True,
        schedule={"run_in": "0 day", "duration": "6 day", "visits": ({"name": "end", "at": "6 day"},)},
        analyses=({"endpoint": "survival", "model": "weibull"},),
        keep=None,
    )
    protocol = protocol.model_copy(update={"endpoints": protocol.endpoints[2:]})
    outcomes = bank(protocol, many(np.arange(100_000, 100_400)))
    effects = true_effects(protocol, outcomes)
    time = outcomes["survival"].sel(arm=["usual", "active"]).transpose("twin", "arm").values
    event = outcomes["survival_event"].sel(arm=["usual", "active"]).transpose("twin", "arm").values
    ok = np.isfinite(time).all(axis=1)
    time, event = time[ok], event[ok]

    ratio = row(effects, "survival", "hazard ratio")
    treated = np.tile([0.0, 1.0], time.shape[0])
    assert ratio["value"].item() == pytest.approx(hazard_ratio(time.ravel(), event.ravel(), treated))
    assert abs(ratio["value"].item() - 0.5) < 4 * ratio["se"].item()
    # paired twins: the error is below that of two independent groups, and not zero
    assert 0 < ratio["se"].item() / ratio["value"].item() < np.sqrt(1 / event[:, 0].sum() + 1 / event[:, 1].sum())

    rmst = row(effects, "survival", "difference in restricted mean time to day 6")
    assert rmst["value"].item() == pytest.approx((time[:, 1] - time[:, 0]).mean())
    expected = (1 - np.exp(-0.3)) / 0.05 - (1 - np.exp(-0.6)) / 0.1
    assert abs(rmst["value"].item() - expected) < 4 * rmst["se"].item()
    risk = row(effects, "survival", "risk difference by day 6")
    assert risk["value"].item() == pytest.approx((event[:, 1] - event[:, 0]).mean())
    alive = row(effects, "alive")
    assert alive["summary"].item() == "risk difference"
    assert abs(alive["value"].item() - (np.exp(-0.2) - np.exp(-0.4))) < 4 * alive["se"].item()


def test_the_error_of_the_hazard_ratio_is_that_of_new_banks(build: Any):
    """sd of the log ratio over 300 made-up banks of 100 twins, against the jackknife's mean estimate."""
    from twinarm.trials.estimands import Outcome
    from twinarm.trials.true_effect import marginal_hazard_ratio

    rng = np.random.default_rng(6)
    logs, errors = [], []
    for _ in range(300):
        shared = rng.exponential(size=100)
        times = [np.where(rng.random(100) < 0.5, shared, rng.exponential(size=100)) * scale for scale in (5, 8)]
        control, active = (Outcome(np.minimum(t, 6.0), (t <= 6.0).astype(float)) for t in times)
        effect = marginal_hazard_ratio(control, active)
        logs.append(np.log(effect.value))
        errors.append(effect.se / effect.value)
    assert np.mean(errors) == pytest.approx(np.std(logs), rel=0.2)
