"""Population files: what is wrong is said with file, line, field, value and cure; a file of one's own works."""

import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from twinarm.cohorts import PopulationError, load_population, population_names, sample_criteria, sample_twins
from twinarm.cohorts.blocks.tables import read_table

GOOD = """format: 1
name: my-adults
title: Ten columns of figures
period: "2020"
method: drawn
limits: a test
sources:
  - {citation: nobody, licence: CC0}
based_on:
  population: adult-us
  keep: [height, weight]
demographics:
  ages: [40, 49]
independent:
  - name: dose
    label: dose
    unit: mg
    lognormal: {median: "10 * weight / 70", cv: 0.3}
    within: [1, 100]
    source: test
    provenance: chosen
  - {name: arm_length, label: arm, unit: cm, normal: {mean: 60, sd: 2}, source: test, provenance: chosen}
derived:
  - {name: dose_per_kg, label: dose, unit: mg/kg, expression: dose / weight, source: test, provenance: derived}
plausibility:
  - {rule: dose_per_kg < 1, reason: dose too high}
"""


@pytest.fixture
def write(tmp_path):
    def put(text: str):
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return put


def test_a_population_of_ones_own(write):
    population = load_population(write(GOOD))
    people = ("age", "sex", "race_ethnicity", "height", "weight")
    assert population.variables == (*people, "dose", "arm_length", "dose_per_kg")
    twins = sample_twins(population, np.arange(4000), 1)
    assert twins["age"].min() == 40 and twins["age"].max() == 49
    ratio = np.log(twins["dose"].values / (10 * twins["weight"].values / 70))
    assert ratio.std() == pytest.approx(np.sqrt(np.log(1.09)), rel=0.05)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format: 1", "format: 2", "mine.yaml:1:1: format: got 2; input should be 1"),
        ("title: Ten columns of figures\n", "", "mine.yaml:1:1: title: is missing; add it"),
        ("cv: 0.3", "cv: -0.3", "lognormal.cv: got -0.3; input should be greater than 0"),
        ("cv: 0.3", "cv: 0.3, log_sd: 1", "give either cv or log_sd, not both"),
        ("cv: 0.3", "cw: 0.3", "independent[0].lognormal.cw: is no field here; correct its name or drop it"),
        ("normal: {mean: 60, sd: 2}", "uniform: {low: 3, high: 2}", "low must be below high"),
        (
            "normal: {mean: 60, sd: 2}",
            "normal: {mean: 60, sd: -2}",
            "independent[1].normal: sd is -2; it must be above 0",
        ),
        ("normal: {mean: 60, sd: 2}", "choice: {values: [1, 2], shares: [0.5, 0.4]}", "sum to 0.9"),
        ("normal: {mean: 60, sd: 2}, ", "", "has 0 laws; give exactly one of normal, lognormal, uniform, gamma"),
        ("within: [1, 100]", "within: [-1, 100]", "a log-normal variable is positive, start at 0 or above"),
        ("weight / 70", "wight / 70", "independent[0]: reads 'wight', which is not drawn before it"),
        ("expression: dose / weight", "expression: dose / height +", "is no expression"),
        ("expression: dose / weight", "expression: dose / waist", "derived[0].expression: reads 'waist'"),
        ("rule: dose_per_kg < 1", "rule: dose_per_g < 1", "plausibility[0].rule: reads 'dose_per_g'"),
        ("name: arm_length", "name: dose", "two variables are called 'dose'; rename or drop one"),
        ("provenance: chosen}", "provenance: guessed}", "got 'guessed'; input should be 'read', 'derived', 'recalled'"),
        ("keep: [height, weight]", "keep: [height, wait]", "mine.yaml:11:18: based_on.keep[1]: 'wait' is no variable"),
        ("population: adult-us", "population: adult-uk", "no population is called 'adult-uk'"),
        ("ages: [40, 49]", "ages: [49, 40]", "ages must be [from, to] with from <= to"),
        ("ages: [40, 49]", "table: nowhere.csv", "demographics.table: got 'nowhere.csv'; there is no file nowhere.csv"),
        ("ages: [40, 49]", "ages: [5, 12]", "mine.yaml:13:3: demographics.ages: are [5, 12]; the table has 18 to 80"),
        ("ages: [40, 49]", "ages: [70, 90]", "demographics.ages: are [70, 90]; the table has 18 to 80: keep within"),
        ("ages: [40, 49]", "target: mars", "mine.yaml:12:1: demographics: target is 'mars', but there are no margins"),
        ("ages: [40, 49]", "margins: plan.csv", "mine.yaml:12:1: demographics: margins name sex 'women'; the"),
        ("unit: mg\n", "unit: 5\n", "independent[0].unit: got 5; input should be a valid string"),
        ("title: Ten", "title: [Ten", "is not YAML"),
        ("title: Ten", "title: &t Ten", "title: got &t; expected no anchors or aliases"),
        (
            "limits: a test",
            "limits: a test\nlimits: again",
            "mine.yaml:7:1: limits: got the key 'limits' again; expected each key once; remove one; the first is on",
        ),
    ],
)
def test_faults_are_named_with_their_place(write, tmp_path, old, new, said):
    assert old in GOOD
    (tmp_path / "plan.csv").write_text("variable,group,age_from,age_to,share\nsex,women,0,200,0.5\n", encoding="utf-8")
    path = write(GOOD.replace(old, new))
    with pytest.raises(PopulationError) as error:
        load_population(path)
    assert said in str(error.value)
    assert str(error.value).startswith(str(path))


