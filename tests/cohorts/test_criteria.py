"""Criteria cohorts: the law of rejection, one twin a seed and id, conflicts named, and no plain rejection when rare."""

import doctest
import time

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm, poisson, rankdata

from twinarm.cohorts import CriteriaError, ScreeningError, criteria, load_population, sample_criteria, sample_twins
from twinarm.cohorts.criteria import clauses, condition
from twinarm.cohorts.criteria.clauses import clauses_of, distance, met, smallest_conflict
from twinarm.cohorts.criteria.cover import Cover
from twinarm.cohorts.criteria.pilot import Pilot, reading_only
from twinarm.cohorts.population import Population
from twinarm.models import expressions
from twinarm.models.randomness import uniforms

RARE = ["age > 70 and sex == 'female'", "egfr < 45 and hba1c >= 6"]
DESCRIBED = {"label": "x", "unit": "1", "source": "test", "provenance": "chosen"}


@pytest.fixture(scope="module")
def adults():
    return load_population("adult-us")


@pytest.fixture(scope="module")
def letters():
    """Independent x, y and z, standard normal, and counts n with mean 0.1: every prevalence has a closed form."""
    laws = [{"name": name, "normal": {"mean": 0.0, "sd": 1.0}} for name in "xyz"] + [
        {"name": "n", "poisson": {"mean": 0.1}}
    ]
    texts = {name: "test" for name in ("title", "period", "method", "limits")}
    sources = ({"citation": "test", "licence": "CC0"},)
    independent = tuple({**DESCRIBED, **law} for law in laws)
    return Population.model_validate(
        {"format": 1, "name": "letters", **texts, "sources": sources, "independent": independent}
    )


@pytest.fixture(scope="module")
def law(adults):
    return condition(adults, RARE, 3)


@pytest.fixture(scope="module")
def rejected(adults):
    """The same people by plain rejection, and the seconds of one core that it took."""
    start = time.process_time()
    everybody = sample_twins(adults, np.arange(300_000), 17)
    values = {str(name): v.to_numpy() for name, v in everybody.data_vars.items()}
    chosen = np.logical_and.reduce([met(clause, values) for clause in clauses_of(RARE)])
    return everybody.isel(twin=chosen), chosen.mean(), time.process_time() - start


def test_every_candidate_meets_the_criteria(law):
    twins = law.draw(np.arange(500))
    assert (twins["age"] > 70).all() and (twins["sex"] == "female").all() and (twins["egfr"] < 45).all()
    assert twins.attrs["criteria"] == "age > 70 and sex == 'female' and egfr < 45 and hba1c >= 6"
    assert twins.attrs["seed"] == 3 and twins["weight"].attrs["units"] == "kg"


def test_a_slice_is_the_same_rows_of_the_whole(law):
    whole = law.draw(np.arange(400))
    assert law.draw(np.arange(120, 180)).identical(whole.isel(twin=slice(120, 180)))
    assert law.draw(np.array([399, 7])).identical(whole.isel(twin=[399, 7]))


def test_the_same_law_again_gives_the_same_twins(adults, law):
    assert condition(adults, RARE, 3).draw(np.arange(50)).identical(law.draw(np.arange(50)))
    assert not condition(adults, RARE, 4).draw(np.arange(50))["weight"].equals(law.draw(np.arange(50))["weight"])


def test_the_law_is_that_of_rejection(law, rejected):
    people, prevalence, _ = rejected
    assert 0.002 < prevalence < 0.02
    count = people.sizes["twin"]
    assert abs(law.reached.prevalence / prevalence - 1) < 4 / np.sqrt(count) + law.reached.missed
    twins = law.draw(np.arange(6000))
    numbers = [name for name in twins.data_vars if twins[name].dtype.kind == "f"]
    p_values = [ks_2samp(twins[name], people[name]).pvalue for name in numbers]
    assert min(p_values) > 1e-3 / len(numbers), dict(zip(numbers, p_values, strict=True))
    for race in np.unique(people["race_ethnicity"]):
        share = float((people["race_ethnicity"] == race).mean())
        error = 4 * np.sqrt(share * (1 - share) / count + share * (1 - share) / 6000) + 0.01
        assert abs(float((twins["race_ethnicity"] == race).mean()) - share) < error
    rank = [np.array([rankdata(x[name]) for name in numbers]) for x in (twins, people)]
    apart = np.abs(np.corrcoef(rank[0]) - np.corrcoef(rank[1]))
    assert apart.max() < 6 / np.sqrt(count)


