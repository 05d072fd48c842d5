"""Figures against facts: a known normal posterior, hand-made survival, plain counts, subgroups against lifelines."""

import re

import numpy as np
import pytest

from twinarm.workflows.report.flow import flow_picture
from twinarm.workflows.report.forest import difference, hazard_ratio_interval, rate_ratio
from twinarm.workflows.report.participants import flow_of, ledger_table
from twinarm.workflows.report.pictures import kept_pictures, survival_pictures, waterfall_pictures
from twinarm.workflows.report.posterior import Effect, density, effect_picture
from twinarm.workflows.report.subgroups import subgroup_picture
from twinarm.workflows.report.survival import SurvivalArm, survival_picture
from twinarm.workflows.report.trajectories import daily_profile


def test_density_integrates_to_one():
    x, y = density(np.random.default_rng(0).normal(3, 2, 4000))
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=0.01)


def test_margin_and_truth_are_in_the_frame():
    draws = np.random.default_rng(0).normal(10, 0.1, (4, 500))
    picture = effect_picture("k", "Effect", Effect("difference", draws, "%", 0.95, 0.0, (1.0, True), 20.0), "#000000")
    assert "no difference" in picture.svg
    assert "margin 1.0" in picture.svg
    assert "credible interval" in picture.alt
    assert picture.table.rows[4][1].value == pytest.approx(np.median(draws))


def test_survival_by_hand():
    # 4 subjects: events at 10 and 30, censored at 20 and 40: S = 3/4, then 3/4 * 1/2.
    arm = SurvivalArm("A", np.array([10.0, 20.0, 30.0, 40.0]), np.array([1.0, 0.0, 1.0, 0.0]))
    picture = survival_picture("k", "x", (arm,), 40.0)
    rows = {row[1].value * 7.0: (row[2].value, row[3].value) for row in picture.table.rows}
    assert rows[0.0] == (4, 1.0)
    assert rows[14.0] == (3, 0.75)
    assert rows[35.0] == (1, 0.375)
    assert "2 events in 4 subjects" in picture.alt


def test_daily_profile_is_by_time_of_day():
    time = np.arange(0, 4, 1 / 96)
    values = np.tile(np.floor((time % 1) * 48 + 1e-9), (3, 1))
    hours, quantiles = daily_profile(time, values)
    assert hours[0] == 0.25
    assert np.array_equal(quantiles[2], np.arange(48))


def test_flow_counts_add_up(t1d):
    flow = flow_of(t1d)
    for step, following in zip(flow.trunk, flow.trunk[1:], strict=False):
        assert step.count - sum(loss.count for loss in step.losses) == following.count
    assert sum(arm.randomised for arm in flow.arms) == flow.trunk[-1].count == t1d.subjects.sizes["subject"]
    drawn = re.sub(r"<[^>]+>", " ", flow_picture("k", flow).svg)
    for step in flow.trunk:
        assert f"n = {step.count:,}" in drawn
    assert "solver: step limit reached" in drawn
    assert len(ledger_table(t1d).rows) == len(t1d.ledger)


def test_figures_fit_the_trial(t1d, docetaxel):
    assert [p.key for p in kept_pictures(t1d)] == ["fig-agp-cgm-1", "fig-agp-cgm-2", "fig-kept-cgm-1", "fig-kept-cgm-2"]
    assert [p.key for p in survival_pictures(docetaxel)] == [
        "fig-survival-overall-survival",
        "fig-survival-progression-free-survival",
    ]
    assert len(list(waterfall_pictures(docetaxel))) == 2
    assert not list(waterfall_pictures(t1d))


def test_arms_keep_their_colour(docetaxel):
    for picture in survival_pictures(docetaxel):
        assert "#b8560b" in picture.svg
        assert "#0b6a94" in picture.svg
    first, second = waterfall_pictures(docetaxel)
    assert "#b8560b" in first.svg
    assert "#0b6a94" in second.svg


def test_subgroup_of_all_is_the_plain_difference(t1d):
    picture = subgroup_picture(t1d, t1d.primary, "k")
    data = t1d.data["time_in_range"]
    plain = data.y[data.treated == 1].mean() - data.y[data.treated == 0].mean()
    assert picture.table.rows[0][3].value == pytest.approx(plain)
    assert len(picture.table.rows) == 1 + len(t1d.protocol.subgroups)
    assert "Descriptive" in picture.note


def test_intervals_of_subgroups():
    rng = np.random.default_rng(5)
    middle, low, high = difference(rng.normal(0, 1, 400), rng.normal(1, 1, 400))
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(2 / 400), rel=0.1)
    assert low < middle < high
    ratio, low, high = rate_ratio((100, 1000.0), (50, 1000.0))
    assert ratio == 0.5
    assert np.log(high / low) == pytest.approx(2 * 1.96 * np.sqrt(1 / 100 + 1 / 50), rel=1e-3)
    assert np.isnan(rate_ratio((0, 10.0), (5, 10.0))).all()


def test_hazard_ratio_interval_is_near_that_of_cox():
    lifelines = pytest.importorskip("lifelines")
    import pandas as pd

    rng = np.random.default_rng(7)
    treated = np.repeat([0.0, 1.0], 200)
    time = rng.exponential(np.where(treated == 1, 150, 100))
    event = (time < 200) * 1.0
    time = np.minimum(time, 200)
    cox = lifelines.CoxPHFitter().fit(pd.DataFrame({"t": time, "e": event, "x": treated}), "t", "e")
    low, high = np.exp(cox.confidence_intervals_.values[0])
    ours = hazard_ratio_interval(time, event, treated)
    assert ours[0] == pytest.approx(float(np.exp(cox.params_["x"])), rel=1e-4)
    assert ours[1:] == pytest.approx((low, high), rel=0.02)
