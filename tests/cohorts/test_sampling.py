"""Adults of the US: the same bits for any slice, the published shares, quantiles and correlations, derived values."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import spearmanr

from twinarm.cohorts import Population, load_population, sample_twins
from twinarm.cohorts.criteria.streams import GivenStreams
from twinarm.models.expressions import evaluate

DATA = Path(__file__).parent / "data"
FIGURES = Path(__file__).parents[2] / "cohorts" / "populations" / "data"
SIZE = 60_000


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def adults() -> Population:
    return load_population("adult-us")


@pytest.fixture(scope="module")
def people(adults):
    return sample_twins(adults, np.arange(SIZE), seed=20)


@pytest.fixture(scope="module")
def block(adults):
    return sample_twins(adults, np.arange(400), seed=3)


@settings(max_examples=40, deadline=None)
@given(ids=st.lists(st.integers(0, 399), min_size=1, max_size=30))
def test_any_choice_of_twins_equals_the_same_rows_of_the_whole(adults, block, ids):
    some = sample_twins(adults, ids, seed=3)
    assert some.identical(block.isel(twin=ids))


def test_one_twin_alone_equals_its_row(adults, people):
    assert sample_twins(adults, [41_234], seed=20).identical(people.isel(twin=[41_234]))


def test_twin_ids_may_be_large_and_another_seed_is_another_person(adults):
    first, other = (sample_twins(adults, [10**12], seed=seed) for seed in (1, 2))
    assert float(first["height"].item()) != float(other["height"].item())


@pytest.mark.parametrize("ids", [[-1], [[1, 2]]])
def test_ids_that_are_no_ids_are_refused(adults, ids):
    with pytest.raises(ValueError, match="twin ids from 0"):
        sample_twins(adults, ids, seed=1)


def test_shares_of_age_sex_and_race_are_those_of_the_table(people):
    rows = _rows(FIGURES / "us_demographics_adult.csv")
    total = sum(float(row["share"]) for row in rows)
    for row in rows:
        share = float(row["share"]) / total
        inside = (people["age"] >= float(row["age_from"])) & (people["age"] <= float(row["age_to"]))
        inside &= (people["sex"] == row["sex"]) & (people["race_ethnicity"] == row["race_ethnicity"])
        mcse = np.sqrt(share * (1 - share) / SIZE)
        assert abs(float(inside.mean()) - share) < 4 * mcse, row


def test_every_year_of_a_band_is_as_likely(people):
    age = people["age"].values
    counts = np.array([np.sum(age == year) for year in range(30, 40)])
    expected = counts.sum() / 10
    assert np.sum((counts - expected) ** 2 / expected) < 27.9  # chi-squared, 9 degrees of freedom, 99.9 %


@pytest.mark.parametrize("variable", ["height_cm", "weight_kg", "waist_cm", "sbp_mmhg", "creatinine_mgdl", "bmi"])
@pytest.mark.parametrize("sex", ["female", "male"])
def test_quantiles_are_those_of_the_people_of_the_survey(adults, people, sex, variable):
    """Within 3.5 standard errors of the published quantile (from its effective sample size), and 4 of our own.

    The largest of some 400 such comparisons lies near 3.1 where all is well.
    """
    names = {v.column: v.name for v in adults.covariates.variables} | {"bmi": "bmi"}
    levels = ["p5", "p10", "p25", "p50", "p75", "p90", "p95"]
    probability = np.array([float(level[1:]) / 100 for level in levels])
    for row in _rows(DATA / "nhanes_marginals_adult.csv"):
        if (row["sex"], row["variable"]) != (sex, variable) or row["race_eth"] == "nh_black":
            continue
        if row["age_band"] != "18+":
            continue
        inside = people["sex"].values == sex
        if row["race_eth"] != "all":
            inside &= people["race_ethnicity"].values == row["race_eth"]
        values = people[names[variable]].values[inside]
        published = np.array([float(row[level]) for level in levels])
        slope = np.gradient(published, probability)
        spread = slope * np.sqrt(probability * (1 - probability))
        allowed = 3.5 * spread / np.sqrt(float(row["n_eff"])) + 4 * spread / np.sqrt(values.size)
        assert np.all(np.abs(np.quantile(values, probability) - published) < allowed), (row["race_eth"], published)


@pytest.mark.parametrize("sex", ["female", "male"])
def test_correlations_given_age_are_the_published_ones(adults, sex):
    """Spearman's coefficient of people of one age, turned into the normal scores' correlation."""
    population = adults.changed(demographics=adults.demographics.changed(ages=(50, 50)))
    twins = sample_twins(population, np.arange(40_000), seed=5)
    twins = twins.isel(twin=np.flatnonzero(twins["sex"].values == sex))
    names = {v.column: v.name for v in adults.covariates.variables}
    values = np.column_stack([twins[name].values for name in names.values()])
    scores = 2 * np.sin(np.pi * spearmanr(values).statistic / 6)
    position = {column: i for i, column in enumerate(names)}
    off = [
        scores[position[row["variable_1"]], position[row["variable_2"]]] - float(row["correlation"])
        for row in _rows(FIGURES / "nhanes_copula_adult.csv")
        if row["sex"] == sex and row["age_from"] == "40" and {row["variable_1"], row["variable_2"]} <= set(position)
    ]
    mcse = 1.05 / np.sqrt(twins.sizes["twin"])
    # A mixture of races is not exactly normal, and rounded values have ties.
    assert np.sqrt(np.mean(np.square(off))) < 0.015 + mcse
    assert np.max(np.abs(off)) < 0.06 + 4 * mcse


def test_height_and_weight_do_not_depend_on_which_others_are_drawn(people):
    slim = load_population("t1d-adults")
    same_ages = slim.changed(model=None, demographics=slim.demographics.changed(ages=(18, 80)), plausibility=())
    twins = sample_twins(same_ages, np.arange(500), seed=20)
    for name in ("age", "sex", "race_ethnicity", "height", "weight", "bmi", "bsa"):
        assert (twins[name].values == people[name].values[:500]).all()


def _derived(adults: Population, name: str, **person: object) -> float:
    (derived,) = (d for d in adults.derived if d.name == name)
    return float(evaluate(derived.expression, {key: np.array([value]) for key, value in person.items()}).item())


def test_body_surface_of_180_cm_and_80_kg_is_2_square_metres(adults):
    assert _derived(adults, "bsa", height=180.0, weight=80.0) == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize(
    ("sex", "age", "creatinine", "expected"),
    [
        ("male", 55.0, 1.2, 71.4),  # worked example of the 2021 equation
        ("male", 40.0, 0.9, 142 * 0.9938**40),  # both terms are 1 at kappa
        ("female", 40.0, 0.7, 142 * 0.9938**40 * 1.012),
        ("female", 60.0, 0.5, 142 * (0.5 / 0.7) ** -0.241 * 0.9938**60 * 1.012),
        ("male", 60.0, 0.6, 142 * (0.6 / 0.9) ** -0.302 * 0.9938**60),
    ],
)
def test_egfr_is_the_2021_equation(adults, sex, age, creatinine, expected):
    assert _derived(adults, "egfr", sex=sex, age=age, creatinine=creatinine) == pytest.approx(expected, abs=0.05)


def test_scores_beyond_the_outermost_quantiles_run_on_and_rise(adults):
    curves = adults.covariates.quantiles
    z = np.linspace(-5, 5, 2001)
    sex, age = np.full(z.size, "female"), np.full(z.size, 47.0)
    for variable in range(len(adults.covariates.variables)):
        values = curves.value(variable, z, curves.grid.place(age, sex))
        assert np.isfinite(values).all() and (values > 0).all()
        assert (np.diff(values) > 0).all(), adults.covariates.variables[variable].name


@pytest.mark.parametrize("sex", ["female", "male"])
def test_conditions_have_the_published_prevalence(people, sex):
    """At the ages of the table, within 5 standard errors and 1.5 points (margins by race shift the whole a little)."""
    rows = [r for r in _rows(FIGURES / "nhanes_prevalence_adult.csv") if r["sex"] == sex]
    names = {"diabetes_dx": "diabetes", "bp_med": "bp_drug", "lipid_med": "lipid_drug"}
    for row in rows:
        near = (people["sex"].values == sex) & (np.abs(people["age"].values - float(row["age"])) <= 1)
        share, values = float(row["share"]), people[names.get(row["variable"], row["variable"])].values[near]
        assert abs(values.mean() - share) < 5 * np.sqrt(share * (1 - share) / values.size) + 0.015, row


def test_hypertension_kidney_disease_and_obesity_follow_as_published(people):
    """What nobody sampled, from pressure, drugs, creatinine, height and weight (shares of NHANES, adults, weighted)."""
    published = {
        "male": {"hypertension": 0.511, "kidney": 0.0499, "obesity": 0.4106},
        "female": {"hypertension": 0.4643, "kidney": 0.0626, "obesity": 0.4284},
    }
    high = (people["sbp"] >= 130) | (people["dbp"] >= 80) | (people["bp_drug"] == 1)
    conditions = {"hypertension": high, "kidney": people["egfr"] < 60, "obesity": people["bmi"] >= 30}
    for sex, shares in published.items():
        for name, share in shares.items():
            ours = float(conditions[name].values[people["sex"].values == sex].mean())
            assert abs(ours - share) < 2.5 * 1.7 * np.sqrt(share * (1 - share) / 3000), (sex, name, ours)


def test_the_true_pressure_is_apart_from_the_error_of_its_reading(people):
    for name, sd in (("sbp", 2.66), ("dbp", 1.89), ("heart_rate", 1.58)):
        error = people[name].values - people[f"{name}_true"].values
        assert error.std() == pytest.approx(sd, rel=0.02)
        assert abs(np.corrcoef(error, people[f"{name}_true"].values)[0, 1]) < 0.03


def test_values_lie_on_the_steps_that_people_s_values_have(people):
    for name, steps in (("sbp", 3), ("height", 10), ("creatinine", 100), ("total_cholesterol", 1)):
        assert np.abs(people[name].values * steps - np.round(people[name].values * steps)).max() < 1e-6


def test_a_quota_fills_every_cell_as_nearly_as_the_number_allows(adults):
    planned = adults.changed(demographics=adults.demographics.changed(quota=True))
    twins = sample_twins(planned, np.arange(5000, 6000), seed=2)
    women = float((twins["sex"] == "female").mean())
    share = sum(float(r["share"]) for r in _rows(FIGURES / "us_demographics_adult.csv") if r["sex"] == "female")
    total = sum(float(r["share"]) for r in _rows(FIGURES / "us_demographics_adult.csv"))
    assert abs(women - share / total) < 0.006  # a random thousand has a standard error of 0.016
    old = sum(float(r["share"]) for r in _rows(FIGURES / "us_demographics_adult.csv") if float(r["age_from"]) >= 60)
    assert abs(float((twins["age"] >= 60).mean()) - old / total) < 0.006


def test_quotas_step_from_the_number_of_a_seed(adults):
    """Streams that stand in for a seed have none: before, an address in memory took its place."""
    planned = adults.changed(demographics=adults.demographics.changed(quota=True))
    with pytest.raises(TypeError, match="streams stand in for a seed here, where its number is needed"):
        sample_twins(planned, [0, 1], GivenStreams(1, {}))