def test_a_classifier_cannot_tell_it_from_rejection(law, rejected):
    ensemble = pytest.importorskip("sklearn.ensemble")
    selection = pytest.importorskip("sklearn.model_selection")
    threadpool_limits = pytest.importorskip("threadpoolctl").threadpool_limits
    people, count = rejected[0], rejected[0].sizes["twin"]
    twins = law.draw(np.arange(count))
    numbers = [name for name in twins.data_vars if twins[name].dtype.kind == "f"]
    rows = np.vstack([np.array([x[name].to_numpy() for name in numbers]).T for x in (twins, people)])
    label = np.repeat([0, 1], count)
    folds = selection.StratifiedKFold(5, shuffle=True, random_state=0)
    model = ensemble.HistGradientBoostingClassifier(max_iter=60, random_state=0)
    with threadpool_limits(1):
        auc = selection.cross_val_score(model, rows, label, cv=folds, scoring="roc_auc").mean()
    assert abs(auc - 0.5) < 4 * np.sqrt(1 / (6 * count))  # standard error of an AUC under no difference


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("n >= 2", poisson.sf(1, 0.1)),
        ("x > 3 and y > 3", norm.sf(3) ** 2),
        ("abs(x) < 0.02 and abs(y) < 0.02 and abs(z) < 0.02", (1 - 2 * norm.sf(0.02)) ** 3),
        ("abs(x) < 0.05 and n >= 2", (1 - 2 * norm.sf(0.05)) * poisson.sf(1, 0.1)),
    ],
)
def test_what_is_rare_but_possible_is_reached_in_steps(letters, where, expected):
    """Ties of counts, a corner of the cube, slabs around 0: down to four in a million."""
    law = condition(letters, [where], 1)
    assert law.reached.prevalence == pytest.approx(expected, rel=0.03)
    twins = law.draw(np.arange(200))
    assert met(" and ".join(law.clauses), {str(name): v.to_numpy() for name, v in twins.data_vars.items()}).all()


@pytest.mark.parametrize(
    ("where", "candidates"),
    [("hba1c / bmi > 0.4", 100_000), ("abs(age - 50) < 3 and abs(sbp - 140) < 2 and abs(bmi - 30) < 1", 400_000)],
)
def test_a_region_in_the_middle_of_many_variables_is_reached(adults, where, candidates):
    law = condition(adults, [where], 3)
    read = reading_only(adults, {"hba1c", "sbp", "bmi"})
    people = {str(name): v.to_numpy() for name, v in sample_twins(read, np.arange(candidates), 9).data_vars.items()}
    count = int(met(where, people).sum())
    assert count > 150
    assert abs(law.reached.prevalence / (count / candidates) - 1) < 4 * np.sqrt(1 / count + 1 / 80)  # 80 in the pilot


def test_it_is_at_least_twenty_times_faster_than_rejection(adults, rejected):
    people, _, seconds = rejected
    start = time.process_time()
    sample_criteria(adults, RARE, 20_000, 5)
    ours = (time.process_time() - start) / 20_000
    assert seconds / people.sizes["twin"] > 20 * ours


def test_a_draw_in_parts_is_the_draw_of_the_whole(law, monkeypatch):
    """Proposals are held for some candidates at a time, never for all."""
    whole = law.draw(np.arange(300))
    held = []
    found = criteria.Conditional._found
    monkeypatch.setattr(criteria, "MOST_PROPOSALS", 50 * sum(law.waves))
    monkeypatch.setattr(criteria.Conditional, "_found", lambda law, ids: held.append(ids.size) or found(law, ids))
    assert law.draw(np.arange(300)).identical(whole)
    assert held == [50] * 6


def test_the_first_twins_of_a_larger_cohort_are_the_smaller_cohort(adults):
    larger = sample_criteria(adults, ["bmi > 50"], 1200, 2)
    smaller = sample_criteria(adults, ["bmi > 50"], 40, 2)
    assert smaller.cohort.identical(larger.cohort.isel(twin=slice(40)))
    assert larger.law is not None and 1180 < larger.effective <= 1200
    assert larger.screening.candidates == 1200 + sum(larger.screening.ledger.values())


def test_common_criteria_are_screened_for(adults):
    found = sample_criteria(adults, ["age >= 65"], 300, 2)
    everybody = sample_twins(adults, found.cohort["twin"].values, 2)
    assert found.law is None and found.effective == 300
    assert everybody["weight"].equals(found.cohort["weight"]), "candidate k is the population's own"
    assert 0.15 < found.prevalence < 0.35


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (["age < 30", "age > 70", "sex == 'male'"], "meets 'age < 30' and 'age > 70' together"),
        (["age > 130"], r"^hardly any twin of adult-us meets 'age > 130'; among .* age runs from 18 to 80\. Correct"),
        (["egfr < 30", "egfr > 90"], "^no twin of adult-us meets 'egfr < 30' and 'egfr > 90' together"),
        (
            ["egfr > 100 and creatinine > 3", "age > 60"],
            "^hardly any twin of adult-us meets 'egfr > 100' and 'creatinine > 3' together",
        ),
        (["sex == 'femal'"], "meets \"sex == 'femal'\"; among 10000 candidates sex is female, male"),
        (["agee > 3"], "criterion 'agee > 3': no variable is called 'agee'; did you mean 'age'"),
        (["age + 1"], r"^criterion 'age \+ 1': it is not true or false; write a comparison$"),
        (["sex > 3"], "words can only be compared"),
        (["age >"], "is no expression"),
        (["__import__('os')"], "is not allowed"),
        ([], "there is no criterion"),
    ],
)
def test_criteria_that_cannot_be_met_or_read(adults, where, message):
    with pytest.raises(CriteriaError, match=message):
        sample_criteria(adults, where, 10, 1)


