"""Calibration: a published table 1 is matched, what cannot be reached is said, and weights are of maximum entropy."""

import doctest
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from twinarm.cohorts import calibration, load_population, sample_criteria, screen
from twinarm.cohorts.calibration import calibrate, rematched, select
from twinarm.cohorts.calibration.targets import Targets, TargetsError, load_targets


def targets(*entries):
    return Targets(format=1, name="test", source="chosen for tests", targets=entries)


@pytest.fixture(scope="module")
def adults():
    return screen(load_population("adult-us"), 3000, 5).cohort


@pytest.fixture
def normal():
    values = np.random.default_rng(1).standard_normal((2, 4000))
    return xr.Dataset(
        {name: ("twin", v, {"units": "kg"}) for name, v in zip("xy", values, strict=True)}, {"twin": np.arange(4000)}
    )


def test_weights_for_a_shifted_mean_are_the_density_ratio(normal):
    """The nearest law to N(0, 1) with mean 0.5 is N(0.5, 1): weights exp(0.5 x), effective share exp(-0.25)."""
    found = calibrate(normal, targets({"variable": "x", "unit": "kg", "mean": 0.5}))
    x = normal["x"].to_numpy()
    slope = np.polyfit(x, np.log(found.weights), 1)[0]
    assert slope == pytest.approx(0.5, abs=0.06) and np.ptp(np.log(found.weights) - slope * x) < 1e-6
    assert found.effective / 4000 == pytest.approx(np.exp(-0.25), abs=0.04)
    assert found.weights.sum() == pytest.approx(4000)


def test_a_spread_and_a_correlation_without_a_mean_are_reached(normal):
    """Statistics whose functions depend on the weights; checked by numpy's weighted covariance."""
    x, y = (normal[name].to_numpy() for name in "xy")
    found = calibrate(normal, targets({"variable": "x", "unit": "kg", "sd": 1.5}))
    assert found.matches[0].is_matched and np.sqrt(np.cov(x, aweights=found.weights, ddof=0)) == pytest.approx(1.5)
    found = calibrate(normal, targets({"pair": ("x", "y"), "correlation": 0.6}))
    covariance = np.cov(x, y, aweights=found.weights)
    assert found.matches[0].is_matched
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) == pytest.approx(0.6, abs=1e-4)


@pytest.mark.parametrize(
    "entry", [{"variable": "x", "unit": "kg", "sd": 2.2}, {"pair": ("x", "y"), "correlation": 0.9}]
)
def test_what_is_said_to_be_matched_is_matched(normal, entry):
    match = calibrate(normal.isel(twin=slice(1000)), targets(entry)).matches[0]
    assert match.is_matched == (abs(match.after - match.published) < 0.01) and match.after > match.before + 0.3


def test_the_largest_weight_is_told(normal):
    """Mean 2 of N(0, 1): weights exp(2 x), up to that of the furthest twin."""
    x = normal["x"].to_numpy()
    found = calibrate(normal, targets({"variable": "x", "unit": "kg", "mean": 2.0}))
    assert found.largest == found.weights[np.argmax(x)] > calibration.MOST_WEIGHT


@pytest.mark.parametrize(
    ("where", "table", "share"),
    [
        ("7 <= hba1c <= 9.5 and bmi >= 23", "surpass-1", 0.5),
        ("age <= 40 and bmi < 30 and 90 < sbp < 130", "healthy-qt-study", 0.02),
    ],
)
def test_a_published_table_1_is_matched(where, table, share):
    cohort = sample_criteria(load_population("adult-us"), [where], 1500, 1).cohort
    found = calibrate(cohort, load_targets(Path(table)))
    for match in found.matches:
        assert match.is_matched and match.after == pytest.approx(match.published, rel=1e-4), match.label
    assert found.effective > share * 1500


def test_every_kind_of_statistic(adults):
    found = calibrate(
        adults,
        targets(
            {"variable": "bmi", "unit": "kg/m2", "quantiles": ((0.25, 25.0), (0.5, 28.5), (0.75, 33.0))},
            {"variable": "sbp", "unit": "kPa", "mean": 17.0},
            {"variable": "weight", "unit": "kg", "sd": 18.0},
            {"variable": "race_ethnicity", "shares": {"nh_black": 0.3, "nh_asian": 0.1}},
            {"rule": "egfr < 60 and age >= 65", "share": 0.12},
            {"pair": ("sbp", "hba1c"), "correlation": 0.35},
        ),
    )
    after = {m.label: (m.after, m.published) for m in found.matches}
    assert not found.unreachable and len(after) == 9
    for label, (value, published) in after.items():
        assert value == pytest.approx(published, rel=5e-3), label
    assert after["sbp mean"][1] == pytest.approx(17.0 / 0.133322, rel=1e-5), "in the unit of the cohort"
    weights = found.weights / found.weights.sum()
    sbp, hba1c = adults["sbp"].to_numpy(), adults["hba1c"].to_numpy()
    assert np.cov(sbp, hba1c, aweights=weights)[0, 1] / np.sqrt(
        np.cov(sbp, aweights=weights) * np.cov(hba1c, aweights=weights)
    ) == pytest.approx(0.35, abs=2e-3)


