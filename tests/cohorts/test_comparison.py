"""Comparison: equal laws pass, broken dependence and a shift are seen and named, weights and steps are honoured."""

import doctest
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ks_2samp, spearmanr

from twinarm.cohorts import load_population, screen
from twinarm.cohorts.blocks.tables import read_table
from twinarm.cohorts.likeness import comparison, two_sample
from twinarm.cohorts.likeness.comparison import ComparisonError, compare, correlations_of, ks_distance, rounded, step_of

pytest.importorskip("sklearn")

ROOTS = Path(__file__).parents[2] / "benchmarks" / "aortic-roots.yaml"


def table(values, words=None, units="kg"):
    columns = {f"x{i}": ("twin", column, {"units": units}) for i, column in enumerate(values.T)}
    if words is not None:
        columns["sex"] = ("twin", words)
    return xr.Dataset(columns, {"twin": np.arange(len(values))})


def draw(seed, count, correlation=0.7):
    covariance = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
    source = np.random.default_rng(seed)
    return source.multivariate_normal(np.zeros(3), covariance, count), source.choice(["female", "male"], count)


@pytest.fixture(scope="module")
def people():
    return table(*draw(1, 1500))


def test_the_same_law_cannot_be_told_apart(people):
    found = compare(table(*draw(2, 1500)), people, (None, None), 1)
    assert abs(found.telling.auc - 0.5) < 4 * found.telling.error
    assert found.ks.max() < 2 / np.sqrt(1500) and found.correlations.errors.max() < 4 * 0.7 / np.sqrt(1500)
    assert {g.label for g in found.subgroups} == {"sex: female", "sex: male"}
    assert all(abs(m.smd) < 4 * np.sqrt(2 / 1500) for m in found.margins)


def test_right_margins_without_dependence_are_told_apart(people):
    """What KS distances cannot see: each column of people shuffled by itself."""
    values = np.array([people[f"x{i}"].to_numpy() for i in range(3)]).T
    shuffled = np.array([np.random.default_rng(i).permutation(v) for i, v in enumerate(values.T)]).T
    found = compare(table(shuffled, people["sex"].to_numpy()), people, (None, None), 1)
    assert found.ks.max() == 0 and all(m.smd == pytest.approx(0, abs=1e-9) for m in found.margins)
    assert found.telling.auc > 0.7
    assert {name for name, loss in found.telling.importance[:3]} == {"x0", "x1", "x2"}
    assert found.correlations.errors.min() > 0.5


def test_the_variable_that_is_wrong_is_named(people):
    values, words = draw(3, 1500)
    values[:, 1] += 0.5
    found = compare(table(values, words), people, (None, None), 1)
    assert found.telling.importance[0][0] == "x1" and found.telling.auc > 0.6
    shifted = next(m for m in found.margins if m.name == "x1")
    assert shifted.smd == pytest.approx(0.5, abs=0.15) and shifted.unit == "kg"


def test_survey_weights_make_the_people_the_population(people):
    """People sampled with probability 2/3 among those above 0, weighted back."""
    values, words = draw(4, 4000)
    above = values[:, 0] > 0
    chosen = np.random.default_rng(5).random(4000) < np.where(above, 2 / 3, 1 / 3)
    sampled = table(values[chosen], words[chosen])
    weights = np.where(above[chosen], 1.0, 2.0)
    right = compare(people, sampled, (None, weights), 1)
    wrong = compare(people, sampled, (None, None), 1)
    assert abs(right.telling.auc - 0.5) < 4 * right.telling.error and wrong.telling.is_above_chance
    assert abs(right.margins[0].smd) < 0.1 < abs(wrong.margins[0].smd)
    assert right.people.effective == pytest.approx(weights.sum() ** 2 / np.sum(weights**2))


def test_reporting_steps_do_not_tell(people):
    coarse = people.map(lambda v: v if v.dtype.kind == "U" else (10 * v).round(0) / 10, keep_attrs=True)
    found = compare(table(*draw(2, 1500)), coarse, (None, None), 1)
    assert abs(found.telling.auc - 0.5) < 4 * found.telling.error
    assert set(np.round(10 * found.twins.values["x0"] % 1, 6)) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("step", "expected"), [(1.0, 1.0), (0.5, 0.5), (1 / 3, 1 / 3), (0.1, 0.1), (0.01, 0.01), (1e-7, None)]
)
def test_steps(step, expected):
    values = np.round(np.random.default_rng(0).normal(100, 20, 500) / step) * step
    found = step_of(np.append(np.round(values, 3) if step > 1e-3 else values, np.nan))
    assert found == expected
    assert np.abs(rounded(values + 0.2 * step, values) - values).max() < 1e-3


def test_values_of_a_tiny_scale_have_no_step_and_stay():
    values = np.random.default_rng(0).uniform(5e-5, 2e-4, 500)
    assert step_of(values) is None and np.array_equal(rounded(values, values), values)


def test_variables_that_most_people_lack_are_left_to_the_margins(people):
    lacking = people.assign(x2=people["x2"].where(people["twin"] % 3 == 0))
    found = compare(table(*draw(2, 1500)), lacking, (None, None), 1)
    assert found.left_out == ("x2",) and "x2" not in dict(found.telling.importance)
    assert next(m for m in found.margins if m.name == "x2").people_count == 500