def test_criteria_that_only_the_implausible_meet_name_the_rule(adults):
    with pytest.raises(ScreeningError, match="BMI outside 12 to 80"):
        sample_criteria(adults, ["bmi > 81"], 10, 1)


@pytest.mark.parametrize("where", ["bmi > 50", "age >= 40"])
def test_a_cohort_states_its_population_and_all_criteria(where):
    """By the conditional law and by screening, of a population that has criteria itself."""
    patients = load_population("t2d-adults")
    own = " and ".join(clauses_of(patients.blocks.where))
    found = sample_criteria(patients, [where], 5, 1)
    assert (found.law is None) == (where == "age >= 40")
    assert found.cohort.attrs["criteria"] == f"{own} and {where}"
    assert found.cohort.attrs["population_digest"] == patients.digest != patients.at_large.digest


def test_a_population_without_people_has_criteria_too():
    patients = load_population("nsclc-second-line")
    found = sample_criteria(patients, ["ldh > 500 and ecog == 2"], 300, 1)
    assert found.law is not None
    # independent laws: P(ldh > 500) from the log-normal of the file, times the share of ECOG 2
    expected = 0.17 * norm.sf(np.log(500 / 225.5) / 0.45)
    assert found.prevalence == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("where", ["bmi > 50", "age >= 65"])
def test_quotas_and_criteria_exclude_each_other(adults, where):
    """Places that step evenly leave nothing to draw: twins did not meet the criteria, and changed from call to call."""
    planned = adults.changed(demographics=adults.demographics.changed(quota=True))
    with pytest.raises(CriteriaError, match="which leave nothing to draw; drop quota or the criteria"):
        sample_criteria(planned, [where], 10, 1)


def test_the_whole_population_is_tried_once(adults, monkeypatch):
    """The search for the conflict starts from the same candidates each time."""
    rounds, tried = [], Pilot.round
    monkeypatch.setattr(Pilot, "round", lambda pilot, number, *at: rounds.append(number) or tried(pilot, number, *at))
    with pytest.raises(CriteriaError, match="'age < 30' and 'age > 70' together"):
        condition(adults, ["age < 30", "age > 70", "sex == 'male'"], 1)
    assert rounds.count(0) == 1
    rounds.clear()
    assert condition(load_population("t1d-public-30"), ["weight > 100"], 1) is None and not rounds


def test_rows_of_a_table_are_screened():
    found = sample_criteria(load_population("t1d-public-30"), ["weight > 100"], 3, 1)
    assert found.law is None and (found.cohort["weight"] > 100).all()


def test_smallest_conflict_drops_what_is_not_needed():
    impossible = {"a", "c"}
    assert smallest_conflict(("a", "b", "c", "d"), lambda some: not impossible <= set(some)) == ("a", "c")


def test_distance_is_zero_where_met_and_grows_away():
    people = {"bmi": np.array([20.0, 30.0, 45.0]), "sex": np.array(["male", "female", "male"])}
    scales = {"30 - bmi": 5.0, "bmi - 40": 5.0}
    assert distance("30 <= bmi < 40", people, scales).tolist() == [2.0, 0.0, 1.0]
    assert distance("sex == 'female' or bmi > 40", people, {"40 - bmi": 4.0}).tolist() == [5.0, 0.0, 0.0]
    assert np.isinf(distance("sex == 'female'", people, {})[0])


def test_boxes_cover_a_region_closely():
    points = uniforms(1, "test.cover", np.arange(60_000), 3)
    inside = points[(points[:, 0] + points[:, 1] > 1.2) & (points[:, 2] < 0.5)]
    cover = Cover.around(inside[::2])
    assert 1 - cover.holds(inside[1::2]).mean() < 0.005
    assert 0.16 < cover.volumes.sum() < 0.21  # the region has 0.5 * 0.8^2 / 2 = 0.16
    ids = np.arange(2000)
    placed = cover.place(uniforms(1, "test.box", ids)[:, 0], uniforms(1, "test.within", ids, 3))
    assert cover.holds(placed).all()


@pytest.mark.parametrize("module", [clauses, expressions])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