def test_all_faults_come_at_once(write):
    bad = GOOD.replace("format: 1", "format: 2").replace("cv: 0.3", "cv: x").replace("unit: cm", "unit: 7")
    with pytest.raises(PopulationError) as error:
        load_population(write(bad))
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("age_from,age_to,sex,share\n18,20,male,1\n", "has no column race_ethnicity; its columns are age_from"),
        ("age_from,age_to\n18\n", "people.csv:2 has 1 cells, the header 2"),
        ("age_from,age_to\n18,\n", "people.csv:2 has an empty cell in column age_to"),
        ("age_from,age_from\n18,1\n", "names column age_from twice"),
        ("age_from\n", "has no rows"),
        ("age_from,age_to,sex,race_ethnicity,share\n18,80,male,martian,1\n", "has no row for male martian"),
        ("age_from,age_to,sex,race_ethnicity,share\n18,80,x,nh_white,1\n", "has sex x; the covariates' tables know"),
        ("age_from,age_to,sex,race_ethnicity,share\n18,80,male,nh_white,-1\n", "has shares below 0"),
    ],
)
def test_faults_of_a_table(write, tmp_path, table, said):
    (tmp_path / "people.csv").write_text(table, encoding="utf-8")
    text = GOOD.replace("ages: [40, 49]", "table: people.csv\n  source: test\n  provenance: chosen")
    with pytest.raises(PopulationError) as error:
        load_population(write(text))
    assert said in str(error.value)


def test_races_of_unknown_ancestry_are_refused(write, tmp_path):
    table = "age_from,age_to,sex,race_ethnicity,share\n18,80,male,martian,0.5\n18,80,male,nh_white,0.5\n"
    (tmp_path / "people.csv").write_text(table, encoding="utf-8")
    text = GOOD.replace("ages: [40, 49]", "table: people.csv\n  source: test\n  provenance: chosen")
    with pytest.raises(PopulationError, match="has no row for martian; add the shares of their ancestries"):
        load_population(write(text.replace("keep: [height, weight]", "keep: [height, weight, CYP2D6]")))


def test_a_true_value_of_nothing_is_named():
    covariates = load_population("adult-us").covariates
    true_value = covariates.true_values[0].changed(observed="spb")
    with pytest.raises(ValidationError, match=r"true_values\[0\].observed is 'spb', which is no variable here"):
        covariates.changed(true_values=(true_value,))


OCCASIONS = """joint:
  - name: iov
    source: test
    provenance: chosen
    occasions: 2
    mean: [0]
    covariance: [[0.04]]
    variables: [{name: NAME, label: clearance, unit: "1"}]
"""


def test_a_name_of_occasions_is_taken(write):
    """Its stream would be drawn from twice: the variable would be that of the first occasion, in another unit."""
    load_population(write(GOOD + OCCASIONS.replace("NAME", "iov_CL")))
    with pytest.raises(PopulationError, match="two variables are called 'dose'; rename or drop one"):
        load_population(write(GOOD + OCCASIONS.replace("NAME", "dose")))


def test_people_of_one_sex_and_no_race_in_some_cells(tmp_path):
    """Where the table has nobody of a sex and age, the copula takes out what the races of everybody bring."""
    table = "age_from,age_to,sex,race_ethnicity,share\n18,49,female,nh_white,0\n50,80,female,nh_white,0.5\n"
    (tmp_path / "people.csv").write_text(table + "50,80,female,nh_black,0.5\n", encoding="utf-8")
    adults, people = load_population("adult-us"), read_table(tmp_path / "people.csv")
    twins = sample_twins(adults.changed(demographics=adults.demographics.changed(table=people)), np.arange(200), 1)
    assert (twins["sex"] == "female").all() and (twins["age"] >= 50).all()
    assert all(np.isfinite(v).all() for v in twins.data_vars.values() if v.dtype.kind == "f")