def test_distances_and_correlations_agree_with_scipy(people):
    x, y = people["x0"].to_numpy(), draw(9, 700)[0][:, 0]
    assert ks_distance(x, np.ones(x.size), y, np.ones(y.size)) == pytest.approx(ks_2samp(x, y).statistic)
    doubled = ks_distance(x, np.ones(x.size), np.append(y, y[:100]), np.ones(800))
    assert ks_distance(x, np.ones(x.size), y, np.where(np.arange(700) < 100, 2.0, 1.0)) == pytest.approx(doubled)
    sample = comparison.Sample({f"x{i}": people[f"x{i}"].to_numpy() for i in range(3)}, np.ones(1500))
    mine = correlations_of(sample, sample).people
    assert mine == pytest.approx(spearmanr(np.array(list(sample.values.values())).T).statistic)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[["x0"]], "1 variables are in both tables"),
        (lambda t: t.assign(sex=t["x0"]), "sex is words on one side and numbers on the other"),
        (lambda t: t.isel(twin=slice(5)), "5 twins and 1500 people are too few"),
    ],
)
def test_tables_that_cannot_be_compared(people, change, message):
    with pytest.raises(ComparisonError, match=message):
        compare(change(table(*draw(2, 1500))), people, (None, None), 1)


def lacking(table, is_missing):
    """A table in which variable x_i is missing where is_missing(i, twin) is true."""
    numbers = [name for name in table.data_vars if name != "sex"]
    return table.assign({n: table[n].where(~is_missing(i, table["twin"])) for i, n in enumerate(numbers)})


def test_tables_without_complete_people_or_two_numbers_cannot_be_compared():
    """Eight variables, each missing in another eighth of the people: no variable lacks much, nobody is complete."""
    draws = np.random.default_rng(1).normal(size=(2, 800, 8))
    words = np.resize(["female", "male"], 800)
    twins, people = (table(values, words) for values in draws)
    with pytest.raises(
        ComparisonError, match=r"0 of 800 people have a value of every variable.*--leave-out.*x0 \(12 %"
    ):
        compare(twins, lacking(people, lambda i, twin: twin % 8 == i), (None, None), 1)
    with pytest.raises(ComparisonError, match=r"0 of 800 twins have a value of every variable"):
        compare(lacking(twins, lambda i, twin: twin % 8 == i), people, (None, None), 1)
    most = lacking(people[["x0", "x1", "x2", "sex"]], lambda i, twin: twin % 4 <= i).drop_vars("sex")
    with pytest.raises(ComparisonError, match=r"missing in more than 20 % of people: x2 \(75 %\), x1 \(50 %\)"):
        compare(twins, most, (None, None), 1)
    with pytest.raises(ComparisonError, match=r"1 variables with numbers \(x0\) are in both tables"):
        compare(twins, people[["x0", "sex"]], (None, None), 1)


def test_a_subgroup_without_complete_people_is_not_listed(people):
    """A value missing for all of one sex, who are fewer than a fifth."""
    sex = np.where(people["twin"] % 8 == 0, "male", "female")
    twins = table(draw(2, 1500)[0], sex)
    lacking = people.assign(sex=("twin", sex), x2=people["x2"].where(people["twin"] % 8 != 0))
    found = compare(twins, lacking, (None, None), 1)
    assert [(g.label, g.twins, g.people) for g in found.subgroups] == [("sex: female", 1312, 1312)]
    assert np.isfinite(found.telling.auc)


def test_weights_that_are_none(people):
    for weights in (np.full(1500, -1.0), np.zeros(1500), np.full(1500, np.nan)):
        with pytest.raises(ComparisonError, match="weights must be numbers of at least 0"):
            compare(people, people, (None, weights), 1)


def test_a_few_values_in_another_step_do_not_give_twins_away():
    """Means of three readings in thirds, six of two readings among thousands, as in a survey."""
    draw = np.random.default_rng(4)
    thirds = np.round(draw.normal(120, 15, (2, 4000)) * 3) / 3
    people = np.round(thirds[0], 3)
    people[:6] = np.floor(people[:6]) + 0.5
    assert step_of(people) == 1 / 3
    other = draw.normal(size=(2, 4000))
    sides = [
        xr.Dataset({"x": ("twin", values), "y": ("twin", noise)}, {"twin": np.arange(4000)})
        for values, noise in zip((thirds[1], people), other, strict=True)
    ]
    found = compare(*sides, (None, None), 1)
    assert abs(found.telling.auc - 0.5) < 4 * found.telling.error


def test_without_scikit_learn_it_says_how_to_install_it(people, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ComparisonError, match=r"pip install 'twinarm\[compare\]'"):
        compare(people, people, (None, None), 1)


def test_examples():
    assert doctest.testmod(comparison).failed + doctest.testmod(two_sample).failed == 0


@pytest.mark.reference
def test_generated_aortic_roots_are_like_real_ones(reference_data, tmp_path):
    """97 real roots, 1,000 generated: learned from the same rows, so the bar is that nothing gives them away."""
    shutil.copy(ROOTS, tmp_path)
    shutil.copy(reference_data / "simcor_aortic_shapes" / "shapeFeatures_real.csv", tmp_path)
    roots = screen(load_population(tmp_path / ROOTS.name), 1000, 1)
    assert roots.candidates < 1050
    real = read_table(tmp_path / "shapeFeatures_real.csv")
    people = xr.Dataset({k: ("twin", v) for k, v in real.columns.items()}, {"twin": np.arange(real.rows)})
    found = compare(roots.cohort, people, (None, None), 1)
    assert len(found.margins) == 8
    assert found.telling.auc < 0.5 + 3 * found.telling.error and found.telling.error < 0.035
    assert found.ks.max() < 1.36 * np.sqrt(1 / 97 + 1 / 1000), "each below its 5 % critical value"
    assert found.correlations.errors.max() < 0.15 and max(abs(m.smd) for m in found.margins) < 0.1
