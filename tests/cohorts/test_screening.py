"""Screening: first failing rule, counts that add up, prefixes of a larger cohort, and clear refusals."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from twinarm.cohorts import ScreeningError, load_population, sample_twins, screen
from twinarm.cohorts.screening import SimulatedRules


@dataclass(frozen=True)
class Rule:
    rule: str
    reason: str


MIDDLE_AGED = (Rule("45 <= age <= 64", "age outside 45 to 64"), Rule("bmi >= 30", "BMI below 30"))


@pytest.fixture(scope="module")
def adults():
    return load_population("adult-us")


def test_the_ledger_adds_up_to_the_last_accepted_candidate(adults):
    screening = screen(adults, 700, 4, MIDDLE_AGED)
    assert screening.cohort.sizes["twin"] == 700
    assert screening.candidates == int(screening.cohort["twin"].values[-1]) + 1
    assert sum(screening.ledger.values()) + 700 == screening.candidates
    assert (screening.cohort["age"] >= 45).all() and (screening.cohort["bmi"] >= 30).all()


def test_a_candidate_counts_under_the_first_rule_it_fails(adults):
    screening = screen(adults, 700, 4, MIDDLE_AGED)
    everyone = sample_twins(adults, np.arange(screening.candidates), 4)
    implausible = sum(n for (stage, _), n in screening.ledger.items() if stage == "implausible")
    outside = ((everyone["age"] < 45) | (everyone["age"] > 64)).values
    thin = (everyone["bmi"] < 30).values & ~outside
    counted = screening.ledger
    assert 0 <= outside.sum() - counted["screen failure", "age outside 45 to 64"] <= implausible
    assert 0 <= thin.sum() - counted["screen failure", "BMI below 30"] <= implausible


@pytest.fixture(scope="module")
def larger(adults):
    return screen(adults, 900, 8, MIDDLE_AGED[1:])


@settings(max_examples=15, deadline=None)
@given(few=st.integers(1, 900))
def test_the_first_twins_of_a_larger_cohort_are_the_smaller_cohort(adults, larger, few):
    smaller = screen(adults, few, 8, MIDDLE_AGED[1:])
    assert smaller.cohort.identical(larger.cohort.isel(twin=slice(few)))
    assert all(count <= larger.ledger[key] for key, count in smaller.ledger.items())


def test_attributes_survive_several_blocks(adults):
    cohort = screen(adults, 1500, 1).cohort
    assert cohort["twin"].dtype == np.int64
    assert cohort["weight"].attrs["units"] == "kg" and cohort.attrs["population"] == "adult-us"


def test_plausibility_comes_before_eligibility(adults):
    stages = [stage for stage, _ in screen(adults, 1, 1, MIDDLE_AGED).ledger]
    assert stages == sorted(stages) and stages[-2:] == ["screen failure"] * 2


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "agee > 30",
            "eligibility rule 'agee > 30' of population adult-us: no variable is called 'agee'; did you mean",
        ),
        ("age + 1", r"rule 'age \+ 1' of population adult-us: it is not true or false; write a comparison"),
        ("sex > 3", "words can only be compared"),
        ("age > ", "is no expression"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_named(adults, rule, message):
    with pytest.raises(ScreeningError, match=message):
        screen(adults, 10, 1, (Rule(rule, "test"),))


def test_too_few_names_the_rule_that_turns_away_most(adults):
    rules = (Rule("age >= 30", "under 30"), Rule("height > 215", "not a giant"))
    with pytest.raises(ScreeningError, match=r"most .* are turned away as screen failure: 'not a giant'. Loosen"):
        screen(adults, 10, 1, rules)


def test_no_twins_are_refused(adults):
    with pytest.raises(ScreeningError, match="0 twins are wanted; ask for at least 1"):
        screen(adults, 0, 1)


def pressure(twins):
    """What a simulation might add: a number for most twins, none for those that it cannot simulate."""
    value = np.where(twins["twin"].values % 10 == 3, np.nan, twins["sbp"].values + 5.0)
    return twins.assign(baseline_pressure=("twin", value))


SIMULATED = SimulatedRules((Rule("baseline_pressure < 130", "simulated pressure of 130 or more"),), pressure)


def test_rules_on_what_is_simulated_come_last_and_the_counts_add_up(adults):
    screening = screen(adults, 700, 4, MIDDLE_AGED, simulated=SIMULATED)
    assert sum(screening.ledger.values()) + 700 == screening.candidates
    assert "baseline_pressure" not in screening.cohort
    eligible = screen(adults, 2500, 4, MIDDLE_AGED).cohort
    passes = ~(pressure(eligible)["baseline_pressure"].values >= 130)  # a twin without a number passes
    expected = eligible["twin"].values[passes][:700]
    assert np.array_equal(screening.cohort["twin"].values, expected)
    refused = screening.ledger["implausible baseline", "simulated pressure of 130 or more"]
    assert refused == np.count_nonzero(~passes[eligible["twin"].values <= expected[-1]])


def test_rules_on_what_is_simulated_leave_a_smaller_cohort_the_first_of_a_larger(adults):
    large = screen(adults, 400, 4, simulated=SIMULATED).cohort
    assert screen(adults, 90, 4, simulated=SIMULATED).cohort.identical(large.isel(twin=slice(0, 90)))


def test_rules_on_what_nothing_simulates_are_refused(adults):
    nothing = SimulatedRules((Rule("baseline_weight < 130", "heavy"),), pressure)
    with pytest.raises(ScreeningError, match="baseline_weight"):
        screen(adults, 10, 4, simulated=nothing)