def test_unknown_names_give_the_nearest():
    with pytest.raises(
        PopulationError, match=r"no population is called 'adult_us'; known: .*; did you mean 'adult-us'"
    ):
        load_population("adult_us")
    with pytest.raises(PopulationError, match="there is no such file"):
        load_population("nowhere/mine.yaml")


def test_a_base_may_stand_beside_the_file_but_not_be_the_file(write, tmp_path):
    write(GOOD)
    second = GOOD.replace("population: adult-us", "population: mine.yaml").replace("keep: [height, weight]", "keep: []")
    second = second.replace("10 * weight / 70", "10 * age / 50").replace("dose / weight", "dose / 70")
    (tmp_path / "second.yaml").write_text(second, encoding="utf-8")
    assert load_population(tmp_path / "second.yaml").based_on.population.name == "my-adults"
    (tmp_path / "second.yaml").write_text(second.replace("mine.yaml", "second.yaml"), encoding="utf-8")
    with pytest.raises(PopulationError, match="is based on itself"):
        load_population(tmp_path / "second.yaml")


def test_the_digest_is_that_of_the_meaning(write):
    first = load_population(write(GOOD)).digest
    assert load_population(write(GOOD + "# a remark\n")).digest == first
    assert load_population(write(GOOD.replace("cv: 0.3", "cv: 0.31"))).digest != first


def test_a_population_travels_to_a_worker_and_is_equal_there(write):
    population = load_population(write(GOOD))
    before = sample_twins(population, [3, 1], 1)
    copy = pickle.loads(pickle.dumps(population))
    assert copy == population == load_population(write(GOOD)) and hash(copy) == hash(population)
    assert sample_twins(copy, [3, 1], 1).identical(before)


def test_the_library_holds_what_trials_need():
    assert {"adult-us", "nsclc-second-line", "t1d-adults", "t1d-public-30", "t1d-public-adults"} <= set(
        population_names()
    )


BASED = """
format: 1
name: mine
title: t
period: p
method: m
limits: l
sources: [{citation: c, licence: l}]
based_on: {population: BASE, keep: [KEEP]}
"""


@pytest.mark.parametrize(
    ("base", "keep", "rest", "message"),
    [
        ("adult-us", "height", "where: [hba1c > 7]", "where[0]: reads 'hba1c', which is not drawn before it"),
        ("adult-us", "height", "where: [height >]", "is no expression"),
        ("adult-us", "height", "where: [age > 70]\ndemographics: {quota: true}", "cannot stand beside quota"),
        ("t2d-adults", "height", "", "based_on.keep: lacks diabetes, which the criteria of t2d-adults read"),
        ("t1d-public-30", "", "where: [age > 10]", "cannot stand beside subjects"),
    ],
)
def test_criteria_that_cannot_be_drawn_for_are_refused(tmp_path, base, keep, rest, message):
    path = tmp_path / "mine.yaml"
    path.write_text(BASED.replace("BASE", base).replace("KEEP", keep) + rest)
    with pytest.raises(PopulationError) as caught:
        load_population(path)
    assert message in str(caught.value)


def test_a_population_of_those_who_meet_criteria(tmp_path):
    path = tmp_path / "mine.yaml"
    keep = "diabetes, insulin_use, oral_antidiabetic, hba1c"
    path.write_text(BASED.replace("BASE", "t2d-adults").replace("KEEP", keep) + "where: [hba1c >= 7, age >= 60]")
    population = load_population(path)
    twins = sample_twins(population, np.arange(3000), 1)
    assert (twins["hba1c"] >= 7).all() and (twins["age"] >= 60).all() and (twins["diabetes"] == 1).all()
    assert population.at_large.blocks.where == () and population.digest != population.at_large.digest
    few = sample_twins(population, [41, 2], 1)
    assert few.isel(twin=0).identical(twins.isel(twin=41)) and few.isel(twin=1).identical(twins.isel(twin=2))
    rare = sample_criteria(population, ["hba1c > 13"], 200, 1)
    assert rare.prevalence == pytest.approx(float((twins["hba1c"] > 13).mean()), rel=0.35)