def test_an_unreachable_target_is_left_and_the_others_are_matched(adults):
    found = calibrate(
        adults,
        targets(
            {"variable": "age", "unit": "year", "mean": 60.0},
            {"variable": "height", "unit": "cm", "mean": 215.0},
            {"variable": "sex", "shares": {"female": 0.3}},
        ),
    )
    assert found.unreachable == ("height mean",)
    assert [round(m.after, 3) for m in found.matches if m.is_matched] == [60.0, 0.3]
    assert found.matches[1].after < 180


def test_targets_that_exclude_each_other_are_not_all_matched(adults):
    found = calibrate(
        adults,
        targets({"rule": "age < 40", "share": 0.8}, {"variable": "age", "unit": "year", "mean": 70.0}),
    )
    assert len(found.unreachable) == 1
    assert all(m.after == pytest.approx(m.published, rel=1e-3) for m in found.matches if m.is_matched)


def test_a_selection_matches_within_its_own_error(adults):
    age = {"variable": "age", "unit": "year", "mean": 54.1, "sd": 11.9}
    wanted = targets(age, {"variable": "sex", "shares": {"female": 0.48}})
    found = calibrate(adults, wanted)
    chosen = select(adults, found.weights, 3)
    count = chosen.sizes["twin"]
    assert count == pytest.approx(3000 / found.weights.max(), abs=4 * np.sqrt(3000))
    mean, sd, female = (m.after for m in rematched(found, chosen, wanted))
    assert abs(mean - 54.1) < 4 * 11.9 / np.sqrt(count)
    assert abs(sd - 11.9) < 4 * 11.9 / np.sqrt(2 * count)
    assert abs(female - 0.48) < 4 * 0.5 / np.sqrt(count)
    part = adults.isel(twin=slice(1000, 2000))
    again = select(part, np.where(np.arange(1000) == 0, found.weights.max(), found.weights[1000:2000]), 3)
    assert set(again["twin"].values[1:]) <= set(chosen["twin"].values) | {1000}, "a twin's number is its own"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"variable": "agee", "unit": "year", "mean": 50.0}, "no variable 'agee'; did you mean 'age'"),
        ({"variable": "age", "unit": "kg", "mean": 50.0}, "age is published in kg, the cohort has year"),
        ({"variable": "sex", "unit": "1", "mean": 0.5}, "sex holds words; give shares"),
        ({"variable": "sex", "shares": {"woman": 0.5}}, "sex is never woman in the cohort; it is female, male"),
        ({"rule": "agee > 3", "share": 0.5}, "no variable is called 'agee'"),
        ({"pair": ("age", "sex"), "correlation": 0.5}, "sex holds words"),
        ({"rule": "age + 1", "share": 0.5}, r"rule 'age \+ 1' is not true or false of a twin; write a comparison"),
        ({"rule": "3 > 2", "share": 0.5}, "rule '3 > 2' is not true or false of a twin"),
    ],
)
def test_targets_that_do_not_fit_the_cohort(adults, entry, message):
    with pytest.raises(TargetsError, match=message):
        calibrate(adults, targets(entry))


@pytest.mark.parametrize(
    "entry",
    [
        {"rule": "y > 0 or x > 3", "share": 0.5},
        {"variable": "y", "unit": "kg", "mean": 0.5},
        {"variable": "y", "shares": {"0.5": 0.5}},
        {"pair": ("x", "y"), "correlation": 0.1},
    ],
)
def test_a_missing_value_is_not_counted_as_one_that_does_not_meet(normal, entry):
    gaps = normal.assign(y=normal["y"].where(normal["twin"] >= 3))
    with pytest.raises(TargetsError, match=r"targets\[0\]: y is missing in 3 of 4000 twins; leave them out first"):
        calibrate(gaps, targets(entry))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{variable: age, unit: year, mean: 50, sd: -1}", r"targets\[0\]\.sd: .*greater than 0"),
        ("{variable: age, mean: 50}", "has no unit"),
        ("{variable: age, unit: year}", "give at least one of these"),
        ("{variable: age, rule: age > 3, share: 0.2}", "names none or several"),
        ("{rule: 'age >', share: 0.2}", "is no expression"),
        ("{rule: age > 3, share: 1.2}", "less than or equal to 1"),
        ("{pair: [a, b], correlation: 2.0}", "less than or equal to 1"),
        ("{variable: sex, shares: {a: 0.7, b: 0.7}}", "sum to 1 at most"),
        ("{variable: age, unit: year, meen: 5}", r"targets\[0\]\.meen: extra inputs"),
    ],
)
def test_a_file_with_faults_names_the_line(tmp_path, text, message):
    file = tmp_path / "t.yaml"
    file.write_text(f"format: 1\nname: x\nsource: chosen\ntargets:\n  - {text}\n")
    with pytest.raises(TargetsError, match=message) as raised:
        load_targets(file)
    assert str(raised.value).startswith(f"{file}:5:")


def test_published_targets_have_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_targets(Path("dapa-hf")).name.startswith("DAPA-HF")
    with pytest.raises(TargetsError, match=r"give a file of targets .* or one of .*dapa-hf"):
        load_targets(Path("dapa"))


def test_other_files_that_are_no_targets(tmp_path):
    with pytest.raises(TargetsError, match="there is no such file"):
        load_targets(tmp_path / "none.yaml")
    (tmp_path / "t.yaml").write_text("format: 1\nname: x\nname: y\n")
    with pytest.raises(TargetsError, match="3:1"):
        load_targets(tmp_path / "t.yaml")


def test_examples():
    assert doctest.testmod(calibration).failed == 0
