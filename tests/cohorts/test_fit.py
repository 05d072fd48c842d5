"""A population learned from a table: margins, dependence and prevalence of a known law come back; faults are named."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st
from scipy.stats import norm, spearmanr

from twinarm.cohorts import load_population, sample_twins, screen
from twinarm.cohorts.learning.fit import fit_population
from twinarm.cohorts.learning.people import People, PeopleError
from twinarm.cohorts.learning.scores import steps_of

ROWS = 6000
R = np.array([[1, 0.5, 0.6, -0.4], [0.5, 1, 0.3, 0.0], [0.6, 0.3, 1, 0.0], [-0.4, 0.0, 0.0, 1]])


def known_people(rows: int = ROWS, seed: int = 1) -> xr.Dataset:
    """People of a known law: two numbers, a condition and three words tied by normal scores with correlation R."""
    rng = np.random.default_rng(seed)
    age, male = rng.integers(20, 70, rows).astype(float), rng.random(rows) < 0.4
    z = rng.multivariate_normal(np.zeros(4), R, rows)
    stage = np.array(["low", "middle", "high"])[np.digitize(z[:, 3], [-0.5, 0.8])]
    return xr.Dataset(
        {
            "age": ("twin", age, {"units": "year"}),
            "sex": ("twin", np.where(male, "male", "female")),
            "weight": ("twin", 60 + 0.2 * age + 12 * male + 10 * z[:, 0], {"units": "kg"}),
            "marker": ("twin", np.exp(1 + 0.01 * age + 0.4 * z[:, 1]), {"units": "mg/L"}),
            "disease": ("twin", (z[:, 2] > norm.ppf(1 - 0.004 * age)).astype(float)),
            "stage": ("twin", stage),
        }
    )


def fitted(table: xr.Dataset, folder, weights=None, towards=None):
    people = People.of(table, weights, "table.csv")
    return load_population(fit_population(people, "learned", "table.csv", towards).write(folder))


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    return fitted(known_people(), tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def twins(learned):
    return screen(learned, 20_000, 1).cohort


def test_variables_have_the_table_s_names_units_and_kinds(learned, twins):
    assert learned.variables == ("age", "sex", "race_ethnicity", "weight", "marker", "disease", "stage")
    assert twins["weight"].attrs["units"] == "kg" and twins["marker"].attrs["units"] == "mg/L"
    assert set(np.unique(twins["stage"])) == {"low", "middle", "high"} and set(np.unique(twins["disease"])) == {0, 1}


def test_margins_given_age_and_sex_come_back(twins):
    for sex, shift in (("female", 0), ("male", 12)):
        here = twins.isel(twin=np.flatnonzero(twins["sex"].values == sex))
        rest = here["weight"] - 60 - 0.2 * here["age"] - shift
        assert float(rest.mean()) == pytest.approx(0, abs=0.8) and float(rest.std()) == pytest.approx(10, rel=0.05)
        log = np.log(here["marker"]) - 1 - 0.01 * here["age"]
        assert np.quantile(log, [0.05, 0.5, 0.95]) == pytest.approx(0.4 * norm.ppf([0.05, 0.5, 0.95]), abs=0.04)
    assert float((twins["sex"] == "male").mean()) == pytest.approx(0.4, abs=0.025)
    for low in (20, 45):
        near = twins.isel(twin=np.flatnonzero(np.abs(twins["age"].values - low - 12) <= 3))
        assert float(near["disease"].mean()) == pytest.approx(0.004 * (low + 12), abs=0.03)


def test_dependence_comes_back(twins):
    weight = (twins["weight"] - 0.2 * twins["age"] - 12 * (twins["sex"] == "male")).values
    marker = (np.log(twins["marker"]) - 0.01 * twins["age"]).values
    assert spearmanr(weight, marker).statistic == pytest.approx(6 / np.pi * np.arcsin(0.25), abs=0.04)
    # What the law itself gives for those with the condition, by its own draws.
    mine = known_people(100_000, 9)
    own = (mine["weight"] - 0.2 * mine["age"] - 12 * (mine["sex"] == "male")).values
    for name, word in (("disease", 1.0), ("stage", "high"), ("stage", "middle"), ("stage", "low")):
        expected = own[mine[name].values == word].mean()
        assert weight[twins[name].values == word].mean() == pytest.approx(expected, abs=1.0), (name, word)
    assert float((twins["stage"] == "low").mean()) == pytest.approx(norm.cdf(-0.5), abs=0.02)


@settings(max_examples=20, deadline=None)
@given(ids=st.lists(st.integers(0, 10**9), min_size=1, max_size=20, unique=True))
def test_any_choice_of_twins_equals_the_same_rows_of_the_whole(learned, ids):
    whole = sample_twins(learned, ids, seed=3)
    assert sample_twins(learned, ids[::-1], seed=3).identical(whole.isel(twin=slice(None, None, -1)))


@pytest.mark.parametrize(("step", "expected"), [(1.0, 1), (0.5, 2), (1 / 3, 3), (0.1, 10), (0.01, 100), (1e-4, None)])
def test_steps_of_a_report(step, expected):
    values = np.round(np.random.default_rng(0).normal(100, 20, 500) / step) * step
    assert steps_of(np.append(np.round(values, 3 if step > 0.01 else 4), np.nan)) == expected


def test_values_of_a_tiny_scale_are_on_no_steps():
    assert steps_of(np.random.default_rng(0).uniform(1e-3, 5e-3, 500)) is None


def test_missing_values_are_left_out_pair_by_pair(tmp_path):
    table, rng = known_people(), np.random.default_rng(2)
    gone = rng.random(ROWS) < 0.4
    table["marker"] = table["marker"].where(xr.DataArray(~gone, dims="twin"))
    table["stage"] = ("twin", np.where(rng.random(ROWS) < 0.3, "", table["stage"].values))
    twins = screen(fitted(table, tmp_path), 10_000, 1).cohort
    assert not np.isnan(twins["marker"]).any() and "" not in twins["stage"]
    log = (np.log(twins["marker"]) - 0.01 * twins["age"]).values
    assert log.mean() == pytest.approx(1, abs=0.04)
    weight = (twins["weight"] - 0.2 * twins["age"] - 12 * (twins["sex"] == "male")).values
    assert spearmanr(weight, log).statistic == pytest.approx(6 / np.pi * np.arcsin(0.25), abs=0.05)


def test_weights_stand_for_the_people_who_were_not_asked(tmp_path):
    """Every second person of 45 and over was not asked; the others of that age stand for two."""
    table = known_people(12_000)
    rng = np.random.default_rng(3)
    dropped = (table["age"].values >= 45) & (rng.random(12_000) < 0.5)
    table = table.isel(twin=np.flatnonzero(~dropped))
    weights = np.where(table["age"].values >= 45, 2.0, 1.0)
    twins = screen(fitted(table, tmp_path, weights), 20_000, 1).cohort
    assert float((twins["age"] >= 45).mean()) == pytest.approx(0.5, abs=0.02)
    assert float(twins["weight"].mean()) == pytest.approx(60 + 0.2 * 44.5 + 12 * 0.4, abs=0.5)


def test_a_table_without_age_is_linked_by_one_copula(tmp_path):
    table = known_people().drop_vars(["age", "sex"])
    table["visits"] = ("twin", np.floor(np.clip(table["marker"].values / 2, 0, 5)))
    population = fitted(table, tmp_path)
    twins = sample_twins(population, np.arange(20_000), 1)
    for name in ("weight", "marker"):
        levels = [0.05, 0.25, 0.5, 0.75, 0.95]
        assert np.quantile(twins[name], levels) == pytest.approx(np.quantile(table[name], levels), rel=0.03)
    for name, value in (("disease", 1.0), ("stage", "high"), ("visits", 2.0)):
        share = float((table[name] == value).mean())
        assert float((twins[name] == value).mean()) == pytest.approx(share, abs=0.015)
        ours = twins["weight"].values[twins[name].values == value].mean()
        assert ours == pytest.approx(table["weight"].values[table[name].values == value].mean(), abs=1.2), name
    found = spearmanr(twins["weight"], twins["marker"]).statistic
    assert found == pytest.approx(spearmanr(table["weight"], table["marker"]).statistic, abs=0.03)


def test_few_people_lean_on_another_population(tmp_path, learned):
    """Of 150 people the curves of a population that is right bring the fit nearer to the law."""
    few = known_people(150, seed=5)

    def error(population) -> float:
        twins = screen(population, 8000, 1).cohort
        rest = (np.log(twins["marker"]) - 1 - 0.01 * twins["age"]).values
        levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
        bands = [np.quantile(rest[np.abs(twins["age"].values - a) < 8], levels) for a in (28, 45, 62)]
        return float(np.abs(np.array(bands) - 0.4 * norm.ppf(levels)).mean())

    (tmp_path / "alone").mkdir()
    table = few.drop_vars("stage")
    assert error(fitted(table, tmp_path, towards=learned)) < 0.7 * error(fitted(table, tmp_path / "alone"))


def _with(name: str, values: np.ndarray) -> xr.Dataset:
    return known_people(300).assign({name: ("twin", values)})


@pytest.mark.parametrize(
    ("table", "weights", "said"),
    [
        (known_people(50), None, "table.csv: 50 rows can be used; at least 100 are needed"),
        (known_people(300), -np.ones(300), "has weights below 0; survey weights are 0 or above"),
        (
            _with("site", np.full(300, 4.0)),
            None,
            "column site is empty or has one value only; name the others in --only",
        ),
        (
            _with("dose", np.where(np.arange(300) == 7, np.inf, 1.0 * np.arange(300))),
            None,
            "column dose has infinite values; leave these cells empty",
        ),
        (_with("race_ethnicity", np.resize([1.0, 2.0, 3.0, np.nan], 300)), None, "race_ethnicity holds numbers; write"),
        (_with("gone", np.full(300, np.nan)), None, "column gone is empty"),
        (_with("id", np.array([f"p{i}" for i in range(300)])), None, "column id has 300 different words"),
        (_with("body weight", np.arange(300.0)), None, "column 'body weight' cannot name a variable"),
        (
            _with("rare", np.where(np.arange(300) < 20, np.arange(300.0), np.nan)),
            None,
            "column rare has .* values of female, at least 30 are needed",
        ),
        (known_people(300)[["age", "sex"]], None, "one number beside age"),
        (known_people(300)[["weight"]], None, "has one column to learn from"),
    ],
)
def test_faults_are_named(table, weights, said, tmp_path):
    with pytest.raises(PeopleError, match=said):
        fit_population(People.of(table, weights, "table.csv"), "mine", "table.csv")


def test_other_sexes_or_units_cannot_be_leant_on():
    adults, table = load_population("adult-us"), known_people(300)
    table["weight"].attrs["units"] = "lb"
    with pytest.raises(PeopleError, match="weight is in lb, adult-us has it in kg; convert"):
        fit_population(People.of(table, None, "t.csv"), "mine", "t.csv", adults)
    table["sex"] = ("twin", np.where(table["sex"] == "male", "M", "F"))
    with pytest.raises(PeopleError, match="sex is 'F'; adult-us has female, male"):
        fit_population(People.of(table, None, "t.csv"), "mine", "t.csv", adults)


@pytest.mark.parametrize("codes", [(1.0, 2.0), (0.0, 1.0)])
def test_sexes_in_numbers_cannot_be_leant_on(codes):
    table = known_people(300).assign(sex=("twin", np.resize(codes, 300)))
    people = People.of(table, None, "t.csv")
    with pytest.raises(PeopleError, match=r"t\.csv: only a table with age in numbers and sex in words can be drawn"):
        fit_population(people, "mine", "t.csv", load_population("adult-us"))
    fit_population(people, "mine", "t.csv")


def test_words_with_commas_and_quotes_come_back(tmp_path):
    groups = ["Black, not Hispanic", 'called "other"', "White"]
    table = known_people(600).assign(race_ethnicity=("twin", np.resize(groups, 600)))
    assert set(screen(fitted(table, tmp_path), 300, 1).cohort["race_ethnicity"].values) == set(groups)


def test_a_population_without_curves_cannot_be_leant_on():
    people = People.of(known_people(300), None, "table.csv")
    with pytest.raises(PeopleError, match="can be drawn towards t1d-public-30"):
        fit_population(people, "mine", "table.csv", load_population("t1d-public-30"))
